// sequence: how many matches of the steps fit one behind the other. One pass over the rows: per step the chains that end
// there, of which only the latest start matters (a chain that began later passes every `within` that an earlier one does), so
// a step keeps a queue of the chains within reach of its gap, best first: how many events come between grows with the rows as
// time does, so it narrows the same queue. Cost: O(rows · steps a row fills), whatever the gaps.
#include <algorithm>
#include <limits>
#include <map>
#include <vector>

#include "query/clauses/found_rows.hpp"
#include "query/clauses/local_times.hpp"
#include "query/clauses/measure.hpp"
#include "query/clauses/row_clauses.hpp"
#include "query/clauses/sequence_scan.hpp"
#include "query/clauses/sequence_walk.hpp"
#include "query/clauses/window.hpp"
#include "query/held_values.hpp"
#include "query/named_keys.hpp"
#include "query/predicate.hpp"

namespace cdp {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kStepsMost = 16;

// From a step to the next, all closed: milliseconds, and how many events of some selector come between.
struct Gap {
  std::int64_t least_ms = 0;
  std::int64_t most_ms = kNever;
  std::int64_t least_events = 0;
  std::int64_t most_events = kNever;
};

struct SequenceSpec final : RowClauseSpec {
  std::vector<TimedSelector> steps;
  std::vector<Gap> gaps;                              // behind each step but the last
  std::vector<std::optional<TimedSelector>> between;  // what is counted in each; none: nothing
  std::int64_t within_ms = kNever;
  std::optional<TimedSelector> without;
  RangeSpec window;
  MeasureSpec count{Measure::kCount, {}, {Op::kGe, {{ValueType::kInt, 1, {}}}, false}};
  std::string hold;

  [[nodiscard]] std::unique_ptr<const RowClause> bind(const Version& version, const Moment& at) const override;
};

// The chains of events that hold one value. Rows come in event order. With a `trace` the rows of matches are added to it.
class Chains {
 public:
  Chains(const std::vector<Gap>& gaps, std::int64_t within_ms, std::vector<const Row*>* trace)
      : gaps_(&gaps), within_ms_(within_ms), trace_(trace), ends_(gaps.size()), counts_(gaps.size()) {}

  // A row that fills these steps (bits), is counted in these gaps, and ends chains that pass over it when `breaks`. True when a
  // match ends here.
  bool add(const Row& row, std::uint32_t steps, std::uint32_t counted, bool breaks) {
    const bool ends = extend(row, steps, counted);
    for (std::size_t gap = 0; gap < counts_.size(); ++gap) counts_[gap] += (counted >> gap) & 1;
    if (breaks && !ends) broken_ = row_;
    return ends;
  }

 private:
  bool extend(const Row& row, std::uint32_t steps, std::uint32_t counted) {
    const std::int64_t time_ms = row.time_ms;
    ++row_;
    const std::size_t last = gaps_->size();
    // From the last step down: a row extends chains of earlier rows only.
    for (std::size_t step = last + 1; step-- > 0;) {
      if (((steps >> step) & 1) == 0) continue;
      const Chain* before = step == 0 ? nullptr : best(step - 1, time_ms);
      if (step != 0 && before == nullptr) continue;
      const std::int64_t start_ms = before == nullptr ? time_ms : before->start_ms;
      if (step < last) {
        const std::int64_t count = counts_[step] + ((counted >> step) & 1);
        ends_[step].waiting.push_back({time_ms, row_, start_ms, count, link_of(row, before)});
      } else if (time_ms - start_ms <= within_ms_) {
        note_match(row, *before);
        for (Ends& ends : ends_) ends = {};
        return true;
      }
    }
    return false;
  }

  static constexpr std::size_t kNoLink = std::numeric_limits<std::size_t>::max();
  struct Chain {
    std::int64_t time_ms = 0;  // of its last row
    std::uint64_t row = 0;
    std::int64_t start_ms = 0;
    std::int64_t count = 0;      // of events of its gap, up to its last row
    std::size_t link = kNoLink;  // its last row, when traced
  };
  struct RowLink {
    const Row* row;
    std::size_t before;
  };
  // Both ends as a deque's, but nothing is allocated while it is empty: most profiles have no chain.
  class Queue {
   public:
    [[nodiscard]] bool empty() const noexcept { return first_ == chains_.size(); }
    [[nodiscard]] const Chain& front() const noexcept { return chains_[first_]; }
    [[nodiscard]] const Chain& back() const noexcept { return chains_.back(); }
    void push_back(const Chain& chain) {
      if (first_ > 16 && first_ * 2 > chains_.size()) {
        chains_.erase(chains_.begin(), chains_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
      }
      chains_.push_back(chain);
    }
    void pop_front() noexcept { ++first_; }
    void pop_back() noexcept { chains_.pop_back(); }

   private:
    std::vector<Chain> chains_;
    std::size_t first_ = 0;
  };
  struct Ends {
    Queue waiting;  // for the gap's least
    Queue reached;  // ascending by row, descending by start
  };

