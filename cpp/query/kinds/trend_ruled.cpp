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
// there, as what changes from bucket to bucket; values are kept. ~40 ns a row and interval, 16 bytes a value kept. Of rows and
// distinct profiles alone, without breakdown, from the buckets that a profile is active in (active_buckets.hpp): ~2 ns a row.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "query/budget.hpp"
#include "query/exact_sum.hpp"
#include "query/kinds/active_buckets.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/matched_rows.hpp"
#include "query/kinds/measure_cells.hpp"
#include "query/kinds/profile_clock.hpp"
#include "query/kinds/trend_axis.hpp"
#include "query/kinds/trend_cells.hpp"
#include "query/kinds/trend_spec.hpp"

namespace cdp {
namespace {

using Type = TrendMeasure::Type;
using Statistic = TrendMeasure::Statistic;

// A property that some measure reads.
struct Key {
  std::string name;
  std::optional<KeyId> id;
  bool sums = false, means = false, extremes = false;
  std::size_t kept = SIZE_MAX;  // index of its values, when they are kept
};

bool is_number(const Value& value) noexcept { return value.type == ValueType::kInt || value.type == ValueType::kFloat; }

Number distinct_of(std::vector<Value>&& values) {
  std::sort(values.begin(), values.end(), [](const Value& left, const Value& right) {
    return left.type != right.type ? left.type < right.type : left.bits < right.bits;
  });
  return Number::of(static_cast<__int128>(std::unique(values.begin(), values.end()) - values.begin()));
}

// The exact mean of the numbers in one column, rounded once; of none, and of what is beyond the floats, nothing.
Number mean_of(std::span<const std::vector<Number>* const> lines, std::size_t column) {
  ExactSum sum;
  std::uint64_t count = 0;
  for (const std::vector<Number>* line : lines) {
    const Number& number = (*line)[column];
    if (number.type == Number::Type::kNone) continue;
    if (number.type == Number::Type::kFloat && !std::isfinite(number.real)) return {};
    ++count;
    number.type == Number::Type::kInt ? sum.add_int(number.integer) : sum.add_float(number.real);
  }
  return count == 0 ? Number{} : Number::of(sum.mean(count));
}

Number quantile_of_values(std::vector<Value>&& values, Quantile quantile) {
  std::erase_if(values, [](const Value& value) { return !is_number(value); });
  if (values.empty()) return {};
  return Number::of(quantile_of(std::span(values), quantile));
}

class RuledTrendKind final : public Kind {
 public:
  RuledTrendKind(const TrendSpec& spec, const Binding& binding)
      : spec_(spec),
        breakdown_(binding.common.breakdown, binding.version, binding.moment()),
        clocks_(std::make_shared<const ProfileClocks>(binding)),
        limit_(breakdown_.empty() ? std::nullopt : binding.common.limit) {
    breakdown_.use(clocks_);
    std::vector<BoundSelector> selectors;
    for (const TrendSeries& series : spec_.series)
      selectors.push_back(bind_selector(series.selector, binding.version, binding.moment()));
    for (const TrendSeries& series : spec_.series) {
      if (series.first == TrendSeries::First::kNo) continue;
      looks_back_ = true;
      if (series.first != TrendSeries::First::kEvent) continue;
      named_bit_[&series - spec_.series.data()] = selectors.size();
      selectors.push_back(bind_selector({series.selector.names, {}}, binding.version, binding.moment()));
    }
    matcher_ = RowMatcher(std::move(selectors));
    const TimeRange shown = shown_range(binding.common, binding.range);
    add_axes(binding, shown);
    if (spec_.previous) {
      before_ = previous_range(*spec_.previous, binding.common.range, binding.range, binding.zone);
      add_axes(binding, *before_);
      for (std::size_t i = 0; i < asked_axes(); ++i) {
        const auto interval = spec_.intervals.empty() ? std::nullopt : std::optional(spec_.intervals[i]);
        compared_.push_back(compared_lines(axes_[i], axes_[asked_axes() + i], *spec_.previous, interval, binding));
      }
    }
    if (limit_ || !breakdown_.empty()) {  // what groups are ranked by: all of the range
      whole_ = axes_.size();
      axes_.emplace_back(binding, shown, std::nullopt, TrendAxisRules{.slack_ms = slack_ms()});
    }
    seen_ = binding.range;
    for (const TrendAxis& axis : axes_) {
      if (!clocks_->are_own()) seen_.start_ms = std::min(seen_.start_ms, axis.rows().start_ms);
    }
    if (looks_back_) seen_ = {INT64_MIN, binding.now_ms + 1};
    for (TrendMeasure& measure : spec_.measures) bind_measure(measure, binding.version);
    find_plans(binding);
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    auto out = std::make_unique<RuledTrendPartial>(breakdown_.size(), empty_numbers(), kept_keys_);
    if (shown_) {
      for (const std::vector<Value>& key : *shown_) out->groups.find_or_add(key);
    }
    return out;
  }
  [[nodiscard]] std::vector<NameId> names() const override { return matcher_.names(); }
  [[nodiscard]] std::int64_t looks_from_ms(const QueryContext&) const override { return seen_.start_ms; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<RuledTrendPartial&>(partial);
    if (!plans_.empty()) return scan_active(context, task, scratch, into);
    std::uint32_t since_charge = 0;
    Breakdown::TaskMembers members(breakdown_, context, task, scratch);
    matcher_.for_each_profile(context, task, scratch, seen_,
                              [&](std::uint32_t profile, std::span<const MatchedRow> rows) {
                                add_profile(context, task.origin(profile), rows, members.of(profile), into);
                                if (++since_charge % 1'024 == 0) charge(context, into);
                              });
    charge(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    std::vector<MatchedRow> matched;
    matcher_.match(rows, seen_, matched);
    add_profile(context, home, matched, breakdown_.members_of(*context.version, home),
                static_cast<RuledTrendPartial&>(partial));
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<RuledTrendPartial&>(into);
    auto& right = static_cast<RuledTrendPartial&>(from);
    std::vector<std::uint32_t> group;
    if (shown_) {  // the same in every partial
      for (std::uint32_t i = 0; i <= shown_->size(); ++i) group.push_back(i);
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
    if (!limit_ || shown_) return nullptr;
    std::vector<std::uint32_t> ranked = ranked_groups(total, *context.version->strings);
    if (ranked.size() <= static_cast<std::uint64_t>(*limit_)) return nullptr;
    auto next = std::make_unique<RuledTrendKind>(*this);
    next->shown_.emplace();
    for (std::size_t i = 0; i < static_cast<std::size_t>(*limit_); ++i)
      next->shown_->push_back(total.groups.key(ranked[i]));
    return next;
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    const auto& total = static_cast<const RuledTrendPartial&>(*partial);
    const Dictionary& strings = *context.version->strings;
    std::vector<std::uint32_t> groups;
    if (shown_) {
      for (std::uint32_t i = 0; i <= shown_->size(); ++i) groups.push_back(i);
    } else if (breakdown_.empty()) {
      groups.push_back(0);
    } else {
      groups = ranked_groups(total, strings);
    }
    std::map<TrendCell, std::map<std::uint32_t, std::uint32_t>> cells;  // by bucket
    for (const auto& [key, cell] : total.cell_of) cells[TrendCell::of(key)].emplace(TrendCell::bucket_of(key), cell);
    std::vector<std::vector<Value>> keys;
    for (const std::uint32_t group : groups)
      keys.push_back(is_rest(group) ? std::vector<Value>() : total.groups.key(group));
    return table_of(total, cells, groups, keys, strings);
  }

 private:
  using CellsByBucket = std::map<std::uint32_t, std::uint32_t>;
  using AllCells = std::map<TrendCell, CellsByBucket>;
  using Measured = std::vector<Number>;               // one a measure, or a formula
  using LineMap = std::map<std::uint32_t, Measured>;  // by bucket
  struct Lines {
    std::vector<const TrendSeries*> series;
    std::vector<std::int64_t> axis, start_ms;
    std::vector<std::optional<std::int64_t>> before_ms;  // start of the bucket that a line is compared with
    std::vector<const std::vector<Value>*> key;          // null: other
    std::vector<std::vector<Number>> numbers;            // one a column
  };

  [[nodiscard]] bool is_rest(std::uint32_t group) const noexcept { return shown_ && group == shown_->size(); }
  [[nodiscard]] std::size_t asked_axes() const noexcept { return std::max<std::size_t>(spec_.intervals.size(), 1); }

  void add_axes(const Binding& binding, const TimeRange& range) {
    const bool is_whole = spec_.previous || (spec_.fill && !spec_.intervals.empty());
    const bool goes_on = is_whole || (reach() != 1 && !spec_.intervals.empty());
    const TrendAxisRules rules{reach(), goes_on, is_whole, slack_ms()};
    for (const Unit& unit : spec_.intervals) axes_.emplace_back(binding, range, unit, rules);
    if (spec_.intervals.empty()) axes_.emplace_back(binding, range, std::nullopt, rules);
  }
  [[nodiscard]] std::int64_t slack_ms() const noexcept { return clocks_->are_own() ? kClockMostMs : 0; }
  // As of TrendAxisRules.
  [[nodiscard]] std::int64_t reach() const noexcept {
    return spec_.moving_mean != 0 ? spec_.moving_mean : spec_.window;
  }

  // An axis of which the buckets that a profile is active in say all.
  struct AxisPlan {
    std::shared_ptr<const BucketPlan> plan;
    std::vector<std::uint32_t> bucket;  // of the axis, for each of the plan
  };

  // Rows and profiles alone, of no breakdown: nothing need be gathered.
  void find_plans(const Binding& binding) {
    if (clocks_->are_own() || !breakdown_.empty() || looks_back_ || by_profile_ || !keys_.empty()) return;
    std::vector<AxisPlan> plans;
    for (std::size_t i = 0; i < axes_.size(); ++i) {
      const std::optional<Unit> unit =
          spec_.intervals.empty() ? std::nullopt : std::optional(spec_.intervals[i % spec_.intervals.size()]);
      const std::int64_t origin_ms = i < asked_axes() ? binding.range.start_ms : before_->start_ms;
      AxisPlan& axis = plans.emplace_back();
      if (axes_[i].size() == 0) continue;
      axis.plan = std::make_shared<const BucketPlan>(binding.version, binding.zone, binding.common.week_start, unit,
                                                     axes_[i].rows(), std::max<std::int64_t>(origin_ms, 0));
      if (axis.plan->size() > ActiveBuckets::kBucketsMax) return;
      for (const std::int64_t start_ms : axis.plan->starts())
        axis.bucket.push_back(axes_[i].bucket_of(std::max(start_ms, axes_[i].rows().start_ms)).value_or(0));
    }
    plans_ = std::move(plans);
    for (const TrendSeries& series : spec_.series)
      events_.push_back(bind_selector(series.selector, binding.version, binding.moment()));
  }

  void scan_active(const QueryContext& context, const Task& task, Scratch& scratch, RuledTrendPartial& partial) const {
    const ProfileFilter filter(context, task, scratch);
    for (std::uint32_t axis = 0; axis < axes_.size(); ++axis) {
      if (plans_[axis].plan == nullptr) continue;
      for (std::uint32_t series = 0; series < events_.size(); ++series) {
        if (context.budget != nullptr) context.budget->check();
        const ActiveBuckets active(*plans_[axis].plan, events_[series], task, filter, scratch,
                                   ActiveBuckets::Count::kRows);
        add_active(task, active, {series, axis, 0}, partial);
      }
    }
    charge(context, partial);
  }

  void add_active(const Task& task, const ActiveBuckets& active, const TrendCell& where,
                  RuledTrendPartial& partial) const {
    const std::vector<std::uint32_t>& bucket_of = plans_[where.axis].bucket;
    const std::uint32_t size = axes_[where.axis].size();
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
    const std::uint32_t size = axes_[axis].size();
    if (axis == whole_.value_or(SIZE_MAX)) return bucket + 1;
    return spec_.window == 0 ? size : std::min<std::uint32_t>(size, bucket + static_cast<std::uint32_t>(spec_.window));
  }

  [[nodiscard]] std::vector<NumberCells> empty_numbers() const {
    std::vector<NumberCells> out;
    for (const Key& key : keys_) out.emplace_back(key.sums, key.means, key.extremes);
    return out;
  }

  void bind_measure(TrendMeasure& measure, const Version& version) {
    by_profile_ |= measure.type == Type::kPerProfile && measure.statistic != Statistic::kMean;
    uniques_ |= measure.type == Type::kUnique || measure.type == Type::kPerProfile;
    if (measure.key.empty()) return;
    const auto found =
        std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.name == measure.key; });
    measure.numbers = static_cast<std::size_t>(found - keys_.begin());
    if (found == keys_.end()) {
      keys_.push_back({measure.key, std::nullopt});
      if (const auto id = version.keys->find(measure.key)) keys_.back().id = KeyId{*id};
    }
    Key& key = keys_[measure.numbers];
    key.sums |= measure.type == Type::kSum || measure.type == Type::kMean;
    key.means |= measure.type == Type::kMean;
    key.extremes |= measure.type == Type::kMin || measure.type == Type::kMax;
    const bool keeps = measure.type == Type::kQuantile || measure.type == Type::kDistinct;
    if (keeps && key.kept == SIZE_MAX) key.kept = kept_keys_++;
  }

  static void charge(const QueryContext& context, RuledTrendPartial& partial) {
    if (context.budget == nullptr) return;
    const std::uint64_t bytes = partial.size_bytes();
    if (bytes <= partial.charged_bytes) return;
    context.budget->charge(bytes - partial.charged_bytes);
    partial.charged_bytes = bytes;
  }

  // Of a series that counts first rows: which row it is, if it counts.
  [[nodiscard]] std::optional<std::size_t> first_row(std::size_t series, std::span<const MatchedRow> rows) const {
    const std::uint64_t matching = std::uint64_t{1} << series;
    const bool by_event = spec_.series[series].first == TrendSeries::First::kEvent;
    const std::uint64_t wanted =
        by_event ? std::uint64_t{1} << named_bit_.at(static_cast<std::ptrdiff_t>(series)) : matching;
    for (std::size_t at = 0; at < rows.size(); ++at) {
      if ((rows[at].selectors & wanted) == 0) continue;
      return (rows[at].selectors & matching) != 0 ? std::optional(at) : std::nullopt;
    }
    return std::nullopt;
  }

  void add_profile(const QueryContext& context, Origin home, std::span<const MatchedRow> rows,
                   const MemberValues& members, RuledTrendPartial& partial) const {
    if (rows.empty()) return;
    const std::uint32_t shown = shown_ ? static_cast<std::uint32_t>(shown_->size()) : kNone;
    std::vector<std::uint32_t> groups;
    std::vector<std::optional<std::size_t>> first(spec_.series.size());
    for (std::size_t i = 0; looks_back_ && i < first.size(); ++i) {
      if (spec_.series[i].first != TrendSeries::First::kNo) first[i] = first_row(i, rows);
    }
    // By the question's own zone axes say which rows count.
    const ProfileClock clock = clocks_->are_own() ? clocks_->of(*context.version, home) : ProfileClock(TimeRange{});
    std::vector<std::uint64_t> touched;  // keys of cells, one a row
    std::vector<Value> values(keys_.size());
    for (std::size_t at = 0; at < rows.size(); ++at) {
      std::uint64_t series = rows[at].selectors & ((std::uint64_t{1} << spec_.series.size()) - 1);
      for (std::size_t i = 0; looks_back_ && i < first.size(); ++i) {
        if (spec_.series[i].first != TrendSeries::First::kNo && first[i] != at) series &= ~(std::uint64_t{1} << i);
      }
      const std::int64_t time_ms = clock.shown(rows[at].time_ms);
      if (series == 0 || !clock.counts(rows[at].time_ms) || !counts_anywhere(time_ms)) continue;
      if (breakdown_.splits_rows() && context.budget != nullptr)
        context.budget->check();  // a row may be in many groups
      const Row row = row_of(rows[at], home);
      breakdown_.groups_of(*context.version, home, &row, members, shown, partial.groups, groups);
      if (partial.grown(partial.groups)) charge(context, partial);
      for (std::size_t i = 0; i < keys_.size(); ++i) values[i] = keys_[i].id ? property(row, *keys_[i].id) : Value{};
      for (std::uint32_t axis = 0; axis < axes_.size(); ++axis) {
        const auto bucket = axes_[axis].bucket_of(time_ms);
        if (!bucket) continue;
        for (std::uint64_t left = series; left != 0; left &= left - 1) {
          for (const std::uint32_t group : groups) {
            const TrendCell where{static_cast<std::uint32_t>(__builtin_ctzll(left)), axis, group};
            const std::uint64_t key = where.key(*bucket);
            add_row(partial.at(key), values, partial);
            if (uniques_) touched.push_back(key);
          }
        }
      }
    }
    if (uniques_) add_windows(touched, partial);
  }

  [[nodiscard]] bool counts_anywhere(std::int64_t time_ms) const noexcept {
    return std::any_of(axes_.begin(), axes_.end(),
                       [&](const TrendAxis& axis) { return axis.bucket_of(time_ms).has_value(); });
  }

  void add_row(std::uint32_t cell, std::span<const Value> values, RuledTrendPartial& partial) const {
    ++partial.total[cell];
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i].type == ValueType::kNull) continue;
      partial.numbers[i].add(cell, values[i]);
      if (keys_[i].kept == SIZE_MAX) continue;
      partial.values[keys_[i].kept][cell].push_back(values[i]);
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
      const std::uint32_t size = axes_[at.axis].size();
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

