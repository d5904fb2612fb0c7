// Retention by every rule (fields: retention_spec.cpp; the plain one: retention.cpp).
//
// Meaning. A *birth* is the start event with which a profile enters a cohort: its first in the range, its first ever when that
// lies in the range, or the first in each calendar period of the range. The cohort is the calendar period of the birth. A
// return is a return event behind the birth in event order, up to now; with the order `ignored` any other one since period 0
// began. With `count_birth` the birth is one itself. Its period
// is counted by the calendar, or rolling: how many whole lengths (hour, 24 h, 7, 30, 90, 365 days) have passed since the birth,
// with rolling_hour since the local hour the birth lies in. A cell counts the births with at least `min_count` returns: on the
// period, on it or after, on it or before (as far as the period has begun by now), in the bracket; a streak needs so many in
// every period up to it, of which period 0 is given. With `fill` a cohort has a row for every period that has begun for any of
// it, and for every bracket.
// `measures` are of the returns that a cell counts: those in its periods of the births that it counts, the birth itself where it is
// one. A sum of none is 0, a mean missing; each is exact and rounded once.
// `eligible` is the size of the cohort, `elapsed` how many of it have the period behind them.
//
// How: where the start is its own return and the periods in which a profile did it say all, and how often, from the slices: by the
// calendar from its buckets (active_buckets.hpp), also on its own clock (clock_plans.hpp), else from what has passed since its birth
// (retention_rolling.hpp). ~2 ns a row, rolling ~10, ~40 ns a birth. Else rows gathered by profile (matched_rows): ~40 ns a row.
#include <algorithm>
#include <iterator>
#include <map>

#include "query/budget.hpp"
#include "query/calendar.hpp"
#include "query/kinds/active_buckets.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/clock_plans.hpp"
#include "query/kinds/matched_rows.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/retention.hpp"
#include "query/kinds/retention_cohorts.hpp"
#include "query/kinds/retention_rolling.hpp"

namespace cdp {
namespace {

using Alignment = RetentionSpec::Alignment;
using Criterion = RetentionSpec::Criterion;
using Population = RetentionSpec::Population;

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;
constexpr std::int64_t kPeriodsMost = 65'534;                   // of a cohort in the answer
constexpr std::int64_t kLongBefore = -(std::int64_t{1} << 60);  // in front of all calendars
constexpr std::uint64_t kStart = 1, kReturn = 2;
constexpr std::uint64_t kAmountBytes = 64 + sizeof(Amount) + ExactSum::kFloatBytes;  // most that a change may take

std::int64_t rolling_ms(const Unit& unit) {
  switch (unit.type) {
    case Unit::Type::kHour: return kHourMs;
    case Unit::Type::kDay: return kDayMs;
    case Unit::Type::kWeek: return 7 * kDayMs;
    case Unit::Type::kMonth: return 30 * kDayMs;
    case Unit::Type::kQuarter: return 90 * kDayMs;
    case Unit::Type::kYear: return 365 * kDayMs;
    case Unit::Type::kDays: return unit.days * kDayMs;
    case Unit::Type::kMinutes: return unit.clock_ms();
  }
  return kDayMs;
}

class RuledRetentionKind final : public Kind {
 public:
  RuledRetentionKind(const RetentionSpec& spec, const Binding& binding, bool for_rows)
      : spec_(spec),
        breakdown_(binding.common.breakdown, binding.version, binding.moment()),
        clocks_(std::make_shared<const ProfileClocks>(binding)),
        calendar_(clocks_->are_own() ? Zone::utc() : binding.zone, spec.unit, binding.common.week_start,
                  steps_origin_ms(binding)),
        hours_(binding.zone, {Unit::Type::kHour, 0}, 0),
        length_ms_(rolling_ms(spec.unit)),
        limit_(binding.common.limit) {
    breakdown_.use(clocks_);
    const BoundSelector start = bind_selector(spec.start, binding.version, binding.moment());
    const BoundSelector returned =
        spec.returned ? bind_selector(*spec.returned, binding.version, binding.moment()) : start;
    matcher_ = RowMatcher({start, returned});
    const std::int64_t first = spec.population == Population::kFirstEver ? INT64_MIN : binding.range.start_ms;
    seen_ = {first, binding.now_ms + 1};
    for (const RetentionMeasure& measure : spec.measures) {
      binding.note_property(measure.property);
      const auto key = binding.version.keys->find(measure.property);
      measured_.push_back(key ? std::optional(KeyId{*key}) : std::nullopt);
    }
    if (spec.ignores_order && first > kLongBefore) {
      const std::int64_t slack_ms = clocks_->are_own() ? 2 * kClockMostMs : 0;
      seen_.start_ms = std::min(calendar_.bucket_start(first - slack_ms), hours_.bucket_start(first)) - slack_ms;
    }
    if (!for_rows) find_plan(binding, start);
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    auto out = std::make_unique<RuledPartial>(breakdown_.size());
    if (shown_) {
      for (const std::vector<Value>& key : *shown_) out->groups.find_or_add(key);
    }
    return out;
  }
  [[nodiscard]] std::vector<NameId> names() const override { return matcher_.names(); }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<RuledPartial&>(partial);
    if (rolling_) return scan_rolling(context, task, scratch, into);
    if (goes_by_buckets()) return scan_active(context, task, scratch, into);
    Breakdown::TaskMembers members(breakdown_, context, task, scratch);
    Walk walk;
    std::optional<CohortsAtHand> at_hand;
    if (walk_plan_ != nullptr) at_hand.emplace(walk_plan_->size(), into);
    if (at_hand) walk.at_hand = &*at_hand;
    matcher_.for_each_profile(context, task, scratch, seen_,
                              [&](std::uint32_t profile, std::span<const MatchedRow> rows) {
                                add_profile(context, task.origin(profile), rows, members.of(profile), walk, into);
                              });
    if (at_hand) at_hand->flush(walk_plan_->starts());
    charge(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    std::vector<MatchedRow> matched;
    matcher_.match(rows, seen_, matched);
    Walk walk;
    add_profile(context, home, matched, breakdown_.members_of(*context.version, home), walk,
                static_cast<RuledPartial&>(partial));
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<RuledPartial&>(into);
    const auto& right = static_cast<const RuledPartial&>(from);
    // Those that are shown are the same in every partial.
    const std::vector<std::uint32_t> group =
        shown_ ? std::vector<std::uint32_t>() : right.groups.merge_into(left.groups);
    for (const auto& [at, cohort] : right.cohorts)
      left.cohorts[{shown_ ? at.first : group[at.first], at.second}].merge(cohort);
    left.births += right.births;
  }