  std::size_t link_of(const Row& row, const Chain* before) {
    if (trace_ == nullptr) return kNoLink;
    links_.push_back({&row, before == nullptr ? kNoLink : before->link});
    return links_.size() - 1;
  }
  void note_match(const Row& last, const Chain& before) {
    if (trace_ == nullptr) return;
    trace_->push_back(&last);
    for (std::size_t link = before.link; link != kNoLink; link = links_[link].before)
      trace_->push_back(links_[link].row);
  }

  // The chain up to this step that a row at this time goes on with; null when there is none.
  const Chain* best(std::size_t step, std::int64_t time_ms) {
    Ends& ends = ends_[step];
    const Gap& gap = (*gaps_)[step];
    const auto is_far = [&](const Chain& chain) {
      return time_ms - chain.time_ms >= gap.least_ms && counts_[step] - chain.count >= gap.least_events;
    };
    while (!ends.waiting.empty() && is_far(ends.waiting.front())) {
      const Chain chain = ends.waiting.front();
      ends.waiting.pop_front();
      while (!ends.reached.empty() && ends.reached.back().start_ms <= chain.start_ms) ends.reached.pop_back();
      ends.reached.push_back(chain);
    }
    const auto is_over = [&](const Chain& chain) {
      return time_ms - chain.time_ms > gap.most_ms || counts_[step] - chain.count > gap.most_events ||
             chain.row < broken_;
    };
    while (!ends.reached.empty() && is_over(ends.reached.front())) ends.reached.pop_front();
    return ends.reached.empty() ? nullptr : &ends.reached.front();
  }

  const std::vector<Gap>* gaps_;
  std::int64_t within_ms_;
  std::vector<const Row*>* trace_;
  std::vector<RowLink> links_;  // of chains, when traced
  std::vector<Ends> ends_;
  std::vector<std::int64_t> counts_;  // events of each gap so far
  std::uint64_t row_ = 0;             // from 1
  std::uint64_t broken_ = 0;          // the last row that broke: chains that end before it are over
};

class Sequence final : public RowClause {
 public:
  Sequence(const SequenceSpec& spec, const Version& version, const Moment& at)
      : gaps_(spec.gaps),
        within_ms_(spec.within_ms),
        window_(spec.window, version, at),
        count_(bind_measure(spec.count, version)),
        is_held_(!spec.hold.empty()),
        bound_ms_(at.now_ms) {
    for (const TimedSelector& step : spec.steps) {
      steps_.emplace_back(step, version, at);
      read_.add(steps_.back().selector, steps_.size() == 1);
    }
    for (const std::optional<TimedSelector>& each : spec.between) {
      between_.emplace_back();
      if (!each) continue;
      between_.back().emplace(*each, version, at);
      read_.add(between_.back()->selector, false);
    }
    if (spec.without) {
      without_.emplace(*spec.without, version, at);
      read_.add(without_->selector, false);
    }
    read_.resolved &= window_.resolved();
    if (window_.trait()) read_.traits.push_back(*window_.trait());
    if (is_held_) {
      hold_ = find_property(spec.hold, version, at);
      read_.resolved &= hold_.has_value();
    }
    find_scan();
  }

  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::span<const Row> rows,
                               std::int64_t now_ms) const override {
    Truth truth;
    std::uint64_t matches = 0;
    if (!rows.empty()) matches = count(version, home, rows, now_ms, truth.valid_until_ms);
    truth.value = measure_holds(count_, matches, {});
    return truth;
  }