  // Groups that hold rows of the range, or of what windows reach back to, by the first series over the whole range.
  [[nodiscard]] std::vector<std::uint32_t> ranked_groups(const RuledTrendPartial& total,
                                                         const Dictionary& strings) const {
    std::vector<Number> rank(total.groups.size());
    std::vector<bool> holds(total.groups.size());
    std::vector<std::vector<Value>> keys;
    for (const auto& [key, cell] : total.cell_of) holds[TrendCell::of(key).group] = true;
    std::vector<std::uint32_t> out;
    const auto axis = static_cast<std::uint32_t>(*whole_);
    for (std::uint32_t group = 0; group < rank.size(); ++group) {
      keys.push_back(total.groups.key(group));
      if (!holds[group]) continue;
      out.push_back(group);
      Window window(*this, total);
      const auto found = total.cell_of.find(TrendCell{0, axis, group}.key(0));
      if (found != total.cell_of.end()) window.add(found->second);
      rank[group] = window.measured(found == total.cell_of.end() ? kNone : found->second)[spec_.order];
    }
    std::sort(out.begin(), out.end(), [&](std::uint32_t left, std::uint32_t right) {
      const bool left_none = rank[left].type == Number::Type::kNone,
                 right_none = rank[right].type == Number::Type::kNone;
      if (left_none != right_none) return right_none;
      const int order = left_none ? 0 : compare_numbers(rank[left], rank[right]);
      return order != 0 ? order > 0 : compare_keys(keys[left], keys[right], strings) < 0;
    });
    return out;
  }

