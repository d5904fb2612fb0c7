#include "query/kinds/funnel_attempts.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.hpp"
#include "query/budget.hpp"
#include "query/kinds/entry_search.hpp"
#include "query/kinds/partition_calendar.hpp"
#include "query/kinds/profile_clock.hpp"

namespace cdp {
namespace {

using Order = FunnelRules::Order;
using Mode = FunnelRules::ExclusionMode;

constexpr std::uint64_t kRowsACheck = 1u << 16;      // the budget is asked so often
constexpr std::uint64_t kGraceTriesMost = 1u << 20;  // of one entry
constexpr std::uint32_t kNoState = UINT32_MAX;

// How good a path is so far: greater is better. Steps to come add the same to every path that waits for them.
struct Worth {
  std::uint32_t required = 0;
  std::uint32_t optional = 0;
  std::uint32_t lower_first = 0;  // bit 31 − step
  friend auto operator<=>(const Worth&, const Worth&) = default;
};

Worth with_step(const FunnelRules& rules, Worth worth, std::uint32_t step) noexcept {
  (((rules.optional >> step) & 1) != 0 ? worth.optional : worth.required) += 1;
  worth.lower_first |= 1u << (31 - step);
  return worth;
}
Worth worth_of(const FunnelRules& rules, std::uint32_t taken) noexcept {
  Worth out;
  for (std::uint32_t left = taken; left != 0; left &= left - 1)
    out = with_step(rules, out, static_cast<std::uint32_t>(std::countr_zero(left)));
  return out;
}

}  // namespace

class FunnelWalker::Walk {
 public:
  Walk(const FunnelRules& rules, const Budget* budget)
      : rules_(rules), budget_(budget), all_((std::uint64_t{1} << rules.steps) - 1) {
    for (std::uint32_t step = 0; step + 1 < rules.steps; ++step) {
      for (std::uint32_t to = step + 1; to < rules.steps; ++to) {
        pairs_.push_back({step, to, exclusions_between(step, to)});
        if (((rules.optional >> to) & 1) == 0) break;
      }
    }
    for (std::uint32_t step = 0; step < rules.steps; ++step) {
      const bool stands =
          ((rules.anchored >> step) & 1) != 0 || (step > 0 && ((rules.anchored >> (step - 1)) & 1) != 0);
      if (groups_.empty() || stands) groups_.push_back(0);
      groups_.back() |= std::uint64_t{1} << step;
    }
    by_steps_ = rules.order == Order::kInOrder && rules.optional == 0 && rules.grace == 0 && rules.step_window == 0 &&
                (rules.exclusions.empty() || rules.exclusion_mode != Mode::kAnyCleanPath);
    places_.resize(by_steps_ ? rules.steps : 0);
    is_chain_ = by_steps_ && rules.exclusions.empty() && !rules.calendar && rules.session_gap == 0 && !rules.several &&
                rules.attempt == FunnelRules::Attempt::kLongest && rules.count == FunnelRules::Count::kProfiles;
    ends_matter_ = rules.count == FunnelRules::Count::kTotals || !rules.exclusions.empty();
    entry_steps_ = rules.order == Order::kAnyOrder ? groups_.front() : 1;
    if (rules.calendar) calendar_.emplace(*rules.calendar);
  }

  [[nodiscard]] std::span<const FunnelAttempt> run(std::span<const MatchedRow> rows, const ProfileClock* clock) {
    rows_ = rows;
    clock_ = clock;
    found_.clear();
    if (!begin()) return {};
    if (is_chain_) {
      find_chain();
      return {&chain_, 1};
    }
    switch (rules_.count) {
      case FunnelRules::Count::kProfiles: one(); break;
      case FunnelRules::Count::kTotals: in_turn(); break;
      case FunnelRules::Count::kAllEntries:
      case FunnelRules::Count::kProfilesByInterval:
        for (std::size_t at = 0; at < rows_.size(); ++at) {
          if (!enters(at)) continue;
          found_.push_back(attempt_from(at));
          if (removes(found_.back())) return {};
        }
    }
    return found_;
  }