  // A profile may be in several groups of the rest, so they do not add up: the rows are looked at again.
  [[nodiscard]] std::unique_ptr<Kind> again(const QueryContext& context, const Partial& partial) const override {
    if (!limit_ || shown_ || !breakdown_.has_members()) return nullptr;
    const auto& total = static_cast<const RuledPartial&>(partial);
    std::map<std::uint32_t, Line> by_group;
    for (const auto& [at, cohort] : total.cohorts) by_group[at.first].size += cohort.size;
    if (by_group.size() <= static_cast<std::uint64_t>(*limit_)) return nullptr;
    const std::vector<Line> lines = ranked(total, by_group, *context.version->strings);
    auto next = std::make_unique<RuledRetentionKind>(*this);
    next->shown_.emplace();
    for (std::size_t i = 0; i < static_cast<std::size_t>(*limit_); ++i) next->shown_->push_back(lines[i].key);
    return next;
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    auto& total = static_cast<RuledPartial&>(*partial);
    const Dictionary& strings = *context.version->strings;
    std::vector<Line> lines = lines_of(total, strings);
    Table table;
    std::vector<const std::vector<Value>*> keys;
    std::vector<Cell> cells;
    for (Line& line : lines) {
      const std::size_t before = cells.size();
      for (auto& [start_ms, cohort] : line.cohorts) add_cells(context, start_ms, cohort, cells);
      keys.insert(keys.end(), cells.size() - before, line.is_rest ? nullptr : &line.key);
    }
    breakdown_.add_columns(table, keys, strings);
    const auto add = [&](const char* name, std::int64_t Cell::* member) {
      TableColumn& column = table.add(name, ColumnType::kInt64);
      for (const Cell& cell : cells) column.push_int(cell.*member);
    };
    add("cohort_ms", &Cell::cohort_ms);
    add("period", &Cell::period);
    add("profiles", &Cell::profiles);
    add("eligible", &Cell::eligible);
    add("elapsed", &Cell::elapsed);
    for (std::size_t i = 0; i < spec_.measures.size(); ++i) {
      std::vector<Number> numbers;
      for (const Cell& cell : cells) numbers.push_back(cell.amounts[i]);
      add_number_column(table, spec_.measures[i].column(), numbers);
    }
    return table;
  }

 private:
  struct Line {
    std::vector<Value> key;
    std::map<std::int64_t, Cohort> cohorts;  // by start
    std::uint64_t size = 0;
    bool is_rest = false;
  };
  struct Cell {
    std::int64_t cohort_ms, period, profiles, eligible, elapsed;
    std::vector<Number> amounts{};  // one a measure
  };
  struct Return {
    std::int64_t period;
    std::size_t row;  // of the profile's
  };
  struct Counted {  // returns of one birth in one period
    std::int64_t period;
    std::int64_t count;
  };

  // What the walk over one profile uses, kept for the next one.
  struct Walk {
    std::vector<Return> found;
    std::vector<std::int64_t> returns;
    std::vector<Counted> counted;
    std::vector<std::uint32_t> groups;
    std::vector<std::int64_t> entered;  // cohorts of this profile
    CohortsAtHand* at_hand = nullptr;   // of a task; null: cells go to the partial at once
  };

