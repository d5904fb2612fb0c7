// Funnels of which only is asked how far each profile came: one pass over the rows of a task, a small state a profile.
//
// Meaning: that of funnel_attempts.hpp, for the rules that `of` takes.
//
// How: a *state* is the steps a path has taken. Of all paths in one state the one of the latest start reaches whatever any other
// would (step_chain.hpp), so a number a state is enough: that start, or with a window of each step the time of its last row, with
// one of a day or session the start of that. A row moves paths from state to state, and ends those of the states that its rules
// forbid it to lie behind. With any_order the newest row of each step says how many lie in the window that ends now.
// Where optional steps are left out there is a state for each choice, and states are numbered by what they are worth.
//
// Cost: ~3 ns a row of a step; strict_all and sessions look at every row, ~1.5 ns each. Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/kernel.hpp"
#include "query/kinds/funnel_attempts.hpp"
#include "query/kinds/matched_rows.hpp"
#include "query/scratch.hpp"

namespace cdp {

// Steps that a profile's first rows take: selector `of` says which rows, and behind the first of them no row takes the step.
struct FirstRows {
  std::uint32_t step = 0;
  std::size_t of = 0;
};

class FunnelStream {
 public:
  // None where the rules need paths to be looked at one by one. `kept`: selectors that say which rows there are.
  [[nodiscard]] static std::optional<FunnelStream> of(const FunnelRules& rules, std::vector<FirstRows> firsts,
                                                      std::uint64_t kept);

  // The steps of each outcome but 0, which is none at all; a bit a step.
  [[nodiscard]] std::span<const std::uint32_t> outcomes() const noexcept { return outcomes_; }
  // Gives each profile of the task its outcome, those outside `where` and slow ones too, and marks late ones. Nothing, and
  // nothing marked, where rows of the task must be walked: events of one millisecond that do not count as later, rows that fill
  // several of steps in any order, a local day that comes back.
  // REQUIRES: `rules` as given to `of`, but with their range and calendar.
  [[nodiscard]] std::optional<Scratch::Lease<std::uint32_t>> run(const FunnelRules& rules, const RowMatcher& matcher,
                                                                 const TimeRange& seen, Task& task,
                                                                 Scratch& scratch) const;

 private:
  friend class FunnelStreamRun;
  struct State {
    std::uint32_t step = 0;
    std::uint32_t taken = 0;
    std::uint32_t from = 0;  // number of the state it comes from; 0: an entry
  };
  FunnelStream() = default;
  bool add_states(const FunnelRules& rules);
  std::vector<State> states_;            // from 1 on; the first is that of entries
  std::vector<std::uint32_t> outcomes_;  // from 1 on
  std::vector<FirstRows> firsts_;
  std::uint64_t kept_ = 0;
};

}  // namespace cdp
