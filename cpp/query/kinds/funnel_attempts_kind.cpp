// Funnels of any rules, counted by attempt (rules and their meaning: funnel_attempts.hpp, fields: funnel_spec.cpp).
//
// A column step_k counts the attempts that took step k (with any_order: k steps), by profile, in turn, or one an entry. With
// `hold` the rows of a profile are told apart by the values of those properties, a list by each of its elements, and each
// tuple of values makes attempts of its own; rows that lack one take no part. Times are from the step taken before, and
// from the first to the last. A breakdown by properties reads the row of a step of the attempt (null where it was not taken),
// or the first or last value that a row of it has, or for each step that step's own row. With an interval a line is of the
// entry's bucket, as the first value of its key.
//
// How: where nothing but how far profiles came is asked, in one pass (funnel_stream). Else rows of a task gathered by profile
// (matched_rows), then attempts_of each. ~20 ns a matched row and ~1 us a profile.
#include <algorithm>
#include <bit>
#include <map>

#include "query/budget.hpp"
#include "query/condition.hpp"
#include "query/exact_sum.hpp"
#include "query/held_values.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/funnel.hpp"
#include "query/kinds/funnel_stream.hpp"
#include "query/kinds/measure_cells.hpp"
#include "query/kinds/partition_calendar.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/profile_filter.hpp"

