// The buckets of a query laid over partitions: how a time or a slot of a partition becomes a bucket number, once a query.
//
// Buckets are numbered from 0 over the query (`starts`), and from 0 again in each partition (`first_bucket` is the number of
// its bucket 0). Rows outside the range are kOutside in every form.
//
// In UTC and in nearly all partitions of any zone the bucket of a time is how many borders lie behind it. Where a clock was
// set back across midnight (Calendar) a bucket comes back: then `piece_bucket` tells it, and no rule of `simd` holds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/calendar.hpp"
#include "query/scan.hpp"
#include "simd/primitives.hpp"

namespace cdp {

struct PartitionBuckets {
  static constexpr std::uint16_t kOutside = 0xFFFF;

  std::uint32_t first_bucket = 0;
  std::uint32_t bucket_count = 1;
  std::vector<std::uint32_t> border;        // first millisecond (from the partition's start) of piece 1, 2, ..
  std::vector<std::uint16_t> piece_bucket;  // of each piece; empty: a bucket a piece
  std::uint32_t low = 0;                    // times in the range: [low, high], both in it; low > high when none is
  std::uint32_t high = UINT32_MAX;
  bool by_bytes = false;  // `rule` holds; at most simd::kBucketsMax buckets
  simd::BucketRule rule;
  bool by_slot = false;                     // borders and range lie on slots: the tables below hold
  std::vector<std::uint16_t> slot_bucket;   // kSlotsPerPartition
  std::vector<std::uint8_t> slot_byte;      // the same as bytes; filled when by_bytes
  std::optional<simd::SlotRule> slot_rule;  // tells the same, where buckets are equally long

  // Bucket bytes of slots. REQUIRES: by_slot, by_bytes; out has room for count + kSlack.
  void bytes_of_slots(const std::uint16_t* slot, std::uint32_t count, std::uint8_t* out) const {
    if (slot_rule) return simd::primitives().slot_to_equal_bucket(slot, count, *slot_rule, out);
    simd::primitives().slot_to_bucket(slot, count, slot_byte.data(), out);
  }

  // Some bucket is more than one stretch of time.
  [[nodiscard]] bool returns() const noexcept { return !piece_bucket.empty(); }
  // Local bucket of a time, kOutside when not in the range. O(log buckets).
  [[nodiscard]] std::uint16_t bucket(std::uint32_t time) const noexcept;
  // First and last of the local buckets that hold times of [time_min, time_max] in the range; empty when none.
  [[nodiscard]] std::optional<std::pair<std::uint32_t, std::uint32_t>> touched(std::uint32_t time_min,
                                                                               std::uint32_t time_max) const noexcept;
};

class BucketPlan {
 public:
  // `unit` none: one bucket. `rows`: which rows count; it is cut to the times there are. Throws LimitExceeded over 65,534
  // buckets.
  BucketPlan(const Version& version, const Zone& zone, int week_start, const std::optional<Unit>& unit,
             const TimeRange& rows, std::int64_t origin_ms);
  // The same of what a zone's clocks show: buckets are those of `shown_starts`, where they begin there, written as if in UTC, one
  // behind the other; whoever gave these has their number, starts and distances. `extent`: extent_of the version.
  // REQUIRES: the first begins no later than any row of `rows` is shown.
  BucketPlan(const TimeRange& extent, const Zone& zone, std::span<const std::int64_t> shown_starts,
             const TimeRange& rows);
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(starts_.size()); }
  [[nodiscard]] std::int64_t start_ms(std::uint32_t bucket) const noexcept { return starts_[bucket]; }
  // Where each begins, ascending. The first may begin before the range.
  [[nodiscard]] std::span<const std::int64_t> starts() const noexcept { return starts_; }
  // Some bucket is more than one stretch of time.
  [[nodiscard]] bool returns() const noexcept { return returns_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept;
  // REQUIRES: a partition of the version that holds rows of the range.
  [[nodiscard]] const PartitionBuckets& of(std::int32_t partition) const noexcept {
    return partitions_[static_cast<std::size_t>(partition - first_partition_)];
  }
  [[nodiscard]] bool covers(std::int32_t partition) const noexcept {
    return partition >= first_partition_ &&
           partition - first_partition_ < static_cast<std::int32_t>(partitions_.size());
  }
  // Start of the bucket behind it, as the calendar goes on. REQUIRES: a unit.
  [[nodiscard]] std::int64_t end_ms(std::uint32_t bucket) const noexcept { return ends_[bucket]; }
  // Steps of the calendar between two buckets. REQUIRES: from ≤ to.
  [[nodiscard]] std::int64_t distance(std::uint32_t from, std::uint32_t to) const noexcept {
    return steps_.empty() ? std::int64_t{to} - from : steps_[to] - steps_[from];
  }
  // Bucket of an instant in the range; none outside.
  [[nodiscard]] std::optional<std::uint32_t> bucket_of(std::int64_t time_ms) const noexcept;

 private:
  // The instants between which rows of `rows` lie, both with some: rows_ is cut to what they tell apart. None: no row.
  [[nodiscard]] std::optional<std::pair<std::int64_t, std::int64_t>> cut_to(const TimeRange& extent,
                                                                            const TimeRange& rows);
  void lay_all(std::int64_t first_ms, std::int64_t last_ms);
  [[nodiscard]] PartitionBuckets lay(std::int32_t partition) const;
  TimeRange rows_;
  std::vector<std::int64_t> starts_;    // at least one
  std::vector<std::int64_t> ends_;      // of buckets
  std::vector<std::int64_t> steps_;     // from the first bucket; empty: as numbered (nothing was skipped)
  std::vector<Buckets::Piece> pieces_;  // at least one
  bool returns_ = false;
  std::int32_t first_partition_ = 0;
  std::vector<PartitionBuckets> partitions_;
};

// The times of all rows of a version: [earliest, latest + 1), or an empty range when there are none.
[[nodiscard]] TimeRange extent_of(const Version& version);
// The same of rows that are kept at engine time: what answers may show, as older ones may have been dropped or not.
[[nodiscard]] TimeRange kept_extent_of(const Version& version);

}  // namespace cdp