  bool scan(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
            std::span<std::uint64_t> out, std::span<std::uint64_t> left) const override {
    if (!plain_ && (!walked_ || !scans_at(now_ms))) return false;
    const auto matches = scratch.zeroed<std::uint32_t>(task.size());
    const TimeRange range = window_.at(*task.version, task.origin(0), now_ms).inside();
    const std::span<std::uint32_t> counts(matches.data(), task.size());
    if (plain_) {
      count_matches(*plain_, task, range, scratch, counts, left);
    } else {
      count_walked(*walked_, task, range, scratch, candidates, counts, left);
    }
    const auto interval = count_.test.int_interval();
    for (std::uint32_t word = 0; word < kStripeWords; ++word) {
      left[word] &= candidates[word];
      for (std::uint64_t bits = candidates[word] & ~left[word]; bits != 0; bits &= bits - 1) {
        const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(bits));
        const std::int64_t count = matches[word * 64 + bit];
        const bool holds = interval ? count >= interval->lo && count <= interval->hi
                                    : measure_holds(count_, static_cast<std::uint64_t>(count), {});
        out[word] |= std::uint64_t{holds} << bit;
      }
    }
    return true;
  }

  // The events of the matches.
  [[nodiscard]] std::vector<const Row*> evidence(const Version& version, Origin home, std::span<const Row> rows,
                                                 std::int64_t now_ms) const override {
    std::int64_t until_ms = INT64_MAX;
    std::vector<const Row*> out;
    count(version, home, rows, now_ms, until_ms, &out);
    std::ranges::sort(out);  // rows lie in event order
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
  }

 private:
  // Where the newest chain at each step is always the best one.
  void find_scan() {
    if (!between_.empty() || window_.of_each_profile() || steps_.size() > PlainSequence::kStepsMax) return;
    WalkedSequence walked;
    walked.within_ms = within_ms_;
    for (const Gap& gap : gaps_) {
      if (gap.least_ms > 0) return;
      walked.gap_most_ms.push_back(gap.most_ms);
    }
    for (const BoundTimed& step : steps_) walked.steps.push_back(&step);
    if (without_) walked.without = &*without_;
    walked.is_held = is_held_;
    walked.hold = hold_;
    const bool by_names =
        (!without_ || without_->by_name_alone()) && std::ranges::all_of(steps_, &BoundTimed::by_name_alone);
    if (is_held_ || !by_names) {
      walked_ = std::move(walked);
      return;
    }
    PlainSequence& plain = plain_.emplace();
    for (const BoundTimed& step : steps_) plain.steps.push_back(&step.selector);
    if (without_) plain.without = &without_->selector;
    plain.gap_most_ms = std::move(walked.gap_most_ms);
    plain.within_ms = within_ms_;
  }
  [[nodiscard]] bool scans_at(std::int64_t now_ms) const noexcept {
    return (!without_ || can_scan(*without_, bound_ms_, now_ms)) &&
           std::ranges::all_of(steps_, [&](const BoundTimed& step) { return can_scan(step, bound_ms_, now_ms); });
  }

  std::uint64_t count(const Version& version, Origin home, std::span<const Row> rows, std::int64_t now_ms,
                      std::int64_t& until_ms, std::vector<const Row*>* trace = nullptr) const {
    const BoundWindow::Now window = window_.at(version, home, now_ms);
    std::uint64_t matches = 0;
    Chains all(gaps_, within_ms_, trace);
    std::map<std::string, Chains> by_value;
    for (const Row& row : rows) {
      std::uint32_t steps = 0;
      for (std::size_t step = 0; step < steps_.size(); ++step) {
        steps |= static_cast<std::uint32_t>(steps_[step].matches(row, now_ms, until_ms) ? 1 : 0) << step;
      }
      const bool breaks = without_ && without_->matches(row, now_ms, until_ms);
      std::uint32_t counted = 0;
      for (std::size_t gap = 0; gap < between_.size(); ++gap) {
        const bool counts = between_[gap] && between_[gap]->matches(row, now_ms, until_ms);
        counted |= static_cast<std::uint32_t>(counts ? 1 : 0) << gap;
      }
      if ((steps == 0 && counted == 0 && !breaks) || !window.holds(row.time_ms, until_ms)) continue;
      if (!is_held_) {
        matches += all.add(row, steps, counted, breaks) ? 1 : 0;
      } else if (hold_) {
        for (const std::string& value : held_values(property(row, *hold_), *version.strings)) {
          Chains& chains = by_value.try_emplace(value, gaps_, within_ms_, trace).first->second;
          matches += chains.add(row, steps, counted, breaks) ? 1 : 0;
        }
      }
    }
    return matches;
  }

