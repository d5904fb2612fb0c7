// The entry of a funnel's best attempt: of all entries that reach the depth, the earliest. The chain (step_chain.hpp) knows
// only the latest start, which says how deep, not from where.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "query/kinds/step_chain.hpp"

namespace cdp {

// A row of one profile that fills any one of `steps`; `enters`: it lies in the range.
struct StepRow {
  std::int64_t time_ms = 0;
  std::uint32_t steps = 0;
  bool enters = false;
};

// Index of the earliest entry from which `depth` steps are reached. One pass back in time: for each step the earliest time at
// which the last one can be done by a path that takes this step next; the earliest row to take it is always the best.
// O(rows · depth). REQUIRES: rows in event order; depth is what `advance` found over the same rows, > 0.
[[nodiscard]] inline std::size_t earliest_entry(std::span<const StepRow> rows, std::uint32_t depth, std::int64_t window,
                                                bool strictly_later) noexcept {
  constexpr std::int64_t kNever = INT64_MAX;
  std::array<std::int64_t, kStepsMax> done;
  done.fill(kNever);
  std::size_t best = 0;
  for (std::size_t last = rows.size(); last > 0;) {
    // Rows of one millisecond together when they do not count as later than each other, else one by one.
    std::size_t first = last - 1;
    while (strictly_later && first > 0 && rows[first - 1].time_ms == rows[first].time_ms) --first;
    const std::int64_t time = rows[first].time_ms;
    const bool reaches = depth == 1 || (done[1] != kNever && done[1] - time <= window);
    std::uint32_t steps = 0;
    for (std::size_t at = last; at-- > first;) {
      steps |= rows[at].steps;
      if (reaches && rows[at].enters && (rows[at].steps & 1) != 0) best = at;
    }
    for (std::uint32_t step = 1; step < depth; ++step) {
      if (((steps >> step) & 1) != 0) done[step] = step + 1 == depth ? time : done[step + 1];
    }
    last = first;
  }
  return best;
}

}  // namespace cdp