  void charge(const QueryContext& context, RuledPartial& partial) const {
    if (context.budget == nullptr) return;
    const std::uint64_t bytes = partial.groups.size_bytes() + partial.births * 8 + partial.cohorts.size() * 128 +
                                partial.amounts * spec_.measures.size() * kAmountBytes;
    if (bytes <= partial.charged_bytes) return;
    context.budget->charge(bytes - partial.charged_bytes);
    partial.charged_bytes = bytes;
  }

  void add_profile(const QueryContext& context, Origin home, std::span<const MatchedRow> rows,
                   const MemberValues& members, Walk& walk, RuledPartial& partial) const {
    if (rows.empty()) return;
    walk.entered.clear();
    const ProfileClock clock = clocks_->of(*context.version, home);
    for (std::size_t at = 0; at < rows.size(); ++at) {
      if ((rows[at].selectors & kStart) == 0) continue;
      if (!clock.counts(rows[at].time_ms)) {
        if (spec_.population == Population::kFirstEver) return;
        continue;
      }
      const std::optional<std::uint32_t> bucket = bucket_of(rows[at].time_ms);
      const std::int64_t cohort =
          bucket ? walk_plan_->start_ms(*bucket) : calendar_.bucket_start(clock.shown(rows[at].time_ms));
      const auto place = std::ranges::lower_bound(walk.entered, cohort);  // nearly always the end
      if (place != walk.entered.end() && *place == cohort) continue;
      walk.entered.insert(place, cohort);
      if (context.budget != nullptr) context.budget->check();
      add_birth(context, home, clock, rows, at, cohort, bucket, members, walk, partial);
      if (spec_.population != Population::kEveryPeriod) return;
    }
  }

  // Of the plan of what is walked over; none where there is none, or outside of it.
  [[nodiscard]] std::optional<std::uint32_t> bucket_of(std::int64_t time_ms) const noexcept {
    return walk_plan_ == nullptr ? std::nullopt : walk_plan_->bucket_of(time_ms);
  }

  void add_birth(const QueryContext& context, Origin home, const ProfileClock& clock, std::span<const MatchedRow> rows,
                 std::size_t birth, std::int64_t cohort_ms, std::optional<std::uint32_t> bucket,
                 const MemberValues& members, Walk& walk, RuledPartial& partial) const {
    const bool by_calendar = spec_.alignment == Alignment::kCalendar;
    const Row row = row_of(rows[birth], home);
    const std::int64_t from_ms = rolls_from(rows[birth].time_ms, clock);
    const auto period_of = [&](std::int64_t time_ms) {
      if (!by_calendar) return (time_ms - from_ms) / length_ms_;
      return calendar_.distance(cohort_ms, calendar_.bucket_start(clock.shown(time_ms)));
    };
    const auto period_of_row = [&](std::int64_t time_ms) {  // the plan knows no time behind all rows
      const std::optional<std::uint32_t> its = by_calendar && bucket ? bucket_of(time_ms) : std::nullopt;
      return its && *its >= *bucket ? walk_plan_->distance(*bucket, *its) : period_of(time_ms);
    };
    std::vector<Return>& found = walk.found;
    found.clear();
    if (spec_.count_birth) found.push_back({0, birth});
    std::size_t at = birth + 1;
    const std::int64_t since_ms = by_calendar ? cohort_ms : from_ms;
    if (spec_.ignores_order) {
      while (at > 0 && (clocks_->are_own() || rows[at - 1].time_ms >= since_ms)) --at;
    }
    for (; at < rows.size(); ++at) {
      if (at == birth || (rows[at].selectors & kReturn) == 0) continue;
      if (at < birth && (by_calendar ? clock.shown(rows[at].time_ms) : rows[at].time_ms) < since_ms) continue;
      if (spec_.share_value && !shares(*context.version, row, rows[at], home)) continue;
      found.push_back({period_of_row(rows[at].time_ms), at});
    }
    std::ranges::sort(found, {}, &Return::period);
    std::vector<std::int64_t>& returns = walk.returns;
    returns.clear();
    for (const Return& each : found) returns.push_back(each.period);
    std::vector<Counted>& counted = walk.counted;
    counted.clear();
    for (const std::int64_t period : returns) {
      if (counted.empty() || counted.back().period != period) counted.push_back({period, 0});
      ++counted.back().count;
    }
    const std::uint32_t shown = shown_ ? static_cast<std::uint32_t>(shown_->size()) : kNone;
    walk.groups.assign(1, 0);
    if (!breakdown_.empty())
      breakdown_.groups_of(*context.version, home, &row, members, shown, partial.groups, walk.groups);
    for (const std::uint32_t group : walk.groups) {
      if (walk.at_hand != nullptr && bucket && measured_.empty()) {
        auto cohort = walk.at_hand->of(group, *bucket, cohort_ms);
        cohort.add_birth();
        if (!by_calendar) cohort.add_age(period_of(context.now_ms));
        count_cells(counted, returns, context.now_ms, period_of, cohort);
        continue;
      }
      Cohort& cohort = partial.cohorts[{group, cohort_ms}];
      ++cohort.size;
      ++partial.births;
      if (!by_calendar) ++cohort.ages[period_of(context.now_ms)];
      if (by_calendar && clocks_->are_own()) ++cohort.ages[clock.shown(context.now_ms)];
      count_cells(counted, returns, context.now_ms, period_of, cohort);
      if (!measured_.empty())
        add_amounts(rows, home, found, counted, returns, period_of(context.now_ms), cohort, partial);
    }
    if (partial.grown(partial.groups)) charge(context, partial);
  }