namespace cdp {
namespace {

constexpr std::size_t kHeldTuplesMost = 1'000'000;  // of one profile
constexpr std::int64_t kNeither = -1;               // in place of a number: one of the two steps was not taken

// What is known of one group: attempts by step, and the times they took where those are asked for.
struct GroupSteps {
  std::vector<std::uint64_t> reached;
  std::vector<std::vector<std::int64_t>> times;  // to each step but the first, and last from the first to the last
};

struct AttemptsPartial final : Partial {
  explicit AttemptsPartial(std::size_t operands) : groups(operands) {}
  Groups groups;
  GroupTable cells;               // (group, start of the bucket; null without an interval)
  std::vector<GroupSteps> steps;  // of a cell
  std::uint64_t time_count = 0;
  std::uint64_t charged_bytes = 0;
  GrownGroups grown;
  std::uint32_t last_cell = kNone;  // that was asked for, and of what
  std::uint32_t last_group = 0;
  Value last_bucket;
};

class AttemptsFunnelKind final : public Kind {
 public:
  AttemptsFunnelKind(const FunnelSpec& spec, const Binding& binding)
      : rules_(spec.rules),
        times_(spec.times),
        attribution_(spec.attribution),
        breakdown_(binding.common.breakdown, binding.version, binding.moment()),
        limit_(binding.common.limit),
        clocks_(std::make_shared<const ProfileClocks>(binding)),
        first_(spec.first) {
    breakdown_.use(clocks_);
    const Zone& zone = clocks_->are_own() ? Zone::utc() : binding.zone;
    rules_.range = binding.range;
    if (spec.interval) {
      buckets_.emplace(zone, *spec.interval, binding.common.week_start, steps_origin_ms(binding));
    }
    if (spec.window_unit) {
      rules_.calendar.emplace(zone, *spec.window_unit, binding.common.week_start, steps_origin_ms(binding));
    }
    std::vector<BoundSelector> selectors;
    for (const Selector& step : spec.steps) selectors.push_back(bind_selector(step, binding.version, binding.moment()));
    for (const Selector& each : spec.excluded)
      selectors.push_back(bind_selector(each, binding.version, binding.moment()));
    if (rules_.order == FunnelRules::Order::kStrictAll || rules_.session_gap != 0)
      selectors.push_back(bind_selector({}, binding.version, binding.moment()));
    for (std::size_t step = 0; step < first_.size(); ++step) {
      looks_back_ |= first_[step] != StepFirst::kNo;
      if (first_[step] == StepFirst::kEvent) {
        first_of_.push_back(selectors.size());
        selectors.push_back(bind_selector({spec.steps[step].names, {}}, binding.version, binding.moment()));
      } else {
        first_of_.push_back(step);
      }
    }
    kept_ = (std::uint64_t{1} << (spec.steps.size() + spec.excluded.size())) - 1;
    if (rules_.order == FunnelRules::Order::kStrictAll || rules_.session_gap != 0) kept_ = kept_ * 2 + 1;
    walked_ = kept_;
    if (spec.frequency) {
      frequency_ = {spec.frequency->from, spec.frequency->to, std::uint64_t{1} << selectors.size()};
      kept_ |= frequency_->selector;
      selectors.push_back(bind_selector(spec.frequency->selector, binding.version, binding.moment()));
    }
    matcher_ = RowMatcher(std::move(selectors));
    for (const std::string& key : spec.hold) {
      binding.note_property(key);
      const auto id = binding.version.keys->find(key);
      held_.push_back(id ? std::optional(KeyId{*id}) : std::nullopt);
    }
    matcher_.hold(held_);
    if (counts_alone()) stream_ = FunnelStream::of(rules_, first_rows(), kept_);
    // A grace may reach in front of the entry, step by step.
    constexpr std::int64_t kFar = std::int64_t{1} << 60;
    const std::int64_t back = rules_.grace * rules_.steps;
    const bool open = looks_back_ || binding.range.start_ms < -kFar;
    seen_ = {open ? INT64_MIN : binding.range.start_ms - back, binding.now_ms + 1};
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    auto out = std::make_unique<AttemptsPartial>(breakdown_.size());
    if (shown_) {
      for (const std::vector<Value>& key : *shown_) out->groups.find_or_add(key);
    }
    return out;
  }
  [[nodiscard]] std::vector<NameId> names() const override { return matcher_.names(); }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<AttemptsPartial&>(partial);
    if (stream_ && add_streamed(context, task, scratch, into)) return charge(context, into);
    Breakdown::TaskMembers members(breakdown_, context, task, scratch);
    Work work(*this, context, into);
    matcher_.for_each_profile(context, task, scratch, seen_,
                              [&](std::uint32_t profile, std::span<const MatchedRow> rows) {
                                add_profile(work, task.origin(profile), rows, members.of(profile), true);
                              });
    charge(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    std::vector<MatchedRow> matched;
    matcher_.match(rows, seen_, matched);
    if (matched.empty()) return;
    Work work(*this, context, static_cast<AttemptsPartial&>(partial));
    add_profile(work, home, matched, breakdown_.members_of(*context.version, home), false);
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<AttemptsPartial&>(into);
    auto& right = static_cast<AttemptsPartial&>(from);
    // Those that are shown are the same in every partial.
    const std::vector<std::uint32_t> group =
        shown_ ? std::vector<std::uint32_t>() : right.groups.merge_into(left.groups);
    for (std::uint32_t i = 0; i < right.steps.size(); ++i) {
      const std::uint32_t of_right = right.cells.prefix(i);
      add_up(at(left, shown_ ? of_right : group[of_right], right.cells.value(i)), right.steps[i]);
    }
    left.time_count += right.time_count;
  }