  // Cells that one line measures.
  class Window {
   public:
    Window(const RuledTrendKind& kind, const RuledTrendPartial& total)
        : kind_(kind), total_(total), sums_(kind.empty_numbers()) {
      for (NumberCells& each : sums_) each.resize(1);
    }
    void add(std::uint32_t cell) {
      cells_.push_back(cell);
      rows_ += total_.total[cell];
      for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i].merge(0, total_.numbers[i], cell);
    }
    [[nodiscard]] bool holds_rows() const noexcept { return rows_ != 0; }
    // `profiles`: in the window. `last`: its last cell, kNone when that has none.
    [[nodiscard]] Measured measured(std::uint32_t last, std::int64_t profiles) const {
      Measured out;
      for (const TrendMeasure& measure : kind_.spec_.measures) out.push_back(number(measure, last, profiles));
      return out;
    }
    [[nodiscard]] Measured measured(std::uint32_t only) const {  // of a window of one cell at most
      return measured(only, only == kNone ? 0 : total_.entered[only]);
    }

   private:
    [[nodiscard]] Number number(const TrendMeasure& measure, std::uint32_t last, std::int64_t profiles) const {
      switch (measure.type) {
        case Type::kTotal: return Number::of(__int128{rows_});
        case Type::kUnique: return Number::of(__int128{profiles});
        case Type::kSum: return sums_[measure.numbers].sum(0);
        case Type::kMean: return sums_[measure.numbers].mean(0);
        case Type::kMin: return sums_[measure.numbers].least(0);
        case Type::kMax: return sums_[measure.numbers].greatest(0);
        case Type::kDistinct: return distinct_of(values(measure));
        case Type::kQuantile: return quantile_of_values(values(measure), measure.quantile);
        case Type::kPerProfile: break;
      }
      return per_profile(measure, last, profiles);
    }
    [[nodiscard]] std::vector<Value> values(const TrendMeasure& measure) const {
      std::vector<Value> out;
      const auto& of_key = total_.values[kind_.keys_[measure.numbers].kept];
      for (const std::uint32_t cell : cells_) out.insert(out.end(), of_key[cell].begin(), of_key[cell].end());
      return out;
    }
    [[nodiscard]] Number per_profile(const TrendMeasure& measure, std::uint32_t last, std::int64_t profiles) const {
      if (profiles == 0) return {};
      if (measure.statistic == Statistic::kMean) {
        ExactSum sum;
        sum.add_int(__int128{rows_});
        return Number::of(sum.mean(static_cast<std::uint64_t>(profiles)));
      }
      const std::vector<std::uint32_t>& counts = total_.counts[last];
      if (measure.statistic == Statistic::kQuantile) {
        std::vector<std::int64_t> sorted(counts.begin(), counts.end());
        return Number::of(quantile_of(std::span(sorted), measure.quantile));
      }
      const auto [least, greatest] = std::minmax_element(counts.begin(), counts.end());
      return Number::of(__int128{measure.statistic == Statistic::kMin ? *least : *greatest});
    }