 private:
  struct Pair {  // of steps that may be taken one after the other
    std::uint32_t from;
    std::uint32_t to;
    std::uint64_t exclusions;
  };
  struct State {  // a path up to a row
    Worth worth;
    std::uint32_t step;
    std::uint32_t row;
    std::uint32_t before;  // kNoState
  };

  // What is asked of these rows again and again; false when none of them is an entry.
  [[nodiscard]] bool begin() {
    std::uint64_t seen = 0;
    first_entry_ = rows_.size();
    for (std::size_t i = rows_.size(); i-- > 0;) {
      seen |= rows_[i].selectors;
      if (enters(i)) first_entry_ = i;
    }
    if (first_entry_ == rows_.size()) return false;
    // No attempt takes more than the steps that there are rows of, up to the first that has to be taken and has none.
    const std::uint64_t missing = all_ & ~seen & ~std::uint64_t{rules_.optional};
    possible_ = static_cast<std::uint32_t>(seen & all_ & ((missing & (~missing + 1)) - 1));
    if (rules_.order == Order::kAnyOrder) possible_ = static_cast<std::uint32_t>(all_);
    knows_places_ = false;
    if (is_chain_) return true;
    sessions_.clear();
    for (std::size_t i = 0; rules_.session_gap != 0 && i < rows_.size(); ++i) {
      const bool goes_on = i != 0 && rows_[i].time_ms - rows_[i - 1].time_ms <= rules_.session_gap;
      sessions_.push_back(i == 0 ? 0 : sessions_.back() + (goes_on ? 0 : 1));
    }
    days_.clear();
    for (std::size_t i = 0; rules_.calendar && i < rows_.size(); ++i)
      days_.push_back(calendar_->bucket_start(clock_ == nullptr ? rows_[i].time_ms : clock_->shown(rows_[i].time_ms)));
    return true;
  }
  void find_places() {
    if (std::exchange(knows_places_, true)) return;
    for (std::vector<std::uint32_t>& places : places_) places.clear();
    std::fill_n(cursors_.begin(), rules_.steps, 0);
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      for (std::uint64_t mask = steps_at(i); mask != 0; mask &= mask - 1)
        places_[static_cast<std::size_t>(std::countr_zero(mask))].push_back(i);
    }
  }
  [[nodiscard]] std::uint64_t steps_at(std::size_t row) const noexcept { return rows_[row].selectors & all_; }
  [[nodiscard]] std::uint64_t exclusions_at(std::size_t row) const noexcept {
    const std::uint64_t mask = (std::uint64_t{1} << rules_.exclusions.size()) - 1;
    return (rows_[row].selectors >> rules_.steps) & mask;
  }
  [[nodiscard]] std::uint64_t exclusions_between(std::uint32_t from, std::uint32_t to) const noexcept {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < rules_.exclusions.size(); ++i) {
      const FunnelExclusion& each = rules_.exclusions[i];
      if (each.from < to && each.to > from) mask |= std::uint64_t{1} << i;
    }
    return mask;
  }
  [[nodiscard]] bool counts(std::int64_t time_ms) const noexcept {
    return clock_ == nullptr ? rules_.range.contains(time_ms) : clock_->counts(time_ms);
  }
  [[nodiscard]] bool enters(std::size_t row) const noexcept {
    return (rows_[row].selectors & entry_steps_) != 0 && counts(rows_[row].time_ms);
  }
  [[nodiscard]] bool removes(const FunnelAttempt& attempt) const noexcept {
    return attempt.excluded && rules_.exclusion_mode == Mode::kRemove;
  }
  // Rows of the entry's window are not one stretch where a local day comes back, so each is asked.
  [[nodiscard]] bool in_window(std::size_t entry, std::size_t row) const noexcept {
    const std::int64_t start = rows_[entry].time_ms, time = rows_[row].time_ms;
    if (rules_.calendar) return days_[row] == days_[entry];
    if (!sessions_.empty()) return sessions_[row] == sessions_[entry];
    return time - start <= rules_.window;
  }
  // The first row behind the entry that no row of its window follows.
  [[nodiscard]] std::size_t window_end(std::size_t entry) const noexcept {
    if (!sessions_.empty()) {
      const auto from = sessions_.begin() + static_cast<std::ptrdiff_t>(entry);
      return static_cast<std::size_t>(std::upper_bound(from, sessions_.end(), *from) - sessions_.begin());
    }
    std::int64_t last = rows_[entry].time_ms + rules_.window;
    if (rules_.calendar) {
      // A day that comes back does so within the day after.
      last = rules_.calendar->next_start(rules_.calendar->next_start(days_[entry])) - 1;
      if (clock_ != nullptr) last += kClockMostMs;
    }
    const auto later = [](std::int64_t time, const MatchedRow& row) { return time < row.time_ms; };
    auto end = std::upper_bound(rows_.begin() + static_cast<std::ptrdiff_t>(entry), rows_.end(), last, later);
    std::size_t out = static_cast<std::size_t>(end - rows_.begin());
    while (rules_.calendar && out > entry + 1 && !in_window(entry, out - 1)) --out;
    return out;
  }
  void count_row() {
    if (budget_ != nullptr && ++counted_ % kRowsACheck == 0) budget_->check();
  }

  void one() {
    const bool more_may_remove = rules_.exclusion_mode == Mode::kRemove && !rules_.exclusions.empty();
    for (std::size_t at = first_entry_; at < rows_.size(); ++at) {
      if (!enters(at)) continue;
      const FunnelAttempt found = attempt_from(at);
      if (removes(found)) return found_.clear();
      if (found_.empty()) {
        found_.push_back(found);
      } else if (worth_of(found_[0].taken) < worth_of(found.taken)) {
        found_[0] = found;
      }
      if (rules_.attempt == FunnelRules::Attempt::kFirstEntry) break;
      if (found_[0].taken == possible_ && !more_may_remove) break;
    }
  }

  // The plain funnel: mostly the first entry gets as far as there are rows for, else the best one is found in one pass.
  void find_chain() {
    take_earliest(first_entry_);
    if (chain_.taken == possible_) return;
    std::fill_n(chains_.begin(), rules_.steps, StepChain{});
    step_rows_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const bool inside = counts(rows_[i].time_ms);
      const auto steps = static_cast<std::uint32_t>(steps_at(i));
      step_rows_.push_back({rows_[i].time_ms, steps, inside});
      advance(chains_.data(), steps, rows_[i].time_ms, inside, rules_.window, rules_.strictly_later);
    }
    const std::uint32_t depth = depth_of(chains_.data(), rules_.steps);
    if (depth <= static_cast<std::uint32_t>(std::popcount(chain_.taken))) return;
    take_earliest(earliest_entry(step_rows_, depth, rules_.window, rules_.strictly_later));
  }
  // The earliest next row of each step.
  void take_earliest(std::size_t entry) {
    chain_.taken = 1;
    chain_.row[0] = static_cast<std::uint32_t>(entry);
    const std::int64_t start = rows_[entry].time_ms;
    std::int64_t last = start;
    std::uint32_t step = 1;
    for (std::size_t row = entry + 1; row < rows_.size() && step < rules_.steps; ++row) {
      const std::int64_t time = rows_[row].time_ms;
      if (time - start > rules_.window) break;
      const bool takes = ((rows_[row].selectors >> step) & 1) != 0 && !(rules_.strictly_later && time <= last);
      if (!takes) continue;
      chain_.row[step] = static_cast<std::uint32_t>(row);
      chain_.taken |= 1u << step++;
      last = time;
    }
  }

  // One attempt at a time: the next enters when the one before has converted, was dropped, or its time is over.
  void in_turn() {
    for (std::size_t at = 0; at < rows_.size();) {
      if (!enters(at)) {
        ++at;
        continue;
      }
      found_.push_back(attempt_from(at));
      if (removes(found_.back())) return found_.clear();
      at = std::max(found_.back().next, at + 1);
    }
  }

  [[nodiscard]] Worth worth_of(std::uint32_t taken) const noexcept { return cdp::worth_of(rules_, taken); }
  [[nodiscard]] Worth with_step(Worth worth, std::uint32_t step) const noexcept {
    return cdp::with_step(rules_, worth, step);
  }

  [[nodiscard]] FunnelAttempt attempt_from(std::size_t entry) {
    if (rules_.order == Order::kAnyOrder) return unordered(entry);
    FunnelAttempt out = rules_.grace != 0 ? graced(entry) : by_steps_ ? stepwise(entry) : searched(entry);
    if (ends_matter_) end_attempt(entry, out);
    return out;
  }

  // --- any order: rows fill steps, each one, as a matching that only grows
  [[nodiscard]] FunnelAttempt unordered(std::size_t entry) {
    FunnelAttempt out;
    std::array<std::size_t, kStepsMax> filled;
    filled.fill(SIZE_MAX);
    std::uint32_t done = 0;
    std::uint64_t seen = 0;
    std::size_t group = 0;  // of steps in any order, that rows fill now
    std::uint32_t in_group = 0;
    const std::size_t end = window_end(entry);
    out.next = end;
    for (std::size_t row = entry; row < end && done < rules_.steps; ++row) {
      count_row();
      if (row != entry && !in_window(entry, row)) continue;
      std::uint32_t tried = 0;
      std::uint32_t more = 0;
      if (rules_.several) {
        while (group < groups_.size() && (steps_at(row) & groups_[group] & ~seen) != 0) {
          more += static_cast<std::uint32_t>(std::popcount(steps_at(row) & groups_[group] & ~seen));
          seen |= steps_at(row) & groups_[group];
          if ((groups_[group] & ~seen) == 0) ++group;
        }
      } else if (fill(row, groups_[group], filled, tried)) {
        more = 1;
        if (++in_group == static_cast<std::uint32_t>(std::popcount(groups_[group]))) ++group, in_group = 0;
      }
      if (more == 0) {
        if (exclusions_at(row) == 0) continue;
        out.excluded = true;
        out.next = row + 1;
        break;
      }
      for (; more != 0; --more) {
        out.row[done] = static_cast<std::uint32_t>(row);
        out.taken |= 1u << done++;
      }
      if (done == rules_.steps) out.next = row + 1;
    }
    return out;
  }
  // Gives the row one of the steps, moving others to other steps where need be.
  [[nodiscard]] bool fill(std::size_t row, std::uint64_t steps, std::array<std::size_t, kStepsMax>& filled,
                          std::uint32_t& tried) const {
    for (std::uint64_t mask = steps_at(row) & steps; mask != 0; mask &= mask - 1) {
      const auto step = static_cast<std::uint32_t>(std::countr_zero(mask));
      if (((tried >> step) & 1) != 0) continue;
      tried |= 1u << step;
      if (filled[step] != SIZE_MAX && !fill(filled[step], steps, filled, tried)) continue;
      filled[step] = row;
      return true;
    }
    return false;
  }

  // --- in order, nothing between matters: the earliest next row of each step
  [[nodiscard]] FunnelAttempt stepwise(std::size_t entry) {
    find_places();
    FunnelAttempt out;
    out.taken = 1;
    out.row[0] = static_cast<std::uint32_t>(entry);
    for (std::uint32_t step = 1; step < rules_.steps; ++step) {
      const std::uint32_t before = out.row[step - 1];
      const std::vector<std::uint32_t>& places = places_[step];
      // Entries ascend, so their next rows do as well, but where a local day comes back.
      std::uint32_t& cursor = cursors_[step];
      const std::uint32_t least = before + (rules_.several ? 0 : 1);
      if (rules_.calendar)
        cursor = static_cast<std::uint32_t>(std::lower_bound(places.begin(), places.end(), least) - places.begin());
      while (cursor < places.size() && places[cursor] < least) ++cursor;
      while (rules_.strictly_later && cursor < places.size() && rows_[places[cursor]].time_ms <= rows_[before].time_ms)
        ++cursor;
      auto next = places.begin() + cursor;
      while (rules_.calendar && next != places.end() && *next < window_end(entry) && !in_window(entry, *next)) ++next;
      if (next == places.end() || !in_window(entry, *next)) break;
      out.row[step] = *next;
      out.taken |= 1u << step;
    }
    return out;
  }

  // --- anything in order: the best path that waits for each pair of steps, row by row
  [[nodiscard]] FunnelAttempt searched(std::size_t entry) {
    states_.clear();
    live_.assign(pairs_.size(), kNoState);
    waiting_.assign(pairs_.size(), kNoState);
    held_.assign(rules_.step_window != 0 ? pairs_.size() : 0, {});
    states_.push_back({with_step({}, 0), 0, static_cast<std::uint32_t>(entry), kNoState});
    if (rules_.several) extend(entry, 0);
    std::uint32_t best = 0;
    for (std::uint32_t state = 0; state < states_.size(); ++state) {
      if (states_[best].worth < states_[state].worth) best = state;
      offer(state);
    }
    const std::size_t end = window_end(entry);
    for (std::size_t row = entry + 1; row < end; ++row) {
      count_row();
      if (rows_[row].time_ms != rows_[row - 1].time_ms) settle();
      const auto found = static_cast<std::uint32_t>(states_.size());
      if (in_window(entry, row)) extend(row, found);
      if (!block(row) && states_.size() == found) break;  // nothing waits any more
      for (std::uint32_t state = found; state < states_.size(); ++state) {
        if (states_[best].worth < states_[state].worth) best = state;
        offer(state);
      }
    }
    FunnelAttempt out;
    for (std::uint32_t state = best; state != kNoState; state = states_[state].before) {
      out.taken |= 1u << states_[state].step;
      out.row[states_[state].step] = states_[state].row;
    }
    return out;
  }
  // A path may be gone on with by later rows; where only later times count, from the next millisecond on.
  void offer(std::uint32_t state) {
    for (std::size_t pair = 0; pair < pairs_.size(); ++pair) {
      if (pairs_[pair].from != states_[state].step) continue;
      if (held_.empty()) {
        better((rules_.strictly_later ? waiting_ : live_)[pair], state);
      } else {
        held_[pair].push_back(state);
      }
    }
  }
  // With a window of each step: of the paths that wait for the pair, the best that is near enough to the row. A later one may
  // reach further, so all of them wait, in order of their rows.
  [[nodiscard]] std::uint32_t nearest(std::size_t pair, std::size_t row) {
    std::vector<std::uint32_t>& states = held_[pair];
    const std::int64_t time = rows_[row].time_ms;
    const auto time_of = [&](std::uint32_t state) { return rows_[states_[state].row].time_ms; };
    const auto gone = std::find_if(states.begin(), states.end(),
                                   [&](std::uint32_t state) { return time - time_of(state) <= rules_.step_window; });
    states.erase(states.begin(), gone);
    std::uint32_t best = kNoState;
    for (const std::uint32_t state : states) {
      count_row();
      if (rules_.strictly_later && time_of(state) >= time) break;
      better(best, state);
    }
    return best;
  }
  // The path that waits for this pair and that the row may go on with.
  [[nodiscard]] std::uint32_t waits(std::size_t pair, std::size_t row) {
    return held_.empty() ? live_[pair] : nearest(pair, row);
  }
  void better(std::uint32_t& into, std::uint32_t state) const noexcept {
    if (state == kNoState) return;
    if (into == kNoState || states_[into].worth < states_[state].worth) into = state;
  }
  void settle() {
    for (std::size_t pair = 0; pair < pairs_.size() && rules_.strictly_later; ++pair) {
      better(live_[pair], waiting_[pair]);
      waiting_[pair] = kNoState;
    }
  }
  // New states of this row: for each step it can take, the best path that waits for it. `own`: the first state of this row; a
  // row that may fill several steps goes on with those as well.
  void extend(std::size_t row, std::uint32_t own) {
    for (std::uint64_t mask = steps_at(row) & ~std::uint64_t{1}; mask != 0; mask &= mask - 1) {
      const auto step = static_cast<std::uint32_t>(std::countr_zero(mask));
      std::uint32_t best = kNoState;
      const auto take = [&](std::uint32_t state) {
        const bool wins = best == kNoState || states_[best].worth < states_[state].worth ||
                          (states_[best].worth == states_[state].worth && states_[state].row < states_[best].row);
        if (wins) best = state;
      };
      for (std::size_t pair = 0; pair < pairs_.size(); ++pair) {
        if (pairs_[pair].to != step) continue;
        if (const std::uint32_t state = waits(pair, row); state != kNoState) take(state);
        for (std::uint32_t state = own; rules_.several && state < states_.size(); ++state) {
          if (states_[state].step == pairs_[pair].from) take(state);
        }
      }
      if (best == kNoState) continue;
      states_.push_back({with_step(states_[best].worth, step), step, static_cast<std::uint32_t>(row), best});
    }
  }
  // Paths that this row must not lie in end; false when none is left.
  bool block(std::size_t row) {
    bool any = false;
    for (std::size_t pair = 0; pair < pairs_.size(); ++pair) {
      if (forbids(pairs_[pair], row) || (breaks_clean(pairs_[pair], row))) {
        live_[pair] = waiting_[pair] = kNoState;
        if (!held_.empty()) held_[pair].clear();
      }
      any |= live_[pair] != kNoState || waiting_[pair] != kNoState || (!held_.empty() && is_waiting(pair, row));
    }
    return any;
  }
  [[nodiscard]] bool is_waiting(std::size_t pair, std::size_t row) const noexcept {
    const std::vector<std::uint32_t>& states = held_[pair];
    return !states.empty() && rows_[row].time_ms - rows_[states_[states.back()].row].time_ms <= rules_.step_window;
  }
  [[nodiscard]] bool breaks_clean(const Pair& pair, std::size_t row) const noexcept {
    return rules_.exclusion_mode == Mode::kAnyCleanPath && (exclusions_at(row) & pair.exclusions) != 0;
  }
  // May this row not lie between the two steps, by the order?
  [[nodiscard]] bool forbids(const Pair& pair, std::size_t row) const noexcept {
    if (rules_.order == Order::kStrictAll) return true;
    const std::uint64_t steps = steps_at(row);
    const std::uint64_t own = (std::uint64_t{1} << pair.from) | (std::uint64_t{1} << pair.to);
    return rules_.order == Order::kStrictSteps && steps != 0 && (steps & own) == 0;
  }

  // Where the attempt ends: at its last step, at an exclusion, where its order breaks, or with its window.
  void end_attempt(std::size_t entry, FunnelAttempt& attempt) {
    if (rules_.exclusion_mode != Mode::kAnyCleanPath && !rules_.exclusions.empty() && cut(attempt)) return;
    const std::uint32_t last = 31u - static_cast<std::uint32_t>(std::countl_zero(attempt.taken));
    if (last + 1 == rules_.steps) {
      attempt.next = 0;  // behind its last row: under a grace not that of the last step
      for (std::uint32_t step = 0; step < rules_.steps; ++step) {
        if (attempt.has(step)) attempt.next = std::max(attempt.next, attempt.row[step] + std::size_t{1});
      }
      return;
    }
    const std::size_t end = rules_.step_window != 0 ? behind(attempt.row[last]) : window_end(entry);
    const Pair waits{last, last + 1, exclusions_between(last, last + 1)};
    const bool drops = rules_.exclusion_mode != Mode::kAnyCleanPath && waits.exclusions != 0;
    attempt.next = end;
    if (!drops && rules_.order == Order::kInOrder) return;
    for (std::size_t row = attempt.row[last] + std::size_t{1}; row < end; ++row) {
      count_row();
      if (drops && (exclusions_at(row) & waits.exclusions) != 0 && in_window(entry, row)) {
        attempt.excluded = true;
        attempt.next = row + 1;
        return;
      }
      if (waits_for_more(last, row)) continue;
      attempt.next = row;
      return;
    }
  }
  // The first row too far behind this one for the window of a step.
  [[nodiscard]] std::size_t behind(std::size_t row) const noexcept {
    const auto later = [](std::int64_t time, const MatchedRow& each) { return time < each.time_ms; };
    const std::int64_t last = rows_[row].time_ms + rules_.step_window;
    return static_cast<std::size_t>(
        std::upper_bound(rows_.begin() + static_cast<std::ptrdiff_t>(row), rows_.end(), last, later) - rows_.begin());
  }
  // Whether a path that stands at this step survives the row by some pair.
  [[nodiscard]] bool waits_for_more(std::uint32_t step, std::size_t row) const {
    return std::any_of(pairs_.begin(), pairs_.end(),
                       [&](const Pair& pair) { return pair.from == step && !forbids(pair, row); });
  }
  // Ends the path in front of the first exclusion that lies in it; false when there is none.
  [[nodiscard]] bool cut(FunnelAttempt& attempt) {
    std::uint32_t from = 0;
    for (std::uint32_t to = 1; to < rules_.steps; ++to) {
      if (!attempt.has(to)) continue;
      const std::uint64_t wanted = exclusions_between(from, to);
      const auto [first, behind] = std::minmax(attempt.row[from], attempt.row[to]);
      for (std::size_t row = first + std::size_t{1}; wanted != 0 && row < behind; ++row) {
        count_row();
        if ((exclusions_at(row) & wanted) == 0) continue;
        attempt.taken &= (std::uint32_t{2} << from) - 1;
        attempt.excluded = true;
        attempt.next = row + 1;
        return true;
      }
      from = to;
    }
    return false;
  }

  // --- in order but for a grace: every way of giving rows to steps, the worthiest, of those the earliest last row
  [[nodiscard]] FunnelAttempt graced(std::size_t entry) {
    tries_ = 0;
    FunnelAttempt best, path;
    path.taken = 1;
    path.row[0] = static_cast<std::uint32_t>(entry);
    best = path;
    grow(entry, window_end(entry), 0, path, best);
    return best;
  }
  void grow(std::size_t entry, std::size_t end, std::uint32_t from, FunnelAttempt& path, FunnelAttempt& best) {
    const bool is_clean = rules_.exclusion_mode == Mode::kAnyCleanPath;
    for (const Pair& pair : pairs_) {
      if (pair.from != from) continue;
      const std::uint32_t step = pair.to;
      const std::size_t last = path.row[from];
      const auto before = [](const MatchedRow& row, std::int64_t time) { return row.time_ms < time; };
      const auto first = std::lower_bound(rows_.begin(), rows_.end(), rows_[last].time_ms - rules_.grace, before);
      for (auto row = static_cast<std::size_t>(first - rows_.begin()); row < end; ++row) {
        if (is_clean && row > last + 1 && (exclusions_at(row - 1) & pair.exclusions) != 0) break;
        if (((rows_[row].selectors >> step) & 1) == 0 || !in_window(entry, row) || is_used(path, row)) continue;
        if (is_clean && row < last && lies_between(row, last, pair.exclusions)) continue;
        if (++tries_ > kGraceTriesMost) {
          throw Error(Family::kLimitExceeded, code::kQueryInvalid,
                      "events that fill several steps have too many orders under this grace; take a smaller grace",
                      "same_time.grace");
        }
        count_row();
        path.row[step] = static_cast<std::uint32_t>(row);
        path.taken |= 1u << step;
        const Worth worth = worth_of(path.taken), known = worth_of(best.taken);
        if (known < worth || (known == worth && earlier(path, best))) best = path;
        grow(entry, end, step, path, best);
        path.taken &= ~(1u << step);
        // It can be no other step: later ones are no better, unless they are what keeps a path clean.
        if (std::popcount(steps_at(row)) == 1 && !is_clean) break;
      }
    }
  }
  [[nodiscard]] static bool is_used(const FunnelAttempt& path, std::size_t row) noexcept {
    for (std::uint32_t left = path.taken; left != 0; left &= left - 1) {
      if (path.row[static_cast<std::size_t>(std::countr_zero(left))] == row) return true;
    }
    return false;
  }
  [[nodiscard]] bool lies_between(std::size_t first, std::size_t behind, std::uint64_t exclusions) {
    for (std::size_t row = first + 1; row < behind && exclusions != 0; ++row) {
      count_row();
      if ((exclusions_at(row) & exclusions) != 0) return true;
    }
    return false;
  }
  // REQUIRES: the same steps.
  [[nodiscard]] static bool earlier(const FunnelAttempt& left, const FunnelAttempt& right) {
    for (std::uint32_t step = kStepsMax; step-- > 0;) {
      if (left.has(step) && left.row[step] != right.row[step]) return left.row[step] < right.row[step];
    }
    return false;
  }

  const FunnelRules& rules_;
  const Budget* budget_;
  std::uint64_t all_;
  std::span<const MatchedRow> rows_;
  const ProfileClock* clock_ = nullptr;
  std::vector<FunnelAttempt> found_;
  std::uint32_t possible_ = 0;  // steps that these rows can fill at all
  bool by_steps_ = false;       // the earliest rows, step by step
  bool is_chain_ = false;       // the plain funnel
  bool knows_places_ = false;
  bool ends_matter_ = false;  // to what comes next, or to what an exclusion leaves
  std::uint64_t entry_steps_ = 1;
  std::size_t first_entry_ = 0;
  FunnelAttempt chain_;
  std::vector<std::uint64_t> groups_;  // any_order: steps that may be filled in any order, one group behind the other
  std::vector<Pair> pairs_;
  std::vector<std::vector<std::uint32_t>> places_;  // rows of each step, when by_steps_
  std::array<std::uint32_t, kStepsMax> cursors_{};  // in them, behind which the next entry looks on
  std::vector<std::uint32_t> sessions_;             // of each row, when the window is one
  std::optional<PartitionCalendar> calendar_;       // of the window
  std::vector<std::int64_t> days_;                  // of each row the start of its bucket, when the window is one
  std::array<StepChain, kStepsMax> chains_;         // of the plain funnel
  std::vector<StepRow> step_rows_;
  std::vector<std::vector<std::uint32_t>>
      held_;  // of each pair, with a window of each step: the paths that wait for it
  std::vector<State> states_;
  std::vector<std::uint32_t> live_;     // of each pair: the best path that waits for it
  std::vector<std::uint32_t> waiting_;  // the same of this millisecond
  std::uint64_t counted_ = 0;
  std::uint64_t tries_ = 0;
};

FunnelWalker::FunnelWalker(const FunnelRules& rules, const Budget* budget)
    : walk_(std::make_unique<Walk>(rules, budget)) {}
FunnelWalker::~FunnelWalker() = default;

std::span<const FunnelAttempt> FunnelWalker::attempts_of(std::span<const MatchedRow> rows, const ProfileClock* clock) {
  return walk_->run(rows, clock);
}

bool is_worth_more(const FunnelRules& rules, std::uint32_t taken, std::uint32_t others) noexcept {
  return worth_of(rules, others) < worth_of(rules, taken);
}

}  // namespace cdp
