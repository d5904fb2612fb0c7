// Trends beyond the plain one (trend.cpp), whose meaning of rows, buckets, groups and measures is theirs too.
//
// Meaning.
//   events       a series each, told by its name; groups are ranked over the first series.
//   first        of each profile only one row counts: "event", its first ever of the selector's names, if that meets the conditions;
//                "matching", its first ever that does. Ever: whatever the range, which then keeps it or not.
//   median, p90  between the two values around the rank, linearly (type 7), of numbers, rounded once; null of none.
//   distinct     how many different values; types are kept apart.
//   per_profile  a statistic of the rows a profile has there, over the profiles that have some.
//   rolling n    a line measures its bucket and the n - 1 before it, of rows before the range too; cumulative: all from the start
//                of the range on. Distinct profiles and values are counted over all of them. There is a line for every bucket
//                of the range, up to now, in whose buckets there are rows.
//   moving_mean n  in place of each number its mean over the bucket and the n - 1 before, each measured by itself: also of rows
//                before the range; what has no number (a mean of no values) takes no part.
//   previous     the same of the range before (previous_range.hpp), line by line (trend_axis.hpp).
//   fill         every bucket of the range has a line (without a start: from the first line of any series on).
//   formula      in place of the measures, columns of arithmetic over the series' cells (trend_formula.hpp).
//
// How: rows gathered by profile (matched_rows); what needs a profile's rows together (distinct profiles, rows a profile) is decided
// there, as what changes from bucket to bucket; values are kept. ~40 ns a row and interval, 16 bytes a value kept. Where no row
// hangs on another of its profile from the slices (trend_slices.hpp), also on the clocks of profiles (clock_plans.hpp), distinct profiles, without breakdown, from the buckets that
// they are active in (active_buckets.hpp): ~2 ns a row. The answer: trend_lines.cpp.
#include <algorithm>
#include <map>
#include <optional>

#include "query/budget.hpp"
#include "query/kinds/active_buckets.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/clock_plans.hpp"
#include "query/kinds/matched_rows.hpp"
#include "query/kinds/measure_cells.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/trend_lines.hpp"
#include "query/kinds/trend_ruled_plan.hpp"
#include "query/kinds/trend_slices.hpp"