    const RuledTrendKind& kind_;
    const RuledTrendPartial& total_;
    std::vector<std::uint32_t> cells_;
    std::uint64_t rows_ = 0;
    std::vector<NumberCells> sums_;
  };

  // The buckets from `first` on in whose window there are rows, or that are filled, with what each measures.
  [[nodiscard]] LineMap measured_lines(const RuledTrendPartial& total, std::uint32_t axis, const CellsByBucket& cells,
                                       std::uint32_t first, std::uint32_t first_filled) const {
    LineMap out;
    std::int64_t profiles = 0;
    auto from = cells.begin(), to = cells.begin();  // of the window
    std::optional<Window> window(std::in_place, *this, total);
    for (std::uint32_t bucket = first; bucket < axes_[axis].size(); ++bucket) {
      if (spec_.window != 0) {
        while (from != cells.end() && std::int64_t{from->first} + spec_.window <= std::int64_t{bucket}) ++from;
        window.emplace(*this, total);
      }
      for (; to != cells.end() && to->first <= bucket; ++to) {
        profiles += total.entered[to->second];
        if (spec_.window == 0) window->add(to->second);
      }
      if (spec_.window != 0) {
        for (auto at = from; at != to; ++at) window->add(at->second);
      }
      if (!window->holds_rows() && bucket < first_filled) continue;
      const bool has_last = to != cells.begin() && std::prev(to)->first == bucket;
      out.emplace(bucket, window->measured(has_last ? std::prev(to)->second : kNone, profiles));
    }
    return out;
  }