  // A profile may be in several groups of the rest, so they do not add up: the rows are looked at again.
  [[nodiscard]] std::unique_ptr<Kind> again(const QueryContext& context, const Partial& partial) const override {
    if (!limit_ || shown_ || !breakdown_.has_members()) return nullptr;
    const auto& total = static_cast<const AttemptsPartial&>(partial);
    std::map<std::uint32_t, std::uint64_t> entries;  // by group
    for (std::uint32_t cell = 0; cell < total.steps.size(); ++cell) {
      if (counts_any(total.steps[cell])) entries[total.cells.prefix(cell)] += total.steps[cell].reached[0];
    }
    if (entries.size() <= static_cast<std::uint64_t>(*limit_)) return nullptr;
    const Dictionary& strings = *context.version->strings;
    std::vector<std::pair<std::uint64_t, std::vector<Value>>> ranked;
    for (const auto& [group, count] : entries) ranked.emplace_back(count, total.groups.key(group));
    std::sort(ranked.begin(), ranked.end(), [&](const auto& left, const auto& right) {
      if (left.first != right.first) return left.first > right.first;
      return compare_keys(left.second, right.second, strings) < 0;
    });
    auto next = std::make_unique<AttemptsFunnelKind>(*this);
    next->shown_.emplace();
    for (std::size_t i = 0; i < static_cast<std::size_t>(*limit_); ++i)
      next->shown_->push_back(std::move(ranked[i].second));
    return next;
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    auto& total = static_cast<AttemptsPartial&>(*partial);
    const Dictionary& strings = *context.version->strings;
    const bool is_whole = breakdown_.empty() && !buckets_ && !frequency_;
    if (is_whole) static_cast<void>(at(total, 0, {}));
    std::vector<Line> lines;
    if (shown_) lines = lines_of_shown(total);
    for (std::uint32_t cell = 0; cell < total.steps.size() && !shown_; ++cell) {
      if (!counts_any(total.steps[cell]) && !is_whole) continue;
      lines.push_back(
          {total.groups.key(total.cells.prefix(cell)), bucket_of(total, cell), std::move(total.steps[cell]), false});
    }
    if (shown_) return table_of(lines, strings);
    std::sort(lines.begin(), lines.end(), [&](const Line& left, const Line& right) {
      if (left.bucket_ms != right.bucket_ms) return left.bucket_ms < right.bucket_ms;
      return compare_keys(left.key, right.key, strings) < 0;
    });
    cut(lines, strings);
    return table_of(lines, strings);
  }

 private:
  struct Line {
    std::vector<Value> key;
    std::int64_t bucket_ms = 0;  // of the entry, with an interval; or how often
    GroupSteps steps;
    bool is_rest = false;
  };