namespace cdp {
namespace {

using Type = TrendMeasure::Type;
using Statistic = TrendMeasure::Statistic;

class RuledTrendKind final : public Kind {
 public:
  RuledTrendKind(const TrendSpec& spec, const Binding& binding)
      : plan_{spec, Breakdown(binding.common.breakdown, binding.version, binding.moment()),
              binding.common.breakdown.empty() ? std::nullopt : binding.common.limit},
        clocks_(std::make_shared<const ProfileClocks>(binding)) {
    plan_.breakdown.use(clocks_);
    std::vector<BoundSelector> selectors;
    for (const TrendSeries& series : plan_.spec.series)
      selectors.push_back(bind_selector(series.selector, binding.version, binding.moment()));
    for (const TrendSeries& series : plan_.spec.series) {
      if (series.first == TrendSeries::First::kNo) continue;
      looks_back_ = true;
      if (series.first != TrendSeries::First::kEvent) continue;
      named_bit_[&series - plan_.spec.series.data()] = selectors.size();
      selectors.push_back(bind_selector({series.selector.names, {}}, binding.version, binding.moment()));
    }
    matcher_ = RowMatcher(std::move(selectors));
    const TimeRange shown = shown_range(binding.common, binding.range);
    add_axes(binding, shown);
    if (plan_.spec.previous) {
      plan_.before = previous_range(*plan_.spec.previous, binding.common.range, binding.range, binding.zone);
      add_axes(binding, *plan_.before);
      for (std::size_t i = 0; i < plan_.asked_axes(); ++i) {
        const auto interval = plan_.spec.intervals.empty() ? std::nullopt : std::optional(plan_.spec.intervals[i]);
        plan_.compared.push_back(
            compared_lines(plan_.axes[i], plan_.axes[plan_.asked_axes() + i], *plan_.spec.previous, interval, binding));
      }
    }
    if (plan_.limit || !plan_.breakdown.empty()) {  // what groups are ranked by: all of the range
      plan_.whole = plan_.axes.size();
      plan_.axes.emplace_back(binding, shown, std::nullopt, TrendAxisRules{.slack_ms = slack_ms()});
    }
    seen_ = binding.range;
    for (const TrendAxis& axis : plan_.axes) {
      if (!clocks_->are_own()) seen_.start_ms = std::min(seen_.start_ms, axis.rows().start_ms);
    }
    if (looks_back_) seen_ = {INT64_MIN, binding.now_ms + 1};
    for (TrendMeasure& measure : plan_.spec.measures) bind_measure(measure, binding.version);
    find_plans(binding);
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    auto out = std::make_unique<RuledTrendPartial>(plan_.breakdown.size(), plan_.empty_numbers(), plan_.kept_keys);
    if (plan_.shown) {
      for (const std::vector<Value>& key : *plan_.shown) out->groups.find_or_add(key);
    }
    return out;
  }
  [[nodiscard]] std::vector<NameId> names() const override { return matcher_.names(); }
  [[nodiscard]] std::int64_t looks_from_ms(const QueryContext&) const override { return seen_.start_ms; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<RuledTrendPartial&>(partial);
    if (!plans_.empty()) return scan_planned(context, task, scratch, into);
    std::uint32_t since_charge = 0;
    Buffers buffers;
    Breakdown::TaskMembers members(plan_.breakdown, context, task, scratch);
    matcher_.for_each_profile(context, task, scratch, seen_,
                              [&](std::uint32_t profile, std::span<const MatchedRow> rows) {
                                add_profile(context, task.origin(profile), rows, members.of(profile), into, buffers);
                                if (++since_charge % 1'024 == 0) charge_trend(context, into);
                              });
    charge_trend(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    std::vector<MatchedRow> matched;
    Buffers buffers;
    matcher_.match(rows, seen_, matched);
    add_profile(context, home, matched, plan_.breakdown.members_of(*context.version, home),
                static_cast<RuledTrendPartial&>(partial), buffers);
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<RuledTrendPartial&>(into);
    auto& right = static_cast<RuledTrendPartial&>(from);
    std::vector<std::uint32_t> group;
    if (plan_.shown) {  // the same in every partial
      for (std::uint32_t i = 0; i <= plan_.shown->size(); ++i) group.push_back(i);
    } else {
      group = right.groups.merge_into(left.groups);
    }
    for (const auto& [key, cell] : right.cell_of) {
      TrendCell at = TrendCell::of(key);
      at.group = group[at.group];
      const std::uint32_t to = left.at(at.key(TrendCell::bucket_of(key)));
      left.total[to] += right.total[cell];
      left.entered[to] += right.entered[cell];
      left.counts[to].insert(left.counts[to].end(), right.counts[cell].begin(), right.counts[cell].end());
      for (std::size_t i = 0; i < left.numbers.size(); ++i) left.numbers[i].merge(to, right.numbers[i], cell);
      for (std::size_t i = 0; i < left.values.size(); ++i) {
        left.values[i][to].insert(left.values[i][to].end(), right.values[i][cell].begin(), right.values[i][cell].end());
      }
    }
    left.kept += right.kept;
  }

  // What is distinct over the rest of a limit can only be counted when the rest is known: the rows are looked at again.
  [[nodiscard]] std::unique_ptr<Kind> again(const QueryContext& context, const Partial& partial) const override {
    const auto& total = static_cast<const RuledTrendPartial&>(partial);
    if (!plan_.limit || plan_.shown) return nullptr;
    std::vector<std::uint32_t> ranked = ranked_trend_groups(plan_, total, *context.version->strings);
    if (ranked.size() <= static_cast<std::uint64_t>(*plan_.limit)) return nullptr;
    auto next = std::make_unique<RuledTrendKind>(*this);
    next->plan_.shown.emplace();
    for (std::size_t i = 0; i < static_cast<std::size_t>(*plan_.limit); ++i)
      next->plan_.shown->push_back(total.groups.key(ranked[i]));
    return next;
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    return trend_table(plan_, static_cast<const RuledTrendPartial&>(*partial), *context.version->strings);
  }

 private:
  void add_axes(const Binding& binding, const TimeRange& range) {
    const bool is_whole = plan_.spec.previous || (plan_.spec.fill && !plan_.spec.intervals.empty());
    const bool goes_on = is_whole || (reach() != 1 && !plan_.spec.intervals.empty());
    const TrendAxisRules rules{reach(), goes_on, is_whole, slack_ms()};
    for (const Unit& unit : plan_.spec.intervals) plan_.axes.emplace_back(binding, range, unit, rules);
    if (plan_.spec.intervals.empty()) plan_.axes.emplace_back(binding, range, std::nullopt, rules);
  }
  [[nodiscard]] std::int64_t slack_ms() const noexcept { return clocks_->are_own() ? kClockMostMs : 0; }
  // As of TrendAxisRules.
  [[nodiscard]] std::int64_t reach() const noexcept {
    return plan_.spec.moving_mean != 0 ? plan_.spec.moving_mean : plan_.spec.window;
  }

  // An axis of which the buckets that a profile is active in say all.
  struct AxisPlan {
    std::shared_ptr<const BucketPlan> plan;  // null on the clocks of profiles
    std::size_t clock_axis = 0;              // then of clock_plans_
    std::vector<std::uint32_t> bucket;       // of the axis, for each of the plan
  };

  // Where no row hangs on another of its profile, or on the buckets it is in alone, nothing need be gathered.
  void find_plans(const Binding& binding) {
    if (looks_back_ || by_profile_ || (clocks_->are_own() && plan_.breakdown.reads_times())) return;
    if (has_members(binding.common.breakdown) || (uniques_ && !plan_.breakdown.empty())) return;
    std::vector<AxisPlan> plans;
    std::vector<ClockPlans::Axis> clock_axes;
    for (std::size_t i = 0; i < plan_.axes.size(); ++i) {
      const bool is_whole = i == plan_.whole.value_or(SIZE_MAX);
      const std::vector<Unit>& units = plan_.spec.intervals;
      const std::optional<Unit> unit =
          is_whole || units.empty() ? std::nullopt : std::optional(units[i % units.size()]);
      const std::int64_t origin_ms =
          is_whole || i < plan_.asked_axes() ? binding.range.start_ms : plan_.before->start_ms;
      AxisPlan& axis = plans.emplace_back();
      if (plan_.axes[i].size() == 0) continue;
      if (clocks_->are_own()) {
        if (uniques_ && plan_.axes[i].size() > ActiveBuckets::kBucketsMax) return;
        axis.clock_axis = clock_axes.size();
        clock_axes.emplace_back();
        for (std::uint32_t bucket = 0; bucket < plan_.axes[i].size(); ++bucket) {
          clock_axes.back().starts.push_back(unit ? plan_.axes[i].start_ms(bucket) : 0);
          axis.bucket.push_back(bucket);
        }
        continue;
      }
      axis.plan = std::make_shared<const BucketPlan>(binding.version, binding.zone, binding.common.week_start, unit,
                                                     plan_.axes[i].rows(), std::max<std::int64_t>(origin_ms, 0));
      if (uniques_ && axis.plan->size() > ActiveBuckets::kBucketsMax) return;
      for (const std::int64_t start_ms : axis.plan->starts()) {
        const std::int64_t inside_ms = std::max(start_ms, plan_.axes[i].rows().start_ms);
        axis.bucket.push_back(plan_.axes[i].bucket_of(inside_ms).value_or(0));
      }
    }
    plans_ = std::move(plans);
    if (!clock_axes.empty())
      clock_plans_ = std::make_shared<const ClockPlans>(binding.version, clocks_, std::move(clock_axes));
    for (const TrendSeries& series : plan_.spec.series)
      events_.push_back(bind_selector(series.selector, binding.version, binding.moment()));
  }

  void scan_planned(const QueryContext& context, Task& task, Scratch& scratch, RuledTrendPartial& partial) const {
    const ProfileFilter filter(context, task, scratch);
    std::optional<ClockPlans::OfTask> clocks;
    if (clock_plans_ != nullptr) clocks.emplace(*clock_plans_, task, scratch);
    TrendSlices slices(plan_, context, task, filter, scratch, partial);
    for (std::uint32_t axis = 0; axis < plan_.axes.size(); ++axis) {
      const AxisPlan& plan = plans_[axis];
      if (plan.bucket.empty()) continue;
      const TaskBuckets buckets = clocks ? clocks->buckets(plan.clock_axis) : TaskBuckets(*plan.plan);
      for (std::uint32_t series = 0; series < events_.size(); ++series) {
        if (context.budget != nullptr) context.budget->check();
        if (uniques_) {
          const ActiveBuckets active(buckets, events_[series], task, filter, scratch, ActiveBuckets::Count::kRows);
          add_active(task, active, {series, axis, 0}, partial);
          if (plan_.keys.empty()) continue;
        }
        slices.add(events_[series], series, axis, buckets, plan.bucket, !uniques_);
      }
    }
    charge_trend(context, partial);
  }

  void add_active(const Task& task, const ActiveBuckets& active, const TrendCell& where,
                  RuledTrendPartial& partial) const {
    const std::vector<std::uint32_t>& bucket_of = plans_[where.axis].bucket;
    const std::uint32_t size = plan_.axes[where.axis].size();
    std::vector<std::int64_t> entered(size + std::size_t{1});  // what lies behind the last bucket is let go
    std::vector<std::uint64_t> rows(size);
    for (std::uint32_t i = 0; i < bucket_of.size(); ++i) rows[bucket_of[i]] += active.rows(i);
    for (std::uint32_t profile = 0; uniques_ && profile < task.size(); ++profile) {
      std::uint32_t left = 0;  // the first window behind that it is not in
      for_each_bucket(active.of(profile), [&](std::uint32_t i) {
        const std::uint32_t bucket = bucket_of[i];
        if (left < bucket || left == 0) {
          ++entered[bucket];
          if (left != 0) --entered[left];
        }
        left = reach_of(where.axis, bucket);
      });
      if (left != 0) --entered[left];
    }
    for (std::uint32_t bucket = 0; bucket < size; ++bucket) {
      if (rows[bucket] == 0 && entered[bucket] == 0) continue;
      const std::uint32_t cell = partial.at(where.key(bucket));
      partial.total[cell] += rows[bucket];
      partial.entered[cell] += entered[bucket];
    }
  }

  // The first window behind the bucket that no longer holds it.
  [[nodiscard]] std::uint32_t reach_of(std::size_t axis, std::uint32_t bucket) const noexcept {
    const std::uint32_t size = plan_.axes[axis].size();
    if (axis == plan_.whole.value_or(SIZE_MAX)) return bucket + 1;
    return plan_.spec.window == 0
               ? size
               : std::min<std::uint32_t>(size, bucket + static_cast<std::uint32_t>(plan_.spec.window));
  }

  void bind_measure(TrendMeasure& measure, const Version& version) {
    by_profile_ |= measure.type == Type::kPerProfile && measure.statistic != Statistic::kMean;
    uniques_ |= measure.type == Type::kUnique || measure.type == Type::kPerProfile;
    if (measure.key.empty()) return;
    const auto found = std::find_if(plan_.keys.begin(), plan_.keys.end(),
                                    [&](const RuledTrendKey& key) { return key.name == measure.key; });
    measure.numbers = static_cast<std::size_t>(found - plan_.keys.begin());
    if (found == plan_.keys.end()) {
      plan_.keys.push_back({measure.key, std::nullopt});
      if (const auto id = version.keys->find(measure.key)) plan_.keys.back().id = KeyId{*id};
    }
    RuledTrendKey& key = plan_.keys[measure.numbers];
    key.sums |= measure.type == Type::kSum || measure.type == Type::kMean;
    key.means |= measure.type == Type::kMean;
    key.extremes |= measure.type == Type::kMin || measure.type == Type::kMax;
    const bool keeps = measure.type == Type::kQuantile || measure.type == Type::kDistinct;
    if (keeps && key.kept == SIZE_MAX) key.kept = plan_.kept_keys++;
  }

  // Of a series that counts first rows: which row it is, if it counts.
  [[nodiscard]] std::optional<std::size_t> first_row(std::size_t series, std::span<const MatchedRow> rows) const {
    const std::uint64_t matching = std::uint64_t{1} << series;
    const bool by_event = plan_.spec.series[series].first == TrendSeries::First::kEvent;
    const std::uint64_t wanted =
        by_event ? std::uint64_t{1} << named_bit_.at(static_cast<std::ptrdiff_t>(series)) : matching;
    for (std::size_t at = 0; at < rows.size(); ++at) {
      if ((rows[at].selectors & wanted) == 0) continue;
      return (rows[at].selectors & matching) != 0 ? std::optional(at) : std::nullopt;
    }
    return std::nullopt;
  }

  // What one profile after another is counted with.
  struct Buffers {
    std::vector<std::uint32_t> groups;
    std::vector<std::optional<std::size_t>> first;
    std::vector<std::uint64_t> touched;  // keys of cells, one a row
    std::vector<Value> values;
    std::vector<std::uint32_t> buckets;  // of a row on each axis, kNone
  };

  void add_profile(const QueryContext& context, Origin home, std::span<const MatchedRow> rows,
                   const MemberValues& members, RuledTrendPartial& partial, Buffers& use) const {
    if (rows.empty()) return;
    const std::uint32_t shown = plan_.shown ? static_cast<std::uint32_t>(plan_.shown->size()) : kNone;
    use.first.assign(plan_.spec.series.size(), std::nullopt);
    for (std::size_t i = 0; looks_back_ && i < use.first.size(); ++i) {
      if (plan_.spec.series[i].first != TrendSeries::First::kNo) use.first[i] = first_row(i, rows);
    }
    // By the question's own zone axes say which rows count.
    const ProfileClock clock = clocks_->are_own() ? clocks_->of(*context.version, home) : ProfileClock(TimeRange{});
    const bool splits = !plan_.breakdown.empty();
    use.touched.clear();
    use.groups.assign(1, 0);
    use.values.resize(plan_.keys.size());
    for (std::size_t at = 0; at < rows.size(); ++at) {
      std::uint64_t series = rows[at].selectors & ((std::uint64_t{1} << plan_.spec.series.size()) - 1);
      for (std::size_t i = 0; looks_back_ && i < use.first.size(); ++i) {
        if (plan_.spec.series[i].first != TrendSeries::First::kNo && use.first[i] != at)
          series &= ~(std::uint64_t{1} << i);
      }
      if (series == 0 || !clock.counts(rows[at].time_ms)) continue;
      if (!find_buckets(clock.shown(rows[at].time_ms), use.buckets)) continue;
      if (splits || !plan_.keys.empty()) {
        if (plan_.breakdown.splits_rows() && context.budget != nullptr)
          context.budget->check();  // a row may be in many groups
        const Row row = row_of(rows[at], home);
        if (splits) plan_.breakdown.groups_of(*context.version, home, &row, members, shown, partial.groups, use.groups);
        if (partial.grown(partial.groups)) charge_trend(context, partial);
        for (std::size_t i = 0; i < plan_.keys.size(); ++i)
          use.values[i] = plan_.keys[i].id ? property(row, *plan_.keys[i].id) : Value{};
      }
      for (std::uint32_t axis = 0; axis < use.buckets.size(); ++axis) {
        if (use.buckets[axis] == kNone) continue;
        for (std::uint64_t left = series; left != 0; left &= left - 1) {
          for (const std::uint32_t group : use.groups) {
            const TrendCell where{static_cast<std::uint32_t>(__builtin_ctzll(left)), axis, group};
            const std::uint64_t key = where.key(use.buckets[axis]);
            add_row(partial.at(key), use.values, partial);
            if (uniques_) use.touched.push_back(key);
          }
        }
      }
    }
    if (uniques_) add_windows(use.touched, partial);
  }

  // False when the row counts on no axis.
  [[nodiscard]] bool find_buckets(std::int64_t time_ms, std::vector<std::uint32_t>& out) const {
    out.clear();
    bool any = false;
    for (const TrendAxis& axis : plan_.axes) {
      out.push_back(axis.bucket_of(time_ms).value_or(kNone));
      any |= out.back() != kNone;
    }
    return any;
  }

  void add_row(std::uint32_t cell, std::span<const Value> values, RuledTrendPartial& partial) const {
    ++partial.total[cell];
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i].type == ValueType::kNull) continue;
      partial.numbers[i].add(cell, values[i]);
      if (plan_.keys[i].kept == SIZE_MAX) continue;
      partial.values[plan_.keys[i].kept][cell].push_back(values[i]);
      ++partial.kept;
    }
  }