  // Each column's mean over the buckets of each line. What a range with a start reaches back to before any rows counts as nothing
  // measured; one without begins with its first bucket that holds rows.
  [[nodiscard]] LineMap smoothed(const LineMap& values, std::uint32_t axis, std::uint32_t first_filled,
                                 const Measured& nothing) const {
    LineMap out;
    const auto is_there = [&](std::int64_t bucket) { return !axes_[axis].is_open() || bucket >= first_filled; };
    for (std::uint32_t bucket = axes_[axis].first_line(); bucket < axes_[axis].size(); ++bucket) {
      const std::int64_t first = std::int64_t{bucket} - spec_.moving_mean + 1;
      const auto from = values.lower_bound(static_cast<std::uint32_t>(std::max<std::int64_t>(first, 0)));
      const auto to = values.upper_bound(bucket);
      if (from == to && !(spec_.fill && is_there(bucket))) continue;
      std::vector<const Measured*> window;
      for (auto each = from; each != to; ++each) window.push_back(&each->second);
      for (std::int64_t at = first; at <= bucket; ++at) {
        const bool is_measured = at >= 0 && values.contains(static_cast<std::uint32_t>(at));
        if (is_there(at) && !is_measured) window.push_back(&nothing);
      }
      Measured& means = out[bucket];
      for (std::size_t column = 0; column < nothing.size(); ++column) means.push_back(mean_of(window, column));
    }
    return out;
  }

