// Local calendars: where an hour, day, week, month, quarter, year begins in a zone. Zones are tables of transitions that
// Python's zoneinfo gives (g++ 12 has none); UTC is built in.
//
// A bucket is named by the UTC time of its start. Days of 23 and 25 hours come out right, since a local day is from one
// local midnight to the next; a midnight that a jump skips is the first instant after the jump, and of two the earlier
// counts. Hours are local hours, and a change of offset begins a new one: each repeated hour is a bucket of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "query/spec.hpp"

namespace cdp {

// An offset in force from utc_ms on.
struct ZoneTransition {
  std::int64_t utc_ms = 0;
  std::int64_t offset_ms = 0;  // local = utc + offset
};

class Zone {
 public:
  // The first transition's offset holds before it too. REQUIRES: ascending utc_ms, at least one, |offset| < 26 h; else
  // BadQuery.
  Zone(std::string name, std::vector<ZoneTransition> transitions);
  [[nodiscard]] static const Zone& utc();
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::int64_t offset_ms(std::int64_t utc_ms) const noexcept;
  // The earliest UTC instant whose local time is ≥ local_ms.
  [[nodiscard]] std::int64_t utc_of_local(std::int64_t local_ms) const noexcept;
  [[nodiscard]] bool is_fixed() const noexcept { return transitions_.size() == 1; }
  [[nodiscard]] const std::vector<ZoneTransition>& transitions() const noexcept { return transitions_; }

 private:
  std::string name_;
  std::vector<ZoneTransition> transitions_;
};

// Zones that Python has handed over. Threads: add and find lock.
class ZoneTable {
 public:
  ZoneTable();
  ~ZoneTable();
  void add(Zone zone);  // an equal name is kept: tables do not change while a process lives
  [[nodiscard]] bool has(std::string_view name) const;
  // BadQuery "unknown zone" when nobody added it.
  [[nodiscard]] const Zone& find(std::string_view name, const Path& path) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};
// The process's table: zones are facts of the world, not state of an engine.
[[nodiscard]] ZoneTable& zones();

// One unit in one zone. Value type, cheap to copy (points to the zone). Cost of bucket_start ~20 ns.
class Calendar {
 public:
  // `origin_ms`: start of {"days": n} steps (the local day that holds it begins the first step).
  Calendar(const Zone& zone, Unit unit, int week_start, std::int64_t origin_ms = 0);
  // UTC start of the bucket that holds the instant.
  [[nodiscard]] std::int64_t bucket_start(std::int64_t time_ms) const noexcept;
  // UTC start of the bucket after the one that starts at `start_ms`.
  [[nodiscard]] std::int64_t next_start(std::int64_t start_ms) const noexcept;
  // Buckets from the one that starts at `from` to the one that starts at `to` (retention periods). REQUIRES: both starts.
  [[nodiscard]] std::int64_t distance(std::int64_t from_start_ms, std::int64_t to_start_ms) const noexcept;
  [[nodiscard]] const Zone& zone() const noexcept { return *zone_; }
  [[nodiscard]] const Unit& unit() const noexcept { return unit_; }

 private:
  [[nodiscard]] std::int64_t index_of_local(std::int64_t local_ms) const noexcept;  // number of the bucket
  [[nodiscard]] std::int64_t local_start(std::int64_t index) const noexcept;
  const Zone* zone_;
  Unit unit_;
  int week_start_;
  std::int64_t origin_day_ = 0;
};

// Consecutive buckets over [first_ms, last_ms]: the coordinate system of a query. Bucket numbers count from 0 and are the
// same for every task. Throws LimitExceeded when there are over 65,534.
class Buckets {
 public:
  Buckets(const Calendar& calendar, std::int64_t first_ms, std::int64_t last_ms);
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(starts_.size()); }
  [[nodiscard]] std::int64_t start_ms(std::uint32_t bucket) const noexcept { return starts_[bucket]; }
  // Bucket of an instant. REQUIRES: inside [start of the first, end of the last). O(log size).
  [[nodiscard]] std::uint32_t bucket_of(std::int64_t time_ms) const noexcept;
  [[nodiscard]] const std::vector<std::int64_t>& starts() const noexcept { return starts_; }

 private:
  std::vector<std::int64_t> starts_;
};

// Quarter-hour slot of one partition -> bucket. Times before the first bucket give 0, behind the last the last: ranges are
// the caller's to test.
struct SlotTable {
  // Bucket of the slot's start. Where a border falls inside the slot (`marked`), the exact time of a row decides
  // (Buckets::bucket_of).
  std::vector<std::uint16_t> bucket;  // kSlotsPerPartition + 32 of padding
  std::vector<std::uint64_t> marked;  // bit a slot; empty when no slot is marked (the usual case)
  [[nodiscard]] bool is_marked(std::uint32_t slot) const noexcept {
    return !marked.empty() && ((marked[slot >> 6] >> (slot & 63)) & 1) != 0;
  }
};
// Cost ~3 us. Build one per (partition, unit) and query.
[[nodiscard]] SlotTable slot_table(const Buckets& buckets, std::int32_t partition);

}  // namespace cdp