  // The values of each return, in the cells that count it: `count_cells` says which.
  void add_amounts(std::span<const MatchedRow> rows, Origin home, std::span<const Return> found,
                   std::span<const Counted> counted, std::span<const std::int64_t> returns, std::int64_t now_period,
                   Cohort& cohort, RuledPartial& partial) const {
    const auto wanted = static_cast<std::size_t>(spec_.min_count);
    const auto add = [&](const Return& each, std::int64_t first, std::int64_t last) {
      std::vector<Value> values;
      const Row row = row_of(rows[each.row], home);
      for (const auto& key : measured_) values.push_back(key ? property(row, *key) : Value{});
      cohort.amounts.add(first, last, values);
      partial.amounts += 2;
    };
    std::int64_t streak = 0;
    for (const Counted& each : counted) {
      if (each.period == streak + 1 && each.count >= spec_.min_count) ++streak;
    }
    const auto is_counted = [&](std::int64_t period) {
      const auto at = std::ranges::lower_bound(counted, period, {}, &Counted::period);
      return at != counted.end() && at->period == period && at->count >= spec_.min_count;
    };
    for (const Return& each : found) {
      switch (spec_.criterion) {
        case Criterion::kOn:
          if (is_counted(each.period)) add(each, each.period, each.period);
          break;
        case Criterion::kOnOrAfter:
          if (returns.size() >= wanted) add(each, 0, std::min(each.period, returns[returns.size() - wanted]));
          break;
        case Criterion::kOnOrBefore:
          if (returns.size() >= wanted) add(each, since(std::max(each.period, returns[wanted - 1])), now_period);
          break;
        case Criterion::kStreak:
          if (each.period <= streak) add(each, each.period, each.period);
          break;
        case Criterion::kBrackets: break;
      }
    }
    for (std::size_t i = 0; i < spec_.brackets.size(); ++i) {
      const auto [first, last] = spec_.brackets[i];
      const auto inside = [first, last](const Return& each) { return each.period >= first && each.period <= last; };
      if (std::ranges::count_if(found, inside) < spec_.min_count) continue;
      for (const Return& each : found) {
        if (inside(each)) add(each, static_cast<std::int64_t>(i), static_cast<std::int64_t>(i));
      }
    }
  }

  // Buckets of the calendar by number, where a search of the time takes the place of the calendar's own arithmetic.
  void find_walk_plan(const Binding& binding) {
    const TimeRange extent = extent_of(binding.version);
    const TimeRange rows{std::max(seen_.start_ms, extent.start_ms), std::min(seen_.end_ms, extent.end_ms)};
    if (clocks_->are_own() || rows.empty()) return;
    if ((rows.end_ms - rows.start_ms) / length_ms_ + 2 > std::int64_t{ActiveBuckets::kBucketsMax}) return;
    walk_plan_ =
        std::make_shared<const BucketPlan>(binding.version, binding.zone, binding.common.week_start, spec_.unit, rows,
                                           std::max<std::int64_t>(binding.range.start_ms, 0));
  }

  // Where the periods in which a profile did it say all: it returns by doing the same once, behind its birth.
  void find_plan(const Binding& binding, const BoundSelector& start) {
    find_walk_plan(binding);
    const bool any_first = spec_.population != Population::kFirstEver || binding.range.start_ms == INT64_MIN;
    if (!spec_.measures.empty()) return;
    if (spec_.returned || !spec_.count_birth || spec_.min_count > UINT8_MAX || spec_.share_value || spec_.ignores_order)
      return;
    if (breakdown_.reads_properties() || !any_first) return;
    start_ = start;
    if (spec_.alignment == Alignment::kRolling) return find_rolling(binding);
    if (spec_.alignment != Alignment::kCalendar) return;
    if (clocks_->are_own()) return find_clock_plans(binding);
    const auto plan_of = [&](std::int64_t end_ms) {
      return std::make_shared<const BucketPlan>(binding.version, binding.zone, binding.common.week_start, spec_.unit,
                                                TimeRange{binding.range.start_ms, end_ms},
                                                std::max<std::int64_t>(binding.range.start_ms, 0));
    };
    auto plan = plan_of(binding.now_ms + 1);
    if (plan->size() > buckets_most() || plan->returns()) return;
    plan_ = std::move(plan);
    if (std::min(extent_of(binding.version).end_ms, binding.now_ms + 1) <= binding.range.end_ms) return;
    birth_plan_ = plan_of(binding.range.end_ms);
    for (const std::int64_t start_ms : birth_plan_->starts()) {
      const auto at = std::ranges::lower_bound(plan_->starts(), start_ms);
      birth_bucket_.push_back(static_cast<std::uint32_t>(at - plan_->starts().begin()));
    }
  }