  // The first bucket that is filled: of an open range the first that holds rows.
  [[nodiscard]] std::uint32_t first_filled(const RuledTrendPartial& total, const AllCells& cells,
                                           std::uint32_t axis) const {
    if (axes_[axis].rows().start_ms != INT64_MIN) return 0;
    std::uint32_t first = UINT32_MAX;
    for (const auto& [at, by_bucket] : cells) {
      if (at.axis != axis) continue;
      for (const auto& [bucket, cell] : by_bucket) {
        if (total.total[cell] != 0) first = std::min(first, bucket);
      }
    }
    return first;
  }

  [[nodiscard]] static const CellsByBucket& cells_of(const AllCells& all, const TrendCell& at) {
    static const CellsByBucket kNone;
    const auto found = all.find(at);
    return found == all.end() ? kNone : found->second;
  }

  // What a line measures of a group: of one series, or with formulas of all.
  [[nodiscard]] LineMap lines_of(const RuledTrendPartial& total, const AllCells& cells, std::uint32_t series,
                                 std::uint32_t axis, std::uint32_t group) const {
    const std::uint32_t filled = spec_.fill ? first_filled(total, cells, axis) : UINT32_MAX;
    const std::uint32_t first = spec_.moving_mean != 0 ? 0 : axes_[axis].first_line();
    const auto of_series = [&](std::uint32_t each) {
      return measured_lines(total, axis, cells_of(cells, {each, axis, group}), first,
                            spec_.moving_mean != 0 ? UINT32_MAX : filled);
    };
    LineMap out;
    if (spec_.formulas.empty()) {
      out = of_series(series);
    } else {
      std::map<std::uint32_t, std::vector<Measured>> by_bucket;  // of each series
      for (std::uint32_t each = 0; each < spec_.series.size(); ++each) {
        for (auto& [bucket, numbers] : of_series(each)) {
          const auto [found, is_new] = by_bucket.try_emplace(bucket);
          if (is_new) found->second.resize(spec_.series.size(), Window(*this, total).measured(kNone));
          found->second[each] = std::move(numbers);
        }
      }
      for (const auto& [bucket, all] : by_bucket) out.emplace(bucket, evaluated(all));
    }
    if (spec_.moving_mean == 0) return out;
    return smoothed(out, axis, first_filled(total, cells, axis), nothing(total));
  }
  [[nodiscard]] Measured evaluated(const std::vector<Measured>& of_series) const {
    Measured out;
    for (const TrendFormula& formula : spec_.formulas) {
      out.push_back(
          formula.evaluate([&](std::size_t series, std::size_t measure) { return of_series[series][measure]; }));
    }
    return out;
  }
  // The columns of a line without rows.
  [[nodiscard]] Measured nothing(const RuledTrendPartial& total) const {
    const Measured none = Window(*this, total).measured(kNone);
    return spec_.formulas.empty() ? none : evaluated(std::vector<Measured>(spec_.series.size(), none));
  }

