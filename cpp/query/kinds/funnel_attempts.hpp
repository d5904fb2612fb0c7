// Attempts at a funnel: which rows of one profile take which steps, under every rule a funnel may have.
//
// Meaning. An *entry* is a row of step 1 inside the range (with any_order: of any step). A *path* from an entry takes steps in
// their order, each with a row of its own that follows the row before and lies in the entry's window; optional steps may be
// left out. Between two rows of a path no row may lie that the order forbids: with strict_steps one of another step than
// the two, with strict_all any. Of an entry's paths the best counts: most required steps, most optional ones, the lower
// ones first; of equal ones that whose last row is earliest, then the row before, and so on. With a grace a step's row may lie
// so much before that of the step it follows; between the two is then what lies behind the earlier and before the later.
// Exclusions are rows that must not lie between steps `from` and `to`. `clean`: paths over them are no paths. `drop`: the
// best path ends in front of the first one, and an attempt that waits for its next step ends with it. `remove`: where an
// attempt would end so, the whole profile is left out.
// any_order: the number of steps that rows of the window can fill, each row one. An anchored step stands in its place: it is
// filled when all steps before it are, and those behind it when it is.
// A row may fill `several` steps when the rules say so: the next one, and so on, with the row that took the one before.
// The window is of the entry, of each step and the next (`step_window`), or the entry's session: rows of the profile no further
// than `session_gap` from one another.
//
// Threads: rules are immutable, a walker is of one thread. A walk of one profile costs ~10 ns a row and entry at worst.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "query/calendar.hpp"
#include "query/kinds/matched_rows.hpp"
#include "query/kinds/step_chain.hpp"

namespace cdp {

class Budget;
class ProfileClock;

struct FunnelExclusion {
  std::uint32_t from = 0;  // steps, from 0: rows between any two taken steps within [from, to]
  std::uint32_t to = 0;
};

struct FunnelRules {
  enum class Order : std::uint8_t { kInOrder, kStrictSteps, kStrictAll, kAnyOrder };
  enum class Attempt : std::uint8_t { kLongest, kFirstEntry };
  enum class Count : std::uint8_t { kProfiles, kTotals, kAllEntries, kProfilesByInterval };
  enum class ExclusionMode : std::uint8_t { kDrop, kRemove, kAnyCleanPath };

  std::uint32_t steps = 0;
  std::uint32_t optional = 0;  // a bit a step
  std::uint32_t anchored = 0;  // the same, of any_order
  Order order = Order::kInOrder;
  Attempt attempt = Attempt::kLongest;
  Count count = Count::kProfiles;
  std::int64_t window = kNoWindow;
  std::optional<Calendar> calendar;  // the window instead: the entry's bucket,
  std::int64_t step_window = 0;      // or of each step, from the one before (0: no such),
  std::int64_t session_gap = 0;      // or the entry's session; the rows are then all of the profile's
  bool several = false;              // a row may fill several steps
  bool strictly_later = false;
  std::int64_t grace = 0;                   // a step may lie so many milliseconds before the one it follows
  std::vector<FunnelExclusion> exclusions;  // selector of the first: number `steps`
  ExclusionMode exclusion_mode = ExclusionMode::kDrop;
  TimeRange range;  // of entries; on a clock of its own that says more
};

struct FunnelAttempt {
  std::uint32_t taken = 0;                     // a bit a step; with any_order the lowest so many as are done
  std::array<std::uint32_t, kStepsMax> row{};  // of each step taken: index of its row
  std::size_t next = 0;                        // first row at which another attempt may enter
  bool excluded = false;                       // an exclusion ended it
  [[nodiscard]] bool has(std::uint32_t step) const noexcept { return ((taken >> step) & 1) != 0; }
};

// Walks profiles one after the other, with the same buffers.
class FunnelWalker {
 public:
  // REQUIRES: both live as long as it. `budget` may be null.
  FunnelWalker(const FunnelRules& rules, const Budget* budget);
  ~FunnelWalker();
  FunnelWalker(const FunnelWalker&) = delete;
  FunnelWalker& operator=(const FunnelWalker&) = delete;
  // The attempts of a profile that count, in order of their entries, until the next call: by interval every entry's, for the
  // caller knows the buckets and keeps the one of each. Rows in event order, selectors as above.
  // Throws Timeout when the budget ends, LimitExceeded when ties under a grace have too many orders.
  // `clock`: of the profile, where entries and buckets go by its own; else null.
  [[nodiscard]] std::span<const FunnelAttempt> attempts_of(std::span<const MatchedRow> rows,
                                                           const ProfileClock* clock = nullptr);

 private:
  class Walk;
  std::unique_ptr<Walk> walk_;
};

// Whether an attempt with the steps `taken` is worth more than one with others: more required steps, then optional ones, then
// earlier ones.
[[nodiscard]] bool is_worth_more(const FunnelRules& rules, std::uint32_t taken, std::uint32_t others) noexcept;

}  // namespace cdp
