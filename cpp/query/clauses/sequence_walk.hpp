// A sequence over a task as in sequence_scan.hpp, but of steps with conditions, and of values held: then each value that a profile
// holds has a story of its own. ~6 ns a matched row, with values ~15; 0.05 ns a row scanned, ~1 ns a profile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/clauses/local_times.hpp"
#include "query/scan.hpp"

namespace cdp {

struct WalkedSequence {
  static constexpr std::size_t kStepsMax = 8;

  std::vector<const BoundTimed*> steps;   // 2 to kStepsMax
  const BoundTimed* without = nullptr;    // null: nothing breaks a chain
  std::vector<std::int64_t> gap_most_ms;  // behind each step but the last
  std::int64_t within_ms = INT64_MAX;
  bool is_held = false;       // all events of a match have the value of this property:
  std::optional<KeyId> hold;  // none: nobody has it
};

// Matches of each profile of the task that is in `candidates`, by its index; those in `left` (bits) are not told: their rows lie
// out of order, or hold many values.
// REQUIRES: matches.size() == task.size(), zeroed; left has a bit a profile, zeroed. Slow profiles get nonsense.
void count_walked(const WalkedSequence& sequence, const Task& task, const TimeRange& range, Scratch& scratch,
                  std::span<const std::uint64_t> candidates, std::span<std::uint32_t> matches,
                  std::span<std::uint64_t> left);

}  // namespace cdp