  // The lines of one series (with formulas: all) and group on one axis, in order.
  void add_lines(const RuledTrendPartial& total, const AllCells& cells, const TrendCell& at,
                 const std::vector<Value>* key, Lines& lines) const {
    Measured none = nothing(total);
    if (spec_.moving_mean != 0) {
      const std::vector<const Measured*> only{&none};
      Measured means;
      for (std::size_t column = 0; column < none.size(); ++column) means.push_back(mean_of(only, column));
      none = std::move(means);
    }
    const auto add = [&](std::uint32_t bucket, const Measured& numbers) {
      lines.series.push_back(&spec_.series[at.series]);
      lines.axis.push_back(at.axis);
      lines.start_ms.push_back(spec_.intervals.empty() ? 0 : axes_[at.axis].start_ms(bucket));
      lines.key.push_back(key);
      for (std::size_t i = 0; i < none.size(); ++i) lines.numbers[i].push_back(numbers[i]);
    };
    LineMap own = lines_of(total, cells, at.series, at.axis, at.group);
    const bool is_single = spec_.intervals.empty();
    if (is_single && breakdown_.empty() && own.empty())
      own.emplace(0, none);  // a line of nothing, as a plain trend has
    if (!before_) {
      for (const auto& [bucket, numbers] : own) add(bucket, numbers);
      return;
    }
    const auto other = at.axis + static_cast<std::uint32_t>(asked_axes());
    const TrendAxis &axis = axes_[at.axis], &before = axes_[other];
    LineMap compared = lines_of(total, cells, at.series, other, at.group);
    const std::vector<std::uint32_t>& beside = compared_[at.axis];
    for (std::uint32_t place = 0; place < beside.size(); ++place) {
      const auto found = own.find(place + axis.first_line());
      const bool exists = beside[place] != kNoLine;
      const auto there = exists ? compared.find(beside[place] + before.first_line()) : compared.end();
      if (found == own.end() && there == compared.end()) continue;
      add(place + axis.first_line(), found == own.end() ? none : found->second);
      lines.before_ms.push_back(
          exists && !is_single ? std::optional(before.start_ms(beside[place] + before.first_line())) : std::nullopt);
      for (std::size_t i = 0; i < none.size(); ++i) {
        lines.numbers[none.size() + i].push_back(!exists                   ? Number{}
                                                 : there == compared.end() ? none[i]
                                                                           : there->second[i]);
      }
    }
  }