  // Nothing is asked but how many profiles took each step, each in one group whatever it took.
  [[nodiscard]] bool counts_alone() const {
    return times_.empty() && !buckets_ && !frequency_ && !clocks_->are_own() && held_.empty() &&
           !breakdown_.reads_properties() && !breakdown_.has_members();
  }
  [[nodiscard]] std::vector<FirstRows> first_rows() const {
    std::vector<FirstRows> out;
    for (std::uint32_t step = 0; step < first_.size(); ++step) {
      if (first_[step] != StepFirst::kNo) out.push_back({step, first_of_[step]});
    }
    return out;
  }
  [[nodiscard]] bool add_streamed(const QueryContext& context, Task& task, Scratch& scratch,
                                  AttemptsPartial& partial) const {
    const auto outcome = stream_->run(rules_, matcher_, seen_, task, scratch);
    if (!outcome) return false;
    const ProfileFilter filter(context, task, scratch);
    const auto profiles = scratch.lease<std::uint32_t>(task.size() + 1);
    std::uint32_t count = 0;
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      const bool late = !task.late.empty() && ((task.late[profile >> 6] >> (profile & 63)) & 1) != 0;
      profiles[count] = profile;
      count += (*outcome)[profile] != 0 && filter.has(profile) && !late;
    }
    const auto groups = scratch.lease<std::uint32_t>(count);
    const Breakdown::TaskTraits traits(breakdown_, task, scratch);
    breakdown_.profile_groups(traits, profiles.data(), count, partial.groups, groups.data());
    const std::span<const std::uint32_t> steps_of = stream_->outcomes();
    const auto add = [&](std::size_t group, std::size_t of, std::uint64_t times) {
      GroupSteps& into = at(partial, static_cast<std::uint32_t>(group), {});
      for (std::uint32_t left = steps_of[of]; left != 0; left &= left - 1)
        into.reached[static_cast<std::size_t>(std::countr_zero(left))] += times;
    };
    if (partial.groups.size() > count / 4) {
      for (std::uint32_t i = 0; i < count; ++i) add(groups[i], (*outcome)[profiles[i]] - 1, 1);
      return true;
    }
    std::vector<std::uint64_t> counts(std::size_t{partial.groups.size()} * steps_of.size());
    for (std::uint32_t i = 0; i < count; ++i) ++counts[groups[i] * steps_of.size() + (*outcome)[profiles[i]] - 1];
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] != 0) add(i / steps_of.size(), i % steps_of.size(), counts[i]);
    }
    return true;
  }

  [[nodiscard]] GroupSteps& at(AttemptsPartial& partial, std::uint32_t group, Value bucket) const {
    if (partial.last_cell != kNone && partial.last_group == group && partial.last_bucket == bucket)
      return partial.steps[partial.last_cell];
    const std::uint32_t cell = partial.cells.find_or_add(group, bucket);
    partial.last_cell = cell;
    partial.last_group = group;
    partial.last_bucket = bucket;
    if (cell >= partial.steps.size()) partial.steps.resize(cell + std::size_t{1});
    GroupSteps& out = partial.steps[cell];
    if (out.reached.empty()) {
      out.reached.resize(rules_.steps);
      if (!times_.empty()) out.times.resize(rules_.steps);
    }
    return out;
  }
  [[nodiscard]] std::int64_t bucket_of(const AttemptsPartial& partial, std::uint32_t cell) const {
    if (!buckets_ && !frequency_) return 0;
    const Value value = partial.cells.value(cell);
    return value.type == ValueType::kNull ? kNeither : value.as_int();
  }
  [[nodiscard]] static bool counts_any(const GroupSteps& steps) {
    return std::any_of(steps.reached.begin(), steps.reached.end(), [](auto n) { return n != 0; });
  }
  // Of a second look: by bucket, then in the order of the groups that are shown, the rest behind them.
  [[nodiscard]] std::vector<Line> lines_of_shown(AttemptsPartial& total) const {
    std::map<std::pair<std::int64_t, std::uint32_t>, std::uint32_t> cells;
    for (std::uint32_t cell = 0; cell < total.steps.size(); ++cell) {
      if (counts_any(total.steps[cell])) cells[{bucket_of(total, cell), total.cells.prefix(cell)}] = cell;
    }
    std::vector<Line> lines;
    for (const auto& [at, cell] : cells) {
      const bool is_rest = at.second == shown_->size();
      lines.push_back(
          {is_rest ? std::vector<Value>() : (*shown_)[at.second], at.first, std::move(total.steps[cell]), is_rest});
    }
    return lines;
  }
  static void add_up(GroupSteps& into, const GroupSteps& from) {
    for (std::size_t step = 0; step < from.reached.size(); ++step) into.reached[step] += from.reached[step];
    for (std::size_t step = 0; step < from.times.size(); ++step)
      into.times[step].insert(into.times[step].end(), from.times[step].begin(), from.times[step].end());
  }

  static void charge(const QueryContext& context, AttemptsPartial& partial) {
    if (context.budget == nullptr) return;
    const std::uint64_t bytes = partial.groups.size_bytes() + partial.cells.size_bytes() +
                                partial.steps.capacity() * sizeof(GroupSteps) + partial.time_count * 8;
    if (bytes <= partial.charged_bytes) return;
    context.budget->charge(bytes - partial.charged_bytes);
    partial.charged_bytes = bytes;
  }

  // What is used for one profile after the other.
  struct Work {
    Work(const AttemptsFunnelKind& kind, const QueryContext& asked, AttemptsPartial& into)
        : context(asked), partial(into), walker(kind.rules_, asked.budget) {
      if (kind.buckets_) buckets.emplace(*kind.buckets_);
    }
    const QueryContext& context;
    AttemptsPartial& partial;
    FunnelWalker walker;
    std::optional<PartitionCalendar> buckets;
    std::vector<MatchedRow> firsts;
    std::vector<std::uint64_t> by_held;
    std::vector<MatchedRow> unit;
    std::vector<std::uint32_t> groups;
    std::vector<MatchedRow> walked;      // with a frequency: without the rows that are only counted
    std::vector<std::uint32_t> counted;  // of each of them: how many were in front of it, and of it itself
    ProfileClock clock{TimeRange{}};     // of the profile, where it has its own
  };

  // Rows of a step that is a profile's first event stand for it no more, but for that first one.
  void find_firsts(std::span<const MatchedRow> rows, std::vector<MatchedRow>& out) const {
    out.clear();
    std::uint64_t gone = 0;  // a bit a step whose first row has been
    for (const MatchedRow& row : rows) {
      std::uint64_t selectors = row.selectors & ~gone;
      for (std::size_t step = 0; step < first_.size(); ++step) {
        if (first_[step] != StepFirst::kNo && ((row.selectors >> first_of_[step]) & 1) != 0)
          gone |= std::uint64_t{1} << step;
      }
      selectors &= kept_;
      if (selectors == 0) continue;
      out.push_back(row);
      out.back().selectors = selectors;
    }
  }

  // `numbered`: rows tell what they hold.
  void add_profile(Work& work, Origin home, std::span<const MatchedRow> rows, const MemberValues& members,
                   bool numbered) const {
    if (looks_back_) {
      find_firsts(rows, work.firsts);
      rows = work.firsts;
    }
    if (held_.empty()) return add_unit(work, home, rows, members);
    const bool one_each = numbered && std::none_of(rows.begin(), rows.end(),
                                                   [](const MatchedRow& row) { return row.held == kHeldSeveral; });
    if (one_each) return add_numbered(work, home, rows, members);
    for (const std::vector<MatchedRow>& unit : units_of(work.context, home, rows)) add_unit(work, home, unit, members);
  }

  // Each tuple of held values by itself.
  void add_numbered(Work& work, Origin home, std::span<const MatchedRow> rows, const MemberValues& members) const {
    work.by_held.clear();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].held != kNotHeld) work.by_held.push_back(std::uint64_t{rows[i].held} << 32 | i);
    }
    std::sort(work.by_held.begin(), work.by_held.end());
    for (std::size_t first = 0, last = 0; first < work.by_held.size(); first = last) {
      work.unit.clear();
      for (; last < work.by_held.size() && work.by_held[last] >> 32 == work.by_held[first] >> 32; ++last)
        work.unit.push_back(rows[work.by_held[last] & UINT32_MAX]);
      add_unit(work, home, work.unit, members);
    }
  }

  // Rows that may follow one another.
  void add_unit(Work& work, Origin home, std::span<const MatchedRow> rows, const MemberValues& members) const {
    if (frequency_) {
      leave_out_counted(rows, work);
      rows = work.walked;
    }
    const bool own_clock = clocks_->are_own();
    if (own_clock) work.clock = clocks_->of(*work.context.version, home);
    std::span<const FunnelAttempt> attempts = work.walker.attempts_of(rows, own_clock ? &work.clock : nullptr);
    if (attempts.empty()) return;
    std::vector<FunnelAttempt> of_buckets;
    if (rules_.count == FunnelRules::Count::kProfilesByInterval) {
      of_buckets = one_a_bucket(work, attempts, rows);
      attempts = of_buckets;
    }
    AttemptsPartial& partial = work.partial;
    for (const FunnelAttempt& attempt : attempts) {
      if (breakdown_.splits_rows() && work.context.budget != nullptr) work.context.budget->check();
      add_attempt(work, home, rows, attempt, members);
      if (partial.grown(partial.groups)) charge(work.context, partial);
    }
  }
  [[nodiscard]] std::int64_t entry_bucket(Work& work, std::span<const MatchedRow> rows,
                                          const FunnelAttempt& attempt) const {
    const std::int64_t time_ms = rows[attempt.row[0]].time_ms;
    return work.buckets->bucket_start(clocks_->are_own() ? work.clock.shown(time_ms) : time_ms);
  }

  // The rows that say something beside being counted, and how many are counted up to each.
  void leave_out_counted(std::span<const MatchedRow> rows, Work& work) const {
    work.walked.clear();
    work.counted.clear();
    std::uint32_t counted = 0;
    for (const MatchedRow& row : rows) {
      const std::uint32_t before = counted;
      counted += (row.selectors & frequency_->selector) != 0 ? 1 : 0;
      if ((row.selectors & walked_) == 0) continue;
      work.walked.push_back(row);
      work.counted.push_back(before);
      work.counted.push_back(counted);
    }
  }
  // Under a grace the later step may lie in front.
  [[nodiscard]] std::uint64_t times_between(const Work& work, const FunnelAttempt& attempt) const {
    const auto [first, last] = std::minmax(attempt.row[frequency_->from], attempt.row[frequency_->to]);
    return first == last ? 0 : work.counted[std::size_t{2} * last] - work.counted[std::size_t{2} * first + 1];
  }

  // Of each bucket of entries the first attempt, or the first of those worth most.
  [[nodiscard]] std::vector<FunnelAttempt> one_a_bucket(Work& work, std::span<const FunnelAttempt> attempts,
                                                        std::span<const MatchedRow> rows) const {
    std::map<std::int64_t, FunnelAttempt> best;
    for (const FunnelAttempt& attempt : attempts) {
      const auto [kept, is_new] = best.try_emplace(entry_bucket(work, rows, attempt), attempt);
      if (is_new || rules_.attempt == FunnelRules::Attempt::kFirstEntry) continue;
      if (is_worth_more(rules_, attempt.taken, kept->second.taken)) kept->second = attempt;
    }
    std::vector<FunnelAttempt> out;
    for (const auto& [start_ms, attempt] : best) out.push_back(attempt);
    return out;
  }

  // Rows by the values they hold.
  [[nodiscard]] std::vector<std::vector<MatchedRow>> units_of(const QueryContext& context, Origin home,
                                                              std::span<const MatchedRow> rows) const {
    std::map<std::string, std::vector<MatchedRow>> units;
    std::size_t tuples = 0;
    for (const MatchedRow& matched : rows) {
      const Row row = row_of(matched, home);
      std::vector<std::string> keys{{}};
      for (const std::optional<KeyId>& key : held_) {
        std::vector<std::string> longer;
        const std::vector<std::string> elements =
            key ? held_values(property(row, *key), *context.version->strings) : std::vector<std::string>();
        for (const std::string& before : keys) {
          for (const std::string& element : elements) longer.push_back(before + element);
        }
        keys = std::move(longer);
        if (keys.size() > kHeldTuplesMost) fail_tuples();
      }
      if ((tuples += keys.size()) > kHeldTuplesMost) fail_tuples();
      for (const std::string& key : keys) units[key].push_back(matched);
    }
    std::vector<std::vector<MatchedRow>> out;
    for (auto& [key, unit] : units) out.push_back(std::move(unit));
    return out;
  }
  [[noreturn]] static void fail_tuples() {
    throw Error(Family::kLimitExceeded, code::kQueryInvalid, "a profile holds over a million tuples of values", "hold");
  }

  void add_attempt(Work& work, Origin home, std::span<const MatchedRow> rows, const FunnelAttempt& attempt,
                   const MemberValues& members) const {
    const Version& version = *work.context.version;
    AttemptsPartial& partial = work.partial;
    const std::uint32_t shown = shown_ ? static_cast<std::uint32_t>(shown_->size()) : kNone;
    Value bucket;
    if (buckets_) {
      bucket = {ValueType::kInt, static_cast<std::uint64_t>(entry_bucket(work, rows, attempt))};
    } else if (frequency_ && attempt.has(frequency_->from) && attempt.has(frequency_->to)) {
      bucket = {ValueType::kInt, times_between(work, attempt)};
    }
    std::vector<std::uint32_t>& groups = work.groups;
    if (attribution_.type == Attribution::Type::kEveryStep) {
      std::uint32_t before = 0;
      for (std::uint32_t step = 0; step < rules_.steps; ++step) {
        if (!attempt.has(step)) continue;
        const Row row = row_of(rows[attempt.row[step]], home);
        breakdown_.groups_of(version, home, &row, members, shown, partial.groups, groups);
        for (const std::uint32_t group : groups)
          add_step(partial, at(partial, group, bucket), rows, attempt, step, before);
        before = step;
      }
      return;
    }
    if (breakdown_.empty()) {
      groups.assign(1, 0);
    } else {
      breakdown_groups(version, home, rows, attempt, members, shown, partial.groups, groups);
    }
    for (const std::uint32_t group : groups) {
      GroupSteps& into = at(partial, group, bucket);
      std::uint32_t before = 0;
      for (std::uint32_t step = 0; step < rules_.steps; ++step) {
        if (!attempt.has(step)) continue;
        add_step(partial, into, rows, attempt, step, before);
        before = step;
      }
    }
  }
  // `before`: the step taken before this one.
  void add_step(AttemptsPartial& partial, GroupSteps& into, std::span<const MatchedRow> rows,
                const FunnelAttempt& attempt, std::uint32_t step, std::uint32_t before) const {
    ++into.reached[step];
    if (step == 0 || times_.empty()) return;
    const auto took = [&](std::uint32_t from) {
      return rows[attempt.row[step]].time_ms - rows[attempt.row[from]].time_ms;
    };
    into.times[step - 1].push_back(took(before));
    if (step + 1 == rules_.steps) into.times[step].push_back(took(0));
    partial.time_count += 2;
  }

  // The groups of an attempt, its properties as attributed.
  void breakdown_groups(const Version& version, Origin home, std::span<const MatchedRow> rows,
                        const FunnelAttempt& attempt, const MemberValues& members, std::uint32_t shown, Groups& groups,
                        std::vector<std::uint32_t>& out) const {
    std::vector<Value> values(breakdown_.size());
    MemberValues several = members;
    std::vector<Value> found;
    const auto touch = [&](std::uint32_t step) {
      if (!attempt.has(step)) return;
      const Row row = row_of(rows[attempt.row[step]], home);
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (breakdown_.is_trait(i) || values[i].type != ValueType::kNull) continue;
        breakdown_.values_of(i, version, home, &row, found);
        values[i] = found.front();
        if (breakdown_.splits_rows()) several[i] = found;
      }
    };
    if (breakdown_.reads_properties()) {
      switch (attribution_.type) {
        case Attribution::Type::kFirstTouch:
          for (std::uint32_t step = 0; step < rules_.steps; ++step) touch(step);
          break;
        case Attribution::Type::kLastTouch:
          for (std::uint32_t step = rules_.steps; step-- > 0;) touch(step);
          break;
        default: touch(attribution_.step);
      }
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (breakdown_.is_trait(i) && (members.empty() || members[i].empty()))
        values[i] = breakdown_.value_of(i, version, home, nullptr);
    }
    breakdown_.groups_of(std::move(values), several, shown, groups, out);
  }

  // Leaves the groups of most entries, best first, and adds up the rest. Of several buckets groups are ranked over all of them,
  // and each has a rest of its own.
  void cut(std::vector<Line>& lines, const Dictionary& strings) const {
    if (!limit_ || breakdown_.empty()) return;
    const auto shown = static_cast<std::uint64_t>(*limit_);
    const auto less = [&](const std::vector<Value>& left, const std::vector<Value>& right) {
      return compare_keys(left, right, strings) < 0;
    };
    std::map<std::vector<Value>, std::uint64_t, decltype(less)> of_key(less);  // entries, then the rank
    for (const Line& line : lines) of_key[line.key] += line.steps.reached[0];
    if (of_key.size() <= shown) return;
    std::vector<decltype(of_key)::value_type*> ranked;
    for (auto& each : of_key) ranked.push_back(&each);
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto* left, const auto* right) { return left->second > right->second; });
    for (std::size_t rank = 0; rank < ranked.size(); ++rank)
      ranked[rank]->second = std::min<std::uint64_t>(rank, shown);
    std::stable_sort(lines.begin(), lines.end(), [&](const Line& left, const Line& right) {
      return std::pair(left.bucket_ms, of_key.at(left.key)) < std::pair(right.bucket_ms, of_key.at(right.key));
    });
    std::vector<Line> kept;
    for (Line& line : lines) {
      line.is_rest = of_key.at(line.key) == shown;
      const bool joins =
          line.is_rest && !kept.empty() && kept.back().is_rest && kept.back().bucket_ms == line.bucket_ms;
      if (joins) {
        add_up(kept.back().steps, line.steps);
      } else {
        kept.push_back(std::move(line));
      }
    }
    lines = std::move(kept);
  }

  [[nodiscard]] Table table_of(std::vector<Line>& lines, const Dictionary& strings) const {
    Table table;
    std::vector<const std::vector<Value>*> keys;
    if (buckets_) {
      TableColumn& column = table.add("start_ms", ColumnType::kInt64);
      for (const Line& line : lines) column.push_int(line.bucket_ms);
    }
    if (frequency_) {
      TableColumn& column = table.add("frequency", ColumnType::kInt64);
      for (const Line& line : lines) line.bucket_ms == kNeither ? column.push_null() : column.push_int(line.bucket_ms);
    }
    for (const Line& line : lines) keys.push_back(line.is_rest ? nullptr : &line.key);
    breakdown_.add_columns(table, keys, strings);
    for (std::uint32_t step = 0; step < rules_.steps; ++step) {
      TableColumn& column = table.add("step_" + std::to_string(step + 1), ColumnType::kInt64);
      for (const Line& line : lines) column.push_int(static_cast<std::int64_t>(line.steps.reached[step]));
    }
    for (const TimeStatistic& statistic : times_) {
      for (std::uint32_t step = 1; step <= rules_.steps && rules_.steps > 1; ++step) {
        const std::string name = step == rules_.steps ? "total" : "step_" + std::to_string(step + 1);
        std::vector<Number> numbers;
        for (Line& line : lines) numbers.push_back(statistic_of(statistic, line.steps.times[step - 1]));
        add_number_column(table, name + "_" + statistic.name + "_ms", numbers);
      }
    }
    return table;
  }

  [[nodiscard]] static Number statistic_of(const TimeStatistic& statistic, std::vector<std::int64_t>& times) {
    if (statistic.type == TimeStatistic::Type::kWithin) {
      return Number::of(__int128{
          std::count_if(times.begin(), times.end(), [&](std::int64_t took) { return took <= statistic.within_ms; })});
    }
    if (times.empty()) return {};
    switch (statistic.type) {
      case TimeStatistic::Type::kMin: return Number::of(__int128{*std::min_element(times.begin(), times.end())});
      case TimeStatistic::Type::kMax: return Number::of(__int128{*std::max_element(times.begin(), times.end())});
      case TimeStatistic::Type::kQuantile: return Number::of(quantile_of(times, statistic.quantile));
      case TimeStatistic::Type::kWithin:
      case TimeStatistic::Type::kMean: break;
    }
    ExactSum sum;
    for (const std::int64_t time : times) sum.add_int(time);
    return Number::of(sum.mean(times.size()));
  }

  FunnelRules rules_;
  std::vector<TimeStatistic> times_;
  Attribution attribution_;
  Breakdown breakdown_;
  std::optional<std::int64_t> limit_;
  RowMatcher matcher_;
  std::optional<FunnelStream> stream_;  // where it answers
  std::vector<std::optional<KeyId>> held_;
  std::optional<Calendar> buckets_;  // of the interval
  struct Frequency {
    std::uint32_t from;
    std::uint32_t to;
    std::uint64_t selector;  // its bit
  };
  std::optional<Frequency> frequency_;
  std::shared_ptr<const ProfileClocks> clocks_;
  std::uint64_t walked_ = 0;           // selectors that say more of a row than that it is counted
  std::vector<StepFirst> first_;       // of each step
  std::vector<std::size_t> first_of_;  // the selector whose first row that is
  bool looks_back_ = false;            // some step is a first one
  std::uint64_t kept_ = 0;             // selectors that walks look at
  TimeRange seen_;
  // A second look: these groups, and behind them one of all others.
  std::optional<std::vector<std::vector<Value>>> shown_;
};

}  // namespace

std::unique_ptr<Kind> make_attempts_funnel(const FunnelSpec& spec, const Binding& binding) {
  return std::make_unique<AttemptsFunnelKind>(spec, binding);
}

}  // namespace cdp