  // The same on the clock of each profile.
  void find_clock_plans(const Binding& binding) {
    const TimeRange extent = extent_of(binding.version);
    const std::int64_t first_ms = std::max(binding.range.start_ms, extent.start_ms) - kClockMostMs;
    const std::int64_t last_ms = std::min(binding.now_ms + 1, extent.end_ms) + kClockMostMs;
    if (extent.empty() || first_ms >= last_ms) return;
    if ((last_ms - first_ms) / length_ms_ + 2 > std::int64_t{buckets_most()}) return;
    const Buckets buckets(calendar_, first_ms, last_ms);
    if (buckets.size() > buckets_most()) return;
    ClockPlans::Axis births{buckets.starts(), false, true}, returns{buckets.starts(), true, true};
    clock_plans_ = std::make_shared<const ClockPlans>(binding.version, clocks_, std::vector{births, returns});
  }

  // Where one return is not enough they are counted.
  [[nodiscard]] std::uint32_t buckets_most() const noexcept {
    return spec_.min_count == 1 ? ActiveBuckets::kBucketsMax : BucketCounts::kBucketsMax;
  }

  // Where periods roll from the first event, by its time.
  void find_rolling(const Binding& binding) {
    const bool one_birth = spec_.population != Population::kEveryPeriod;
    if (!one_birth || clocks_->are_own() || walk_plan_ == nullptr) return;
    const std::int64_t first_ms = std::max(binding.range.start_ms, extent_of(binding.version).start_ms);
    const std::int64_t periods = (binding.now_ms - first_ms) / length_ms_ + 1;
    if (binding.now_ms >= first_ms && periods <= RollingPeriods::kPeriodsMost)
      rolling_ = RollingPeriods::Rules{binding.range, binding.now_ms, length_ms_, periods};
  }

  [[nodiscard]] bool goes_by_buckets() const noexcept { return plan_ != nullptr || clock_plans_ != nullptr; }
  // Where the buckets of the plan, or of all clocks, begin.
  [[nodiscard]] std::span<const std::int64_t> starts() const noexcept {
    return plan_ != nullptr ? plan_->starts() : clock_plans_->starts(0);
  }
  [[nodiscard]] std::int64_t distance(std::uint32_t from, std::uint32_t to) const noexcept {
    return plan_ != nullptr ? plan_->distance(from, to) : std::int64_t{to} - from;
  }

  // The groups of a task's profiles, by traits and what they are in.
  class TaskGroups {
   public:
    TaskGroups(const RuledRetentionKind& kind, const QueryContext& context, const Task& task, Scratch& scratch,
               RuledPartial& partial)
        : breakdown_(kind.breakdown_),
          context_(context),
          task_(task),
          groups_(partial.groups),
          shown_(kind.shown_ ? static_cast<std::uint32_t>(kind.shown_->size()) : kNone),
          members_(breakdown_, context, task, scratch),
          one_(scratch.lease<std::uint32_t>(breakdown_.empty() || breakdown_.has_members() ? 0 : task.size())) {
      if (one_.size() == 0) return;
      const auto all = scratch.lease<std::uint32_t>(task.size());
      for (std::uint32_t profile = 0; profile < task.size(); ++profile) all[profile] = profile;
      const Breakdown::TaskTraits traits(breakdown_, task, scratch);
      breakdown_.profile_groups(traits, all.data(), task.size(), groups_, one_.data());
    }
    [[nodiscard]] std::span<const std::uint32_t> of(std::uint32_t profile) {
      if (breakdown_.has_members()) {
        breakdown_.groups_of(*context_.version, task_.origin(profile), nullptr, members_.of(profile), shown_, groups_,
                             found_);
      } else {
        found_.assign(1, one_.size() == 0 ? 0 : std::min(one_[profile], shown_));
      }
      return found_;
    }

   private:
    const Breakdown& breakdown_;
    const QueryContext& context_;
    const Task& task_;
    Groups& groups_;
    std::uint32_t shown_;
    Breakdown::TaskMembers members_;
    Scratch::Lease<std::uint32_t> one_;  // of each profile, where it is in one
    std::vector<std::uint32_t> found_;
  };

  // So many returns of one birth in a period, as far as they matter.
  void add_returns(std::int64_t period, std::uint8_t count, Walk& walk) const {
    const auto counted = std::min<std::int64_t>(count, spec_.min_count);
    walk.counted.push_back({period, counted});
    walk.returns.insert(walk.returns.end(), static_cast<std::size_t>(counted), period);
  }