  // One profile's rows as what they change: the window it enters, the one it has left, and how many rows it has in each.
  void add_windows(std::vector<std::uint64_t>& touched, RuledTrendPartial& partial) const {
    std::sort(touched.begin(), touched.end());
    struct Held {
      std::uint32_t bucket, rows;
    };
    std::vector<Held> held;
    for (std::size_t begin = 0; begin < touched.size();) {
      const TrendCell at = TrendCell::of(touched[begin]);
      held.clear();
      std::size_t end = begin;
      for (; end < touched.size() && TrendCell::of(touched[end]) == at; ++end) {
        const std::uint32_t bucket = TrendCell::bucket_of(touched[end]);
        if (held.empty() || held.back().bucket != bucket) held.push_back({bucket, 0});
        ++held.back().rows;
      }
      begin = end;
      const std::uint32_t size = plan_.axes[at.axis].size();
      const auto reach = [&](std::uint32_t bucket) { return reach_of(at.axis, bucket); };
      for (std::size_t i = 0; i < held.size(); ++i) {
        if (i == 0 || reach(held[i - 1].bucket) < held[i].bucket) ++partial.entered[partial.at(at.key(held[i].bucket))];
        const std::uint32_t left = reach(held[i].bucket);
        if (left < size && (i + 1 == held.size() || left < held[i + 1].bucket))
          --partial.entered[partial.at(at.key(left))];
      }
      if (!by_profile_) continue;
      std::uint32_t rows = 0;
      std::size_t from = 0, to = 0;  // of `held`, in the window
      const std::uint32_t last = reach(held.back().bucket);
      for (std::uint32_t bucket = held.front().bucket; bucket < last; ++bucket) {
        while (to < held.size() && held[to].bucket <= bucket) rows += held[to++].rows;
        while (from < to && reach(held[from].bucket) <= bucket) rows -= held[from++].rows;
        if (rows == 0) continue;
        partial.counts[partial.at(at.key(bucket))].push_back(rows);
        ++partial.kept;
      }
    }
  }

  RuledTrendPlan plan_;
  std::shared_ptr<const ProfileClocks> clocks_;
  RowMatcher matcher_;
  std::map<std::ptrdiff_t, std::size_t> named_bit_;  // of a series: the selector of its names alone
  bool looks_back_ = false;
  TimeRange seen_;
  std::vector<AxisPlan> plans_;  // of each axis; none: rows are gathered
  std::shared_ptr<const ClockPlans> clock_plans_;
  std::vector<BoundSelector> events_;  // of each series, with plans
  bool uniques_ = false;
  bool by_profile_ = false;
};

}  // namespace

std::unique_ptr<Kind> make_ruled_trend(const TrendSpec& spec, const Binding& binding) {
  return std::make_unique<RuledTrendKind>(spec, binding);
}

}  // namespace cdp
