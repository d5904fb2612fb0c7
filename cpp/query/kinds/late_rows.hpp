// Finds the profiles whose matched rows a task does not see in event order: a newer layer of the same partition held an
// earlier row. Partitions follow one another in time, and a chunk is in event order, so only chunks of one partition whose
// ids overlap can disagree; where there are none, nothing is tracked.
#pragma once

#include <algorithm>
#include <cstdint>

#include "query/scan.hpp"
#include "query/scratch.hpp"

namespace cdp {

class LateRows {
 public:
  // `ties_are_late`: a row of the same millisecond as one of an earlier chunk is out of order too.
  LateRows(const Task& task, Scratch& scratch, bool ties_are_late = false)
      : task_(&task), scratch_(&scratch), ties_are_late_(ties_are_late) {}

  // Call for every chunk of the task in order, also one that is not read.
  void begin_chunk(std::size_t index) {
    const Chunk& chunk = *task_->chunks[index];
    if (index == 0 || chunk.partition != partition_) begin_partition(index);
    ++chunk_;
  }
  [[nodiscard]] bool tracked() const noexcept { return tracked_; }

  // A matched row; rows of one chunk in their order. REQUIRES: tracked().
  void see(std::uint32_t profile, std::int64_t time_ms) noexcept {
    Last& last = last_[profile];
    // Equal times are in order by the log, unless origins of one profile differ: those come before the log in event order.
    late_[profile] |= static_cast<std::uint8_t>((last.chunk != chunk_) & (time_ms < last.time_ms + tie_));
    last = {time_ms, chunk_};
  }

  // A profile that the fast path must leave out for a reason of its own.
  void add(std::uint32_t profile) {
    if (!ever_) begin_marks();
    late_[profile] = 1;
  }

  // Into task.late.
  void mark(Task& task) const {
    each([&](std::uint32_t profile) { task.mark_late(profile); });
  }
  // Calls visit(profile) for each, ascending; slow profiles are told already.
  template <class Visit>
  void each(Visit&& visit) const {
    if (!ever_) return;
    for (std::uint32_t profile = 0; profile < task_->size(); ++profile) {
      if (late_[profile] != 0 && !task_->is_slow(profile)) visit(profile);
    }
  }

 private:
  struct Last {
    std::int64_t time_ms;
    std::uint64_t chunk;
  };

  void begin_partition(std::size_t index) {
    partition_ = task_->chunks[index]->partition;
    tracked_ = false;
    tie_ = ties_are_late_ ? 1 : 0;
    std::uint32_t last_id = 0;
    for (; index < task_->chunks.size() && task_->chunks[index]->partition == partition_; ++index) {
      const Chunk& chunk = *task_->chunks[index];
      tracked_ |= chunk.first_id < last_id;
      last_id = std::max(last_id, chunk.last_id);
      if (!chunk.foreign.empty()) tie_ = 1;
    }
    if (!tracked_) return;
    if (!ever_) begin_marks();
    if (last_.size() == 0) last_ = scratch_->lease<Last>(task_->size());
    std::fill_n(last_.data(), last_.size(), Last{INT64_MIN, 0});
  }

  void begin_marks() {
    late_ = scratch_->zeroed<std::uint8_t>(task_->size());
    ever_ = true;
  }

  const Task* task_;
  Scratch* scratch_;
  bool ties_are_late_;
  std::int32_t partition_ = 0;
  std::uint64_t chunk_ = 0;
  bool tracked_ = false;
  bool ever_ = false;
  std::int64_t tie_ = 0;
  Scratch::Lease<Last> last_;
  Scratch::Lease<std::uint8_t> late_;
};

}  // namespace cdp