  void scan_rolling(const QueryContext& context, const Task& task, Scratch& scratch, RuledPartial& partial) const {
    const ProfileFilter filter(context, task, scratch);
    const RollingPeriods rolling(*rolling_, start_, task, scratch);
    TaskGroups groups(*this, context, task, scratch, partial);
    CohortsAtHand at_hand(walk_plan_->size(), partial);
    Walk walk;
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      const std::optional<std::int64_t> birth_ms = rolling.birth_ms(profile);
      if (!birth_ms || !filter.has(profile)) continue;
      if (context.budget != nullptr && profile % 1'024 == 0) context.budget->check();
      walk.returns.clear();
      walk.counted.clear();
      const std::span<const std::uint8_t> counts = rolling.counts(profile);
      for (std::size_t period = 0; period < counts.size(); ++period) {
        if (counts[period] != 0) add_returns(static_cast<std::int64_t>(period), counts[period], walk);
      }
      const auto period_of = [&](std::int64_t time_ms) { return (time_ms - *birth_ms) / length_ms_; };
      const std::uint32_t bucket = *walk_plan_->bucket_of(*birth_ms);
      for (const std::uint32_t group : groups.of(profile)) {
        auto cohort = at_hand.of(group, bucket, walk_plan_->start_ms(bucket));
        cohort.add_birth();
        cohort.add_age(period_of(context.now_ms));
        count_cells(walk.counted, walk.returns, context.now_ms, period_of, cohort);
      }
    }
    at_hand.flush(walk_plan_->starts());
    charge(context, partial);
  }

  void scan_active(const QueryContext& context, Task& task, Scratch& scratch, RuledPartial& partial) const {
    const ProfileFilter filter(context, task, scratch);
    std::optional<ClockPlans::OfTask> clocks;
    if (clock_plans_ != nullptr) clocks.emplace(*clock_plans_, task, scratch);
    const auto active_in = [&](const TaskBuckets& buckets) {
      return ActiveBuckets(buckets, start_, task, filter, scratch, ActiveBuckets::Count::kProfiles);
    };
    const TaskBuckets buckets = clocks ? clocks->buckets(1) : TaskBuckets(*plan_);
    const ActiveBuckets active = active_in(buckets);
    std::optional<ActiveBuckets> born;  // where births are not wherever it is active
    if (clocks) born.emplace(active_in(clocks->buckets(0)));
    if (birth_plan_ != nullptr) born.emplace(active_in(TaskBuckets(*birth_plan_)));
    std::optional<BucketCounts> counts;
    if (spec_.min_count > 1) counts.emplace(buckets, start_, task, scratch);
    TaskGroups groups(*this, context, task, scratch, partial);
    CohortsAtHand at_hand(buckets.size(), partial);
    std::vector<std::uint32_t> found, births;
    Walk walk;
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      found.clear();
      for_each_bucket(active.of(profile), [&](std::uint32_t bucket) { found.push_back(bucket); });
      births = found;
      if (born) {
        births.clear();
        for_each_bucket(born->of(profile),
                        [&](std::uint32_t bucket) { births.push_back(clocks ? bucket : birth_bucket_[bucket]); });
      }
      if (births.empty()) continue;
      if (context.budget != nullptr && profile % 1'024 == 0) context.budget->check();
      const std::span<const std::uint32_t> its_groups = groups.of(profile);
      // Asked of now alone.
      const std::int64_t now_ms = clocks ? clocks->now_ms(clocks->zone(profile)) : context.now_ms;
      for (const std::uint32_t birth : births) {
        walk.returns.clear();
        walk.counted.clear();
        for (auto at = std::ranges::lower_bound(found, birth); at != found.end(); ++at)
          add_returns(distance(birth, *at), counts ? counts->of(profile, *at) : std::uint8_t{1}, walk);
        const std::int64_t cohort_ms = starts()[birth];
        const auto period_of = [&](std::int64_t) {
          return calendar_.distance(cohort_ms, calendar_.bucket_start(now_ms));
        };
        for (const std::uint32_t group : its_groups) {
          auto cohort = at_hand.of(group, birth, cohort_ms);
          cohort.add_birth();
          if (clocks) cohort.add_age(now_ms);
          count_cells(walk.counted, walk.returns, context.now_ms, period_of, cohort);
        }
        if (spec_.population != Population::kEveryPeriod) break;
      }
    }
    at_hand.flush(starts());
    charge(context, partial);
  }

  // Cells begin with period 0; a return behind the birth lies before it where a clock was set back across midnight.
  [[nodiscard]] static std::int64_t since(std::int64_t period) noexcept { return std::max<std::int64_t>(period, 0); }

