// What local clocks show by the quarter hour: tables of a partition, made when a task first needs them and kept as long as the
// clause. Where a quarter hour is not one (a border or a change of offset inside it) the time itself is looked at.
//
// Cost: ~50 us a partition, once; then ~1 ns a row. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>

#include "query/clauses/local_times.hpp"
#include "query/scan.hpp"

namespace cdp {

// Tables of one kind, by partition; references stay good.
template <class Slot>
class PartitionTables {
 public:
  using Table = std::array<Slot, limits::kSlotsPerPartition>;

  // make(start_ms of the partition, table) where there is none yet.
  template <class Make>
  const Table& of(std::int32_t partition, Make&& make) const {
    {
      const std::shared_lock lock(mutex_);
      if (const auto found = tables_.find(partition); found != tables_.end()) return *found->second;
    }
    auto table = std::make_unique<Table>();
    make(partition_start_ms(partition), *table);
    const std::lock_guard lock(mutex_);
    return *tables_.try_emplace(partition, std::move(table)).first->second;
  }

 private:
  mutable std::shared_mutex mutex_;
  mutable std::map<std::int32_t, std::unique_ptr<const Table>> tables_;
};

// Which rows lie at local times.
class SlotTimes {
 public:
  explicit SlotTimes(LocalTimesPtr times) : times_(std::move(times)) {}
  // Keeps of `rows[0, count)` (indexes into the view) those that do; returns how many, in order.
  std::uint32_t filter(const Chunk& chunk, const SliceView& view, std::uint32_t* rows, std::uint32_t count) const;

 private:
  LocalTimesPtr times_;
  PartitionTables<std::uint8_t> tables_;  // 0, 1; 2: it depends
};

// The day of the wall clock of each row.
class SlotDays {
 public:
  explicit SlotDays(ZonePtr zone) : zone_(std::move(zone)) {}
  void read(const Chunk& chunk, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
            std::int32_t* days) const;
  [[nodiscard]] std::int32_t day_of(std::int64_t time_ms) const noexcept;

 private:
  ZonePtr zone_;
  PartitionTables<std::int32_t> tables_;
};

}  // namespace cdp