  std::vector<BoundTimed> steps_;
  std::vector<Gap> gaps_;
  std::vector<std::optional<BoundTimed>> between_;  // one a gap
  std::int64_t within_ms_;
  std::optional<BoundTimed> without_;
  BoundWindow window_;
  BoundMeasure count_;
  bool is_held_;
  std::int64_t bound_ms_;
  std::optional<KeyId> hold_;
  std::optional<PlainSequence> plain_;    // refers to the steps
  std::optional<WalkedSequence> walked_;  // the same
};

std::unique_ptr<const RowClause> SequenceSpec::bind(const Version& version, const Moment& at) const {
  return std::make_unique<Sequence>(*this, version, at);
}

Gap parse_gap(const Node& node, const Path& path) {
  if (node.type == Node::Type::kNull) return {};
  constexpr std::array<std::string_view, 5> kGapOps = {"lt", "le", "gt", "ge", "eq"};
  Fields fields(node, path);
  const std::size_t op = fields.choice("op", kGapOps, std::nullopt);
  const std::int64_t value_ms = parse_duration(fields.require("value", "a duration"), fields.path("value"));
  fields.done();
  switch (op) {
    case 0: return {0, value_ms - 1};
    case 1: return {0, value_ms};
    case 2: return {value_ms + 1, kNever};
    case 3: return {value_ms, kNever};
    default: return {value_ms, value_ms};
  }
}

}  // namespace

namespace {

//   {selector's fields, "at"?: at, "count": {"op": lt le gt ge eq, "value": n}}    null: any number of anything
void parse_between(const Node& node, const Path& path, const CalendarSpec& calendar, SequenceSpec& out) {
  constexpr std::array<std::string_view, 5> kOps = {"lt", "le", "gt", "ge", "eq"};
  constexpr std::int64_t kCountMost = 1'000'000'000;
  const std::vector<Node>& items = read_array(node, path, out.gaps.size(), out.gaps.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    out.between.emplace_back();
    if (items[i].type == Node::Type::kNull) continue;
    const Path item = path.item(i);
    Fields fields(items[i], item);
    out.between.back() = parse_timed(fields, calendar);
    const Path count_path = fields.path("count");
    Fields count(fields.require("count", "how many come between"), count_path);
    fields.done();
    const std::size_t op = count.choice("op", kOps, std::nullopt);
    const std::int64_t value =
        read_int(count.require("value", "a number of events"), count.path("value"), 0, kCountMost);
    count.done();
    Gap& gap = out.gaps[i];
    if (op <= 1 || op == 4) gap.most_events = op == 0 ? value - 1 : value;
    if (op >= 2) gap.least_events = op == 2 ? value + 1 : value;
  }
}

}  // namespace

std::shared_ptr<const RowClauseSpec> parse_sequence(Fields& fields, const CalendarSpec& calendar) {
  auto out = std::make_shared<SequenceSpec>();
  const Path path = fields.path("sequence");
  const std::vector<Node>& steps = read_array(fields.require("sequence", "a list of steps"), path, 2, kStepsMost);
  for (std::size_t i = 0; i < steps.size(); ++i) out->steps.push_back(parse_timed(steps[i], path.item(i), calendar));
  out->gaps.resize(steps.size() - 1);
  if (const Node* within = fields.take("within")) out->within_ms = parse_duration(*within, fields.path("within"));
  if (const Node* gaps = fields.take("gaps")) {
    const Path at = fields.path("gaps");
    const std::vector<Node>& items = read_array(*gaps, at, steps.size() - 1, steps.size() - 1);
    for (std::size_t i = 0; i < items.size(); ++i) out->gaps[i] = parse_gap(items[i], at.item(i));
  }
  if (const Node* between = fields.take("between")) parse_between(*between, fields.path("between"), calendar, *out);
  if (fields.has("without")) {
    const Path at = fields.path("without");
    out->without = parse_timed(*fields.take_nil("without"), at, calendar);  // null: any event
  }
  if (const Node* window = fields.take("window")) out->window = parse_window(*window, fields.path("window"), calendar);
  if (const Node* count = fields.take("count")) out->count.test = parse_count(*count, fields.path("count"));
  if (const Node* hold = fields.take("hold")) out->hold = parse_key(*hold, fields.path("hold"));
  return out;
}

}  // namespace cdp