  template <class PeriodOf, class CohortOf>
  void count_cells(std::span<const Counted> counted, std::span<const std::int64_t> returns, std::int64_t now_ms,
                   const PeriodOf& period_of, CohortOf& cohort) const {
    const auto wanted = static_cast<std::size_t>(spec_.min_count);
    switch (spec_.criterion) {
      case Criterion::kOn:
        for (const Counted& each : counted) {
          if (each.count >= spec_.min_count && each.period >= 0) cohort.count(each.period, each.period);
        }
        return;
      case Criterion::kOnOrAfter:  // up to the period of the return that has just enough from it on
        if (returns.size() >= wanted) cohort.count(0, returns[returns.size() - wanted]);
        return;
      case Criterion::kOnOrBefore:
        if (returns.size() >= wanted) cohort.count(since(returns[wanted - 1]), period_of(now_ms));
        return;
      case Criterion::kStreak: {
        std::int64_t last = 0;
        for (const Counted& each : counted) {
          if (each.period == last + 1 && each.count >= spec_.min_count) ++last;
        }
        cohort.count(0, last);
        return;
      }
      case Criterion::kBrackets: break;
    }
    for (std::size_t i = 0; i < spec_.brackets.size(); ++i) {
      const auto first = std::lower_bound(returns.begin(), returns.end(), spec_.brackets[i].first);
      const auto behind = std::upper_bound(returns.begin(), returns.end(), spec_.brackets[i].second);
      const auto number = static_cast<std::int64_t>(i);
      if (behind - first >= spec_.min_count) cohort.count(number, number);
    }
  }

  [[nodiscard]] std::int64_t rolls_from(std::int64_t birth_ms, const ProfileClock& clock) const noexcept {
    if (spec_.alignment != Alignment::kRollingHour) return birth_ms;
    const Calendar hours = clock.zone() == nullptr ? hours_ : Calendar(*clock.zone(), {Unit::Type::kHour, 0}, 0);
    return hours.bucket_start(birth_ms);
  }

  [[nodiscard]] bool shares(const Version& version, const Row& birth, const MatchedRow& matched, Origin home) const {
    const Row row = row_of(matched, home);
    std::vector<Value> of_birth, of_return;
    for (std::size_t i = 0; i < breakdown_.size(); ++i) {
      if (breakdown_.is_trait(i)) continue;
      breakdown_.values_of(i, version, home, &birth, of_birth);
      breakdown_.values_of(i, version, home, &row, of_return);
      if (of_birth != of_return) return false;
    }
    return true;
  }

  // By key; of more than the limit the largest first.
  [[nodiscard]] std::vector<Line> ranked(const RuledPartial& total, std::map<std::uint32_t, Line>& by_group,
                                         const Dictionary& strings) const {
    std::vector<Line> lines;
    for (auto& [group, line] : by_group) {
      line.key = total.groups.key(group);
      lines.push_back(std::move(line));
    }
    std::sort(lines.begin(), lines.end(),
              [&](const Line& left, const Line& right) { return compare_keys(left.key, right.key, strings) < 0; });
    if (!limit_ || lines.size() <= static_cast<std::uint64_t>(*limit_)) return lines;
    std::stable_sort(lines.begin(), lines.end(),
                     [](const Line& left, const Line& right) { return left.size > right.size; });
    return lines;
  }

  // A line a group, by key; under a limit the largest first and the rest as one.
  [[nodiscard]] std::vector<Line> lines_of(RuledPartial& total, const Dictionary& strings) const {
    std::map<std::uint32_t, Line> by_group;
    for (auto& [at, cohort] : total.cohorts) {
      Line& line = by_group[at.first];
      line.size += cohort.size;
      line.cohorts[at.second] = std::move(cohort);
    }
    std::vector<Line> lines;
    if (shown_) {  // in their order already
      for (auto& [group, line] : by_group) {
        line.is_rest = group == shown_->size();
        if (!line.is_rest) line.key = (*shown_)[group];
        lines.push_back(std::move(line));
      }
      return lines;
    }
    lines = ranked(total, by_group, strings);
    if (!limit_ || lines.size() <= static_cast<std::uint64_t>(*limit_)) return lines;
    Line rest;
    rest.is_rest = true;
    for (std::size_t i = static_cast<std::size_t>(*limit_); i < lines.size(); ++i) {
      for (const auto& [start_ms, cohort] : lines[i].cohorts) rest.cohorts[start_ms].merge(cohort);
    }
    lines.resize(static_cast<std::size_t>(*limit_));
    lines.push_back(std::move(rest));
    return lines;
  }

  void add_cells(const QueryContext& context, std::int64_t start_ms, Cohort& cohort, std::vector<Cell>& out) const {
    const std::size_t before = out.size();
    if (spec_.fill) {
      add_all_cells(context, start_ms, cohort, out);
    } else {
      add_counted_cells(context, start_ms, cohort, out);
    }
    if (context.budget != nullptr)
      context.budget->charge((out.size() - before) * (sizeof(Cell) + measured_.size() * sizeof(Number)));
  }

