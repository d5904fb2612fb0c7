// How a kernel sees a version: tasks, and in each the chunks it has to read, in time order.
//
// A task is one stripe (kStripeIds local ids) of one shard through all partitions and layers: carry arrays indexed by
// `id − task.first_id` stay in L2 and never cross tasks. The tail is sealed once per version on first need (SealedTail,
// shared by all queries that pin the version), so a kernel only ever sees chunks.
//
// Profiles in `task.slow` (split by a link the layers do not know yet) must be left out by the fast path: zero their
// per-profile result at the end, or skip their rows (ScanPlan::slow_places); the executor then evaluates them through rows_of() with
// the kind's `add_rows`. An ordered kind also marks in `task.late` the profiles whose rows it saw out of order (a newer
// layer of the same partition held an earlier row): they get the same treatment.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "query/scratch.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"
#include "store/profile_store.hpp"
#include "store/version.hpp"

namespace cdp {

// Half-open in milliseconds; rows after now_ms are outside (the planner sets end_ms ≤ now_ms + 1).
struct TimeRange {
  std::int64_t start_ms = INT64_MIN;
  std::int64_t end_ms = INT64_MAX;
  [[nodiscard]] bool contains(std::int64_t time_ms) const noexcept { return time_ms >= start_ms && time_ms < end_ms; }
  // Nothing lies in it: also a range that begins behind now, where it is cut.
  [[nodiscard]] bool empty() const noexcept { return start_ms >= end_ms; }
};

// The part of a range that lies in a partition, in milliseconds from the partition's start, half-open; empty when
// low ≥ high. Right for open ends, where a subtraction would overflow.
struct LocalRange {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
};
[[nodiscard]] constexpr LocalRange local_range(const TimeRange& range, std::int64_t partition_ms) noexcept {
  const std::int64_t end_ms = partition_ms + limits::kPartitionMs;
  const std::int64_t low =
      range.start_ms < partition_ms ? partition_ms : (range.start_ms > end_ms ? end_ms : range.start_ms);
  const std::int64_t high =
      range.end_ms < partition_ms ? partition_ms : (range.end_ms > end_ms ? end_ms : range.end_ms);
  return {static_cast<std::uint32_t>(low - partition_ms), static_cast<std::uint32_t>(high - partition_ms)};
}

struct SpineView {
  std::span<const std::uint32_t> time;  // ms from the partition's start; readable 64 bytes past the end
  const std::uint8_t* code8 = nullptr;  // chunk codes; one of the two is set
  const std::uint16_t* code16 = nullptr;
  const std::uint16_t* profile = nullptr;  // + id_offset = index into the task's arrays
  std::uint32_t id_offset = 0;
  std::uint32_t first_row = 0;                   // of the view in the chunk's spine
  const std::uint64_t* profile_start = nullptr;  // as in the chunk; null for a part of a chunk, or wide ids
  const std::uint16_t* start_profile = nullptr;  // + id_offset
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(time.size()); }
};

struct Task;
struct SliceView {
  const Slice* slice = nullptr;
  const std::uint16_t* profile = nullptr;  // + id_offset = index into the task's arrays
  const std::uint16_t* slot = nullptr;
  std::uint32_t id_offset = 0;
  std::uint32_t first_row = 0;  // of the view in the slice (columns are addressed by slice row)
  std::uint32_t row_count = 0;
  const Task* task = nullptr;
  // Of the row's profile; of a slow one perhaps another's.
  [[nodiscard]] Origin origin(std::uint32_t row) const noexcept;
};

struct ChunkPlaceInPlan;  // query/scan_plan.hpp
class Budget;             // query/budget.hpp

// One chunk as far as it lies inside the task.
class ChunkView {
 public:
  ChunkView(const Chunk& chunk, const Task& task, Scratch& scratch);
  [[nodiscard]] const Chunk& chunk() const noexcept { return *chunk_; }
  [[nodiscard]] std::int64_t start_ms() const noexcept { return partition_start_ms(chunk_->partition); }
  // Cost: free for a chunk inside the stripe; a copy of the ids for a wide one.
  [[nodiscard]] SpineView spine();
  [[nodiscard]] std::optional<SliceView> slice(NameId name);
  [[nodiscard]] std::optional<SliceView> slice(const Slice& slice);  // REQUIRES: of this chunk
  // True when some row lies outside of `range` (then rows must be tested one by one; by slot, border slots by exact time).
  [[nodiscard]] bool crosses(const TimeRange& range) const noexcept;
  [[nodiscard]] bool outside(const TimeRange& range) const noexcept;

 private:
  // Ids of rows [first, last) as indexes into the task's arrays: the chunk's own, or a copy that this view owns.
  struct Ids {
    const std::uint16_t* profile;
    std::uint32_t offset;
  };
  [[nodiscard]] Ids ids(const std::vector<std::uint16_t>& narrow, const std::vector<std::uint32_t>& wide,
                        std::uint32_t first, std::uint32_t last);
  const Chunk* chunk_;
  const Task* task_;
  Scratch* scratch_;
  bool inside_;                  // the whole chunk lies in the task's ids
  std::uint32_t first_row_ = 0;  // spine rows of the task's ids
  std::uint32_t last_row_ = 0;
  std::vector<Scratch::Lease<std::uint16_t>> copies_;
};

// Rows of a slice view inside `range`, as indexes into the view, ascending. Branch-free; returns how many. `out` needs
// row_count + 16 places. Decided by slot; rows in the two border slots by the exact time through the posting.
std::uint32_t select_rows(const ChunkView& chunk, const SliceView& slice, const TimeRange& range, std::uint32_t* out);

struct Task {
  const Version* version = nullptr;
  const ScanPlan* plan = nullptr;  // whose task it is
  std::uint32_t shard = 0;
  std::uint32_t first_id = 0;  // local ids [first_id, last_id)
  std::uint32_t last_id = 0;
  std::vector<const Chunk*> chunks;     // by (partition, log order, first_id); sealed tail included
  std::span<const std::uint64_t> slow;  // bit (id − first_id); empty when no profile of the stripe is slow
  std::vector<std::uint64_t> late;      // same; filled by ordered kernels, sized on first use
  Budget* budget = nullptr;  // of the query that runs it; looked at where profiles are gone through one by one
  [[nodiscard]] std::uint32_t size() const noexcept { return last_id - first_id; }
  [[nodiscard]] bool is_slow(std::uint32_t index) const noexcept {
    return !slow.empty() && ((slow[index >> 6] >> (index & 63)) & 1) != 0;
  }
  // Of `chunks`, one by one.
  [[nodiscard]] std::span<const ChunkPlaceInPlan> places() const noexcept;
  void mark_late(std::uint32_t index) {
    if (late.empty()) late.resize((size() + 63) / 64);
    late[index >> 6] |= std::uint64_t{1} << (index & 63);
  }
  [[nodiscard]] Origin origin(std::uint32_t index) const noexcept {
    return version->placement.origin(shard, first_id + index);
  }
};

inline Origin SliceView::origin(std::uint32_t row) const noexcept { return task->origin(profile[row] + id_offset); }

}  // namespace cdp
