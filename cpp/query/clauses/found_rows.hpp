// The events that a clause finds, over a task: rows of a selector at its local times in its window, slice by slice, so in no
// order beyond that of one slice. ~2 ns a row of the selector and condition.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "query/budget.hpp"
#include "query/clauses/local_times.hpp"
#include "query/clauses/slot_tables.hpp"
#include "query/clauses/window.hpp"
#include "query/scan.hpp"
#include "simd/primitives.hpp"

namespace cdp {

// Where a row lies in a task, ascending in the order in which a task's rows are read: that of events but for late ones.
[[nodiscard]] constexpr std::uint64_t row_place(std::size_t chunk, std::uint32_t spine_row) noexcept {
  return (static_cast<std::uint64_t>(chunk) << 32) | spine_row;
}

struct FoundIn {
  ChunkView& view;
  std::size_t chunk;  // index in the task
  [[nodiscard]] std::int64_t time_ms(const SliceView& slice, std::uint32_t row) const noexcept {
    return view.start_ms() + view.chunk().time[spine_row(slice, row)];
  }
  [[nodiscard]] static std::uint32_t spine_row(const SliceView& slice, std::uint32_t row) noexcept {
    return slice.slice->posting(slice.first_row + row);
  }
};

// A window that hangs on a trait, as it stands for each profile of a task.
class ProfileWindows {
 public:
  ProfileWindows(const BoundWindow& window, const Task& task, std::int64_t now_ms, Scratch& scratch)
      : window_(window),
        task_(task),
        now_ms_(now_ms),
        known_(scratch.zeroed<std::uint8_t>(task.size())),
        ranges_(scratch.lease<TimeRange>(task.size())) {}
  [[nodiscard]] const TimeRange& of(std::uint32_t profile) {
    if (known_[profile] == 0) {
      known_[profile] = 1;
      if (task_.is_slow(profile)) return ranges_[profile] = {0, 0};  // perhaps nobody's place
      ranges_[profile] = window_.at(*task_.version, task_.origin(profile), now_ms_).inside();
    }
    return ranges_[profile];
  }

 private:
  const BoundWindow& window_;
  const Task& task_;
  std::int64_t now_ms_;
  Scratch::Lease<std::uint8_t> known_;
  Scratch::Lease<TimeRange> ranges_;
};

// visit(FoundIn, SliceView, rows, count) for each slice with rows of the selector in the range that pass its conditions and
// lie at `slots` (null: at any time). `rows`: indexes into the view, ascending, which the visit may change.
template <class Visit>
void for_each_found(const BoundSelector& selector, const SlotTimes* slots, const TimeRange& range, const Task& task,
                    Scratch& scratch, Visit&& visit) {
  for (std::size_t at = 0; at < task.chunks.size(); ++at) {
    if (task.budget != nullptr) task.budget->check();
    const Chunk& chunk = *task.chunks[at];
    ChunkView view(chunk, task, scratch);
    if (view.outside(range)) continue;
    const auto one = [&](const Slice& slice) {
      const auto found = view.slice(slice);
      if (!found) return;
      const auto rows = scratch.lease<std::uint32_t>(found->row_count + simd::kSlack);
      std::uint32_t count = select_rows(view, *found, range, rows.data());
      count = filter_rows(*found, selector.where, scratch, rows.data(), count);
      if (slots != nullptr) count = slots->filter(chunk, *found, rows.data(), count);
      if (count != 0) visit(FoundIn{view, at}, *found, rows.data(), count);
    };
    if (selector.any || selector.open) {
      for (const Slice& slice : chunk.slices) {
        if (selector.selects(slice.name)) one(slice);
      }
      continue;
    }
    for (const NameId name : selector.names) {
      if (const Slice* slice = chunk.find(name)) one(*slice);
    }
  }
}

// The same within a clause's window, whoever's borders it has.
template <class Visit>
void for_each_found(const BoundTimed& events, const BoundWindow& window, std::int64_t now_ms, const Task& task,
                    Scratch& scratch, Visit&& visit) {
  if (!window.of_each_profile()) {
    const TimeRange range = window.at(*task.version, task.origin(0), now_ms).inside();
    return for_each_found(events.selector, events.slots.get(), range, task, scratch, visit);
  }
  ProfileWindows windows(window, task, now_ms, scratch);
  for_each_found(events.selector, events.slots.get(), {INT64_MIN, now_ms + 1}, task, scratch,
                 [&](const FoundIn& in, const SliceView& view, std::uint32_t* rows, std::uint32_t count) {
                   std::uint32_t kept = 0;
                   for (std::uint32_t i = 0; i < count; ++i) {
                     const std::uint32_t row = rows[i];
                     rows[kept] = row;
                     kept += windows.of(view.profile[row] + view.id_offset).contains(in.time_ms(view, row)) ? 1 : 0;
                   }
                   if (kept != 0) visit(in, view, rows, kept);
                 });
}

// The same for rows listed by place (row_place), ascending or not.
template <class Visit>
void for_each_listed(std::vector<std::uint64_t>&& places, const Task& task, Scratch& scratch, Visit&& visit) {
  std::sort(places.begin(), places.end());
  std::vector<std::uint64_t> of_chunk;  // code << 32 | row of the slice
  std::vector<std::uint32_t> rows;
  for (std::size_t begin = 0; begin < places.size();) {
    const std::size_t at = places[begin] >> 32;
    const Chunk& chunk = *task.chunks[at];
    ChunkView view(chunk, task, scratch);
    of_chunk.clear();
    for (; begin < places.size() && places[begin] >> 32 == at; ++begin) {
      const auto spine_row = static_cast<std::uint32_t>(places[begin]);
      const std::uint32_t code = chunk.code(spine_row);
      of_chunk.push_back((std::uint64_t{code} << 32) | chunk.slices[code].row_of(spine_row));
    }
    std::sort(of_chunk.begin(), of_chunk.end());
    for (std::size_t first = 0; first < of_chunk.size();) {
      const std::size_t code = of_chunk[first] >> 32;
      const auto found = view.slice(chunk.slices[code]);
      rows.clear();
      for (; first < of_chunk.size() && of_chunk[first] >> 32 == code; ++first)
        rows.push_back(static_cast<std::uint32_t>(of_chunk[first]) - found->first_row);
      visit(FoundIn{view, at}, *found, rows.data(), static_cast<std::uint32_t>(rows.size()));
    }
  }
}

// Conditions relative to now go by the instant they were bound at: a scan holds for that alone.
[[nodiscard]] inline bool can_scan(const BoundTimed& events, std::int64_t bound_ms, std::int64_t now_ms) noexcept {
  const auto is_own = [](const BoundCondition& each) { return each.operand != nullptr; };
  return bound_ms == now_ms || (!events.is_timed && std::ranges::none_of(events.selector.where, is_own));
}

}  // namespace cdp