  // With `fill`: every period that has begun for any of the cohort.
  void add_all_cells(const QueryContext& context, std::int64_t start_ms, const Cohort& cohort,
                     std::vector<Cell>& out) const {
    std::int64_t end = static_cast<std::int64_t>(spec_.brackets.size());
    if (end == 0) {
      const std::int64_t last = spec_.alignment == Alignment::kCalendar
                                    ? calendar_.distance(start_ms, calendar_.bucket_start(latest_now(context, cohort)))
                                    : cohort.ages.rbegin()->first;
      end = std::min(last + 1, spec_.periods);
    }
    check_periods(end);
    std::int64_t profiles = 0;
    AmountChanges::Running amounts(cohort.amounts, measured_.size());
    auto change = cohort.change.begin();
    for (std::int64_t period = 0; period < end; ++period) {
      for (; change != cohort.change.end() && change->first <= period; ++change) profiles += change->second;
      out.push_back({start_ms, period, profiles, static_cast<std::int64_t>(cohort.size),
                     elapsed(context, start_ms, cohort, period), numbers_of(amounts.at(period))});
    }
  }

  [[nodiscard]] std::vector<Number> numbers_of(const std::vector<Amount>& amounts) const {
    std::vector<Number> out;
    for (std::size_t i = 0; i < amounts.size(); ++i)
      out.push_back(spec_.measures[i].is_mean ? amounts[i].mean() : amounts[i].sum());
    return out;
  }

  // What the foremost clock of the cohort shows.
  [[nodiscard]] std::int64_t latest_now(const QueryContext& context, const Cohort& cohort) const noexcept {
    return clocks_->are_own() ? cohort.ages.rbegin()->first : context.now_ms;
  }

  static void check_periods(std::int64_t count) {
    if (count <= kPeriodsMost) return;
    throw Error(Family::kLimitExceeded, code::kQueryInvalid,
                "over 65,534 periods; say how many in periods, or take a longer interval", "periods");
  }

  void add_counted_cells(const QueryContext& context, std::int64_t start_ms, const Cohort& cohort,
                         std::vector<Cell>& out) const {
    std::int64_t profiles = 0;
    AmountChanges::Running amounts(cohort.amounts, measured_.size());
    for (auto at = cohort.change.begin(); at != cohort.change.end(); ++at) {
      profiles += at->second;
      if (profiles == 0) continue;
      const std::int64_t end = std::min(std::next(at)->first, spec_.periods);  // the last change leaves nobody
      check_periods(end - at->first);
      for (std::int64_t period = at->first; period < end; ++period) {
        out.push_back({start_ms, period, profiles, static_cast<std::int64_t>(cohort.size),
                       elapsed(context, start_ms, cohort, period), numbers_of(amounts.at(period))});
      }
    }
  }

  // For how many of the cohort the period (of a bracket: its last) is over.
  [[nodiscard]] std::int64_t elapsed(const QueryContext& context, std::int64_t start_ms, const Cohort& cohort,
                                     std::int64_t period) const {
    if (!spec_.brackets.empty()) period = spec_.brackets[static_cast<std::size_t>(period)].second;
    if (spec_.alignment == Alignment::kCalendar) {
      const std::int64_t end_ms = calendar_.start_after(start_ms, period + 1);
      if (clocks_->are_own()) return of_age(cohort, end_ms);
      const bool over = end_ms <= context.now_ms;
      return over ? static_cast<std::int64_t>(cohort.size) : 0;
    }
    return of_age(cohort, period + 1);
  }

  // How many births of a cohort are of this age, or older.
  [[nodiscard]] static std::int64_t of_age(const Cohort& cohort, std::int64_t age) noexcept {
    std::uint64_t births = 0;
    for (auto at = cohort.ages.lower_bound(age); at != cohort.ages.end(); ++at) births += at->second;
    return static_cast<std::int64_t>(births);
  }

  RetentionSpec spec_;
  Breakdown breakdown_;
  std::shared_ptr<const ProfileClocks> clocks_;
  Calendar calendar_;
  Calendar hours_;
  std::int64_t length_ms_;
  std::optional<std::int64_t> limit_;
  RowMatcher matcher_;
  std::vector<std::optional<KeyId>> measured_;  // one a measure; empty: no profile has it
  TimeRange seen_;
  std::shared_ptr<const BucketPlan> walk_plan_;    // of all rows that are gathered; null: of too many buckets, or none
  std::shared_ptr<const BucketPlan> plan_;         // where buckets say all
  std::shared_ptr<const ClockPlans> clock_plans_;  // the same by the clocks of profiles: of births, and of returns
  std::shared_ptr<const BucketPlan> birth_plan_;   // of the range, when rows lie behind it
  std::vector<std::uint32_t> birth_bucket_;        // of `plan_`, for each of `birth_plan_`
  std::optional<RollingPeriods::Rules> rolling_;   // where they roll and are found so
  BoundSelector start_;
  // A second look: these groups, and behind them one of all others.
  std::optional<std::vector<std::vector<Value>>> shown_;
};

}  // namespace

std::unique_ptr<Kind> make_ruled_retention(const RetentionSpec& spec, const Binding& binding, bool for_rows) {
  return std::make_unique<RuledRetentionKind>(spec, binding, for_rows);
}

}  // namespace cdp