  [[nodiscard]] Table table_of(const RuledTrendPartial& total, const AllCells& cells,
                               std::span<const std::uint32_t> groups, std::span<const std::vector<Value>> keys,
                               const Dictionary& strings) const {
    std::vector<std::string> titles;
    for (const TrendFormula& formula : spec_.formulas) titles.push_back(formula.text());
    if (spec_.formulas.empty()) {
      for (const TrendMeasure& measure : spec_.measures) titles.push_back(measure.title());
    }
    Lines lines;
    lines.numbers.resize(titles.size() * (before_ ? 2 : 1));
    const std::size_t tellings = spec_.formulas.empty() ? spec_.series.size() : 1;
    for (std::uint32_t series = 0; series < tellings; ++series) {
      for (std::uint32_t axis = 0; axis < asked_axes(); ++axis) {
        for (std::size_t g = 0; g < groups.size(); ++g)
          add_lines(total, cells, {series, axis, groups[g]}, is_rest(groups[g]) ? nullptr : &keys[g], lines);
      }
    }
    Table table;
    if (spec_.lists_series && spec_.formulas.empty()) {
      TableColumn& column = table.add("series", ColumnType::kString);
      for (const TrendSeries* each : lines.series) column.push_string(each->name);
    }
    add_places(table, lines, strings);
    for (std::size_t i = 0; i < lines.numbers.size(); ++i) {
      const std::string& title = titles[i % titles.size()];
      add_number_column(table, i < titles.size() ? title : "previous(" + title + ")", lines.numbers[i]);
    }
    if (before_) {
      table.notes.emplace_back("previous_start_ms", before_->start_ms);
      table.notes.emplace_back("previous_end_ms", before_->end_ms);
    }
    return table;
  }

  void add_places(Table& table, const Lines& lines, const Dictionary& strings) const {
    const auto add = [&](const char* name, const std::vector<std::int64_t>& values) {
      TableColumn& column = table.add(name, ColumnType::kInt64);
      for (const std::int64_t value : values) column.push_int(value);
    };
    if (spec_.lists_intervals) add("interval", lines.axis);
    if (!spec_.intervals.empty()) add("start_ms", lines.start_ms);
    if (before_ && !spec_.intervals.empty()) {
      TableColumn& column = table.add("previous_start_ms", ColumnType::kInt64);
      for (const std::optional<std::int64_t>& value : lines.before_ms)
        value ? column.push_int(*value) : column.push_null();
    }
    breakdown_.add_columns(table, lines.key, strings);
  }

  TrendSpec spec_;
  Breakdown breakdown_;
  std::shared_ptr<const ProfileClocks> clocks_;
  std::optional<std::int64_t> limit_;
  RowMatcher matcher_;
  std::map<std::ptrdiff_t, std::size_t> named_bit_;  // of a series: the selector of its names alone
  bool looks_back_ = false;
  std::vector<TrendAxis> axes_;                       // as asked; the same of the range before; the one that ranks
  std::optional<TimeRange> before_;                   // what the range is compared with
  std::vector<std::vector<std::uint32_t>> compared_;  // compared_lines of each axis that is asked for
  std::optional<std::size_t> whole_;                  // the axis that ranks
  TimeRange seen_;
  std::vector<AxisPlan> plans_;        // of each axis; none: rows are gathered
  std::vector<BoundSelector> events_;  // of each series, with plans
  std::vector<Key> keys_;
  std::size_t kept_keys_ = 0;
  bool uniques_ = false;
  bool by_profile_ = false;
  std::optional<std::vector<std::vector<Value>>>
      shown_;  // a second look: these groups, and behind them one of all others
};

}  // namespace

std::unique_ptr<Kind> make_ruled_trend(const TrendSpec& spec, const Binding& binding) {
  return std::make_unique<RuledTrendKind>(spec, binding);
}

}  // namespace cdp
