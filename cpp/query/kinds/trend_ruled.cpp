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
//   fill         every bucket of the range has a line (without a start: from the first line of any series on).
//   formula      in place of the measures, columns of arithmetic over the series' cells (trend_formula.hpp).
//
// How: rows gathered by profile (matched_rows); what needs a profile's rows together (distinct profiles, rows a profile) is decided
// there, as what changes from bucket to bucket; values are kept. ~40 ns a row and interval, 16 bytes a value kept.
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "query/budget.hpp"
#include "query/calendar.hpp"
#include "query/exact_sum.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/bucket_plan.hpp"
#include "query/kinds/matched_rows.hpp"
#include "query/kinds/measure_cells.hpp"
#include "query/kinds/trend_spec.hpp"

namespace cdp {
namespace {

using Type = TrendMeasure::Type;
using Statistic = TrendMeasure::Statistic;

// The buckets of one interval, those before the range included that a window reaches back to.
class Axis {
 public:
  Axis(const TrendSpec& spec, const Binding& binding, const std::optional<Unit>& unit) : rows_(binding.range) {
    const TimeRange extent = kept_extent_of(binding.version);
    if (extent.start_ms >= extent.end_ms && !spec.fill) return;
    const std::int64_t start_ms = binding.range.start_ms;
    const bool opens = start_ms == INT64_MIN;
    const bool goes_on = unit && (spec.window != 1 || spec.fill);
    std::int64_t first_ms = opens || !(unit && spec.fill) ? std::max(start_ms, extent.start_ms) : start_ms;
    const std::int64_t last_ms = (goes_on ? binding.range.end_ms : std::min(binding.range.end_ms, extent.end_ms)) - 1;
    if (opens && extent.start_ms >= extent.end_ms) return;
    if (!unit) {
      if (first_ms <= last_ms) single_ms_ = first_ms;
      return;
    }
    const Calendar calendar(binding.zone, *unit, binding.common.week_start, std::max<std::int64_t>(start_ms, 0));
    const std::int64_t line_ms = opens ? INT64_MIN : calendar.bucket_start(start_ms);
    if (spec.window > 1 && !opens) {
      std::int64_t reach_ms = line_ms;
      for (std::int64_t i = 1; i < spec.window && reach_ms > extent.start_ms; ++i)
        reach_ms = calendar.bucket_start(reach_ms - 1);
      rows_.start_ms = reach_ms;
      first_ms = std::min(first_ms, std::max(reach_ms, extent.start_ms));
    }
    if (first_ms > last_ms) return;
    buckets_.emplace(calendar, first_ms, last_ms);
    while (first_line_ < buckets_->size() && buckets_->start_ms(first_line_) < line_ms) ++first_line_;
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return buckets_ ? buckets_->size() : single_ms_ ? 1 : 0; }
  // The first bucket that has a line.
  [[nodiscard]] std::uint32_t first_line() const noexcept { return first_line_; }
  [[nodiscard]] std::int64_t start_ms(std::uint32_t bucket) const noexcept { return buckets_->start_ms(bucket); }
  [[nodiscard]] const TimeRange& rows() const noexcept { return rows_; }
  // None: it does not count.
  [[nodiscard]] std::optional<std::uint32_t> bucket_of(std::int64_t time_ms) const noexcept {
    if (size() == 0 || !rows_.contains(time_ms)) return std::nullopt;
    return buckets_ ? buckets_->bucket_of(time_ms) : 0;
  }

 private:
  TimeRange rows_;
  std::optional<Buckets> buckets_;
  std::optional<std::int64_t> single_ms_;  // without unit
  std::uint32_t first_line_ = 0;
};

struct At {
  std::uint32_t series, axis, group;
  friend auto operator<=>(const At&, const At&) = default;
  // With its bucket in 64 bits: 5, 4, 32 and 17 of them.
  [[nodiscard]] std::uint64_t key(std::uint32_t bucket) const noexcept {
    return (((std::uint64_t{series} << 4 | axis) << 32 | group) << 17) | bucket;
  }
  static At of(std::uint64_t key) noexcept {
    return {static_cast<std::uint32_t>(key >> 53), static_cast<std::uint32_t>(key >> 49) & 15,
            static_cast<std::uint32_t>(key >> 17)};
  }
  static std::uint32_t bucket_of(std::uint64_t key) noexcept { return static_cast<std::uint32_t>(key) & 0x1FFFF; }
};

struct RuledTrendPartial final : Partial {
  RuledTrendPartial(std::size_t operands, std::vector<NumberCells> of_numbers, std::size_t kept_keys)
      : groups(operands), numbers(std::move(of_numbers)), values(kept_keys) {}

  std::uint32_t at(std::uint64_t key) {
    const auto [found, is_new] = cell_of.try_emplace(key, static_cast<std::uint32_t>(total.size()));
    if (is_new) {
      total.push_back(0);
      entered.push_back(0);
      counts.emplace_back();
      if (total.size() > room_) {
        room_ = std::max<std::size_t>(2 * room_, 64);
        for (NumberCells& each : numbers) each.resize(room_);
      }
      for (auto& of_key : values) of_key.emplace_back();
    }
    return found->second;
  }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept {
    std::uint64_t bytes = groups.size_bytes() + total.size() * (64 + 24 * (values.size() + 1)) + kept * sizeof(Value);
    for (const NumberCells& each : numbers) bytes += each.size_bytes();
    return bytes;
  }

  Groups groups;
  std::unordered_map<std::uint64_t, std::uint32_t> cell_of;
  std::vector<std::uint64_t> total;   // rows of a cell
  std::vector<std::int64_t> entered;  // profiles in the window that ends here, less those in the one before
  std::vector<std::vector<std::uint32_t>> counts;       // of each of these profiles its rows in it
  std::vector<NumberCells> numbers;                     // one a key
  std::vector<std::vector<std::vector<Value>>> values;  // one a key that is kept, a cell
  std::uint64_t kept = 0;
  std::uint64_t charged_bytes = 0;

 private:
  std::size_t room_ = 0;
};

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

Number quantile_of_values(std::vector<Value>&& values, Quantile quantile) {
  std::erase_if(values, [](const Value& value) { return !is_number(value); });
  if (values.empty()) return {};
  return Number::of(quantile_of(std::span(values), quantile));
}

class RuledTrendKind final : public Kind {
 public:
  RuledTrendKind(const TrendSpec& spec, const Binding& binding)
      : spec_(spec),
        breakdown_(binding.common.breakdown, binding.version, binding.now_ms),
        limit_(breakdown_.empty() ? std::nullopt : binding.common.limit) {
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
    for (const Unit& unit : spec_.intervals) axes_.emplace_back(spec_, binding, unit);
    if (spec_.intervals.empty()) axes_.emplace_back(spec_, binding, std::nullopt);
    if (limit_ || !breakdown_.empty()) {  // what groups are ranked by: all of the range
      whole_ = axes_.size();
      TrendSpec whole;
      axes_.emplace_back(whole, binding, std::nullopt);
    }
    seen_ = binding.range;
    for (const Axis& axis : axes_) seen_.start_ms = std::min(seen_.start_ms, axis.rows().start_ms);
    if (looks_back_) seen_ = {INT64_MIN, binding.now_ms + 1};
    for (TrendMeasure& measure : spec_.measures) bind_measure(measure, binding.version);
  }

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    auto out = std::make_unique<RuledTrendPartial>(breakdown_.size(), empty_numbers(), kept_keys_);
    if (shown_) {
      for (const std::vector<Value>& key : *shown_) out->groups.find_or_add(key);
    }
    return out;
  }
  [[nodiscard]] std::vector<NameId> names() const override { return matcher_.names(); }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<RuledTrendPartial&>(partial);
    std::uint32_t since_charge = 0;
    matcher_.for_each_profile(context, task, scratch, seen_,
                              [&](std::uint32_t profile, std::span<const MatchedRow> rows) {
                                add_profile(context, task.origin(profile), rows, into);
                                if (++since_charge % 1'024 == 0) charge(context, into);
                              });
    charge(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    std::vector<MatchedRow> matched;
    matcher_.match(rows, seen_, matched);
    add_profile(context, home, matched, static_cast<RuledTrendPartial&>(partial));
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
      At at = At::of(key);
      at.group = group[at.group];
      const std::uint32_t to = left.at(at.key(At::bucket_of(key)));
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
    std::map<At, std::map<std::uint32_t, std::uint32_t>> cells;  // by bucket
    for (const auto& [key, cell] : total.cell_of) cells[At::of(key)].emplace(At::bucket_of(key), cell);
    std::vector<std::vector<Value>> keys;
    for (const std::uint32_t group : groups)
      keys.push_back(is_rest(group) ? std::vector<Value>() : total.groups.key(group));
    return spec_.formulas.empty() ? table_of_series(total, cells, groups, keys, strings)
                                  : table_of_formulas(total, cells, groups, keys, strings);
  }

 private:
  using CellsByBucket = std::map<std::uint32_t, std::uint32_t>;
  using AllCells = std::map<At, CellsByBucket>;
  using Measured = std::vector<Number>;  // one a measure
  struct Lines {
    std::vector<const TrendSeries*> series;
    std::vector<std::int64_t> axis, start_ms;
    std::vector<const std::vector<Value>*> key;  // null: other
    std::vector<std::vector<Number>> numbers;    // one a column
  };

  [[nodiscard]] bool is_rest(std::uint32_t group) const noexcept { return shown_ && group == shown_->size(); }
  [[nodiscard]] std::size_t asked_axes() const noexcept { return axes_.size() - (whole_ ? 1 : 0); }

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
                   RuledTrendPartial& partial) const {
    std::vector<std::optional<std::size_t>> first(spec_.series.size());
    for (std::size_t i = 0; looks_back_ && i < first.size(); ++i) {
      if (spec_.series[i].first != TrendSeries::First::kNo) first[i] = first_row(i, rows);
    }
    std::vector<std::uint64_t> touched;  // keys of cells, one a row
    std::vector<Value> values(keys_.size());
    for (std::size_t at = 0; at < rows.size(); ++at) {
      std::uint64_t series = rows[at].selectors & ((std::uint64_t{1} << spec_.series.size()) - 1);
      for (std::size_t i = 0; looks_back_ && i < first.size(); ++i) {
        if (spec_.series[i].first != TrendSeries::First::kNo && first[i] != at) series &= ~(std::uint64_t{1} << i);
      }
      if (series == 0 || !counts_anywhere(rows[at].time_ms)) continue;
      const Row row = row_of(rows[at], home);
      const std::uint32_t group = group_of(context, home, row, partial.groups);
      for (std::size_t i = 0; i < keys_.size(); ++i) values[i] = keys_[i].id ? property(row, *keys_[i].id) : Value{};
      for (std::uint32_t axis = 0; axis < axes_.size(); ++axis) {
        const auto bucket = axes_[axis].bucket_of(rows[at].time_ms);
        if (!bucket) continue;
        for (std::uint64_t left = series; left != 0; left &= left - 1) {
          const At where{static_cast<std::uint32_t>(__builtin_ctzll(left)), axis, group};
          const std::uint64_t key = where.key(*bucket);
          add_row(partial.at(key), values, partial);
          if (uniques_) touched.push_back(key);
        }
      }
    }
    if (uniques_) add_windows(touched, partial);
  }

  [[nodiscard]] bool counts_anywhere(std::int64_t time_ms) const noexcept {
    return std::any_of(axes_.begin(), axes_.end(),
                       [&](const Axis& axis) { return axis.bucket_of(time_ms).has_value(); });
  }

  [[nodiscard]] std::uint32_t group_of(const QueryContext& context, Origin home, const Row& row, Groups& groups) const {
    const std::uint32_t group = breakdown_.group_of(*context.version, home, &row, groups);
    return shown_ ? std::min(group, static_cast<std::uint32_t>(shown_->size())) : group;
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
      const At at = At::of(touched[begin]);
      held.clear();
      std::size_t end = begin;
      for (; end < touched.size() && At::of(touched[end]) == at; ++end) {
        const std::uint32_t bucket = At::bucket_of(touched[end]);
        if (held.empty() || held.back().bucket != bucket) held.push_back({bucket, 0});
        ++held.back().rows;
      }
      begin = end;
      const std::uint32_t size = axes_[at.axis].size();
      const auto reach = [&](std::uint32_t bucket) {  // the first window behind that no longer holds it
        if (at.axis == whole_.value_or(SIZE_MAX)) return bucket + 1;
        return spec_.window == 0 ? size
                                 : std::min<std::uint32_t>(size, bucket + static_cast<std::uint32_t>(spec_.window));
      };
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
    for (const auto& [key, cell] : total.cell_of) holds[At::of(key).group] = true;
    std::vector<std::uint32_t> out;
    const auto axis = static_cast<std::uint32_t>(*whole_);
    for (std::uint32_t group = 0; group < rank.size(); ++group) {
      keys.push_back(total.groups.key(group));
      if (!holds[group]) continue;
      out.push_back(group);
      Window window(*this, total);
      const auto found = total.cell_of.find(At{0, axis, group}.key(0));
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

  // The buckets that have a line, with what each measures.
  template <class Visit>
  void each_line(const RuledTrendPartial& total, std::uint32_t axis, const CellsByBucket& cells,
                 std::uint32_t first_filled, Visit&& visit) const {
    std::int64_t profiles = 0;
    auto from = cells.begin(), to = cells.begin();  // of the window
    std::optional<Window> window(std::in_place, *this, total);
    for (std::uint32_t bucket = axes_[axis].first_line(); bucket < axes_[axis].size(); ++bucket) {
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
      if (!window->holds_rows() && !(spec_.fill && bucket >= first_filled)) continue;
      const bool has_last = to != cells.begin() && std::prev(to)->first == bucket;
      visit(bucket, window->measured(has_last ? std::prev(to)->second : kNone, profiles));
    }
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

  [[nodiscard]] static const CellsByBucket& cells_of(const AllCells& all, const At& at) {
    static const CellsByBucket kNone;
    const auto found = all.find(at);
    return found == all.end() ? kNone : found->second;
  }

  void add_start(Lines& lines, std::uint32_t axis, std::uint32_t bucket) const {
    lines.axis.push_back(axis);
    lines.start_ms.push_back(spec_.intervals.empty() ? 0 : axes_[axis].start_ms(bucket));
  }

  [[nodiscard]] Table table_of_series(const RuledTrendPartial& total, const AllCells& cells,
                                      std::span<const std::uint32_t> groups, std::span<const std::vector<Value>> keys,
                                      const Dictionary& strings) const {
    Lines lines;
    lines.numbers.resize(spec_.measures.size());
    for (std::uint32_t series = 0; series < spec_.series.size(); ++series) {
      for (std::uint32_t axis = 0; axis < asked_axes(); ++axis) {
        const std::uint32_t filled = first_filled(total, cells, axis);
        for (std::size_t g = 0; g < groups.size(); ++g) {
          const auto add = [&](std::uint32_t bucket, const Measured& numbers) {
            lines.series.push_back(&spec_.series[series]);
            add_start(lines, axis, bucket);
            lines.key.push_back(is_rest(groups[g]) ? nullptr : &keys[g]);
            for (std::size_t i = 0; i < numbers.size(); ++i) lines.numbers[i].push_back(numbers[i]);
          };
          const CellsByBucket& of_group = cells_of(cells, {series, axis, groups[g]});
          if (of_group.empty() && spec_.intervals.empty() && breakdown_.empty()) {
            add(0, Window(*this, total).measured(kNone));  // a line of nothing, as a plain trend has it
          } else {
            each_line(total, axis, of_group, filled, add);
          }
        }
      }
    }
    Table table;
    if (spec_.lists_series) {
      TableColumn& column = table.add("series", ColumnType::kString);
      for (const TrendSeries* each : lines.series) column.push_string(each->name);
    }
    add_places(table, lines, strings);
    for (std::size_t i = 0; i < spec_.measures.size(); ++i)
      add_number_column(table, spec_.measures[i].title(), lines.numbers[i]);
    return table;
  }

  [[nodiscard]] Table table_of_formulas(const RuledTrendPartial& total, const AllCells& cells,
                                        std::span<const std::uint32_t> groups, std::span<const std::vector<Value>> keys,
                                        const Dictionary& strings) const {
    Lines lines;
    lines.numbers.resize(spec_.formulas.size());
    const Measured nothing = Window(*this, total).measured(kNone);
    for (std::uint32_t axis = 0; axis < asked_axes(); ++axis) {
      const std::uint32_t filled = first_filled(total, cells, axis);
      for (std::size_t g = 0; g < groups.size(); ++g) {
        std::map<std::uint32_t, std::vector<Measured>> by_bucket;  // of each series
        if (spec_.intervals.empty() && breakdown_.empty()) by_bucket[0].resize(spec_.series.size(), nothing);
        for (std::uint32_t series = 0; series < spec_.series.size(); ++series) {
          each_line(total, axis, cells_of(cells, {series, axis, groups[g]}), filled,
                    [&](std::uint32_t bucket, Measured&& numbers) {
                      const auto [found, is_new] = by_bucket.try_emplace(bucket);
                      if (is_new) found->second.resize(spec_.series.size(), nothing);
                      found->second[series] = std::move(numbers);
                    });
        }
        for (const auto& [bucket, of_series] : by_bucket) {
          add_start(lines, axis, bucket);
          lines.key.push_back(is_rest(groups[g]) ? nullptr : &keys[g]);
          for (std::size_t i = 0; i < spec_.formulas.size(); ++i) {
            lines.numbers[i].push_back(spec_.formulas[i].evaluate(
                [&](std::size_t series, std::size_t measure) { return of_series[series][measure]; }));
          }
        }
      }
    }
    Table table;
    add_places(table, lines, strings);
    for (std::size_t i = 0; i < spec_.formulas.size(); ++i)
      add_number_column(table, spec_.formulas[i].text(), lines.numbers[i]);
    return table;
  }

  void add_places(Table& table, const Lines& lines, const Dictionary& strings) const {
    const auto add = [&](const char* name, const std::vector<std::int64_t>& values) {
      TableColumn& column = table.add(name, ColumnType::kInt64);
      for (const std::int64_t value : values) column.push_int(value);
    };
    if (spec_.lists_intervals) add("interval", lines.axis);
    if (!spec_.intervals.empty()) add("start_ms", lines.start_ms);
    breakdown_.add_columns(table, lines.key, strings);
  }

  TrendSpec spec_;
  Breakdown breakdown_;
  std::optional<std::int64_t> limit_;
  RowMatcher matcher_;
  std::map<std::ptrdiff_t, std::size_t> named_bit_;  // of a series: the selector of its names alone
  bool looks_back_ = false;
  std::vector<Axis> axes_;
  std::optional<std::size_t> whole_;  // the axis that ranks
  TimeRange seen_;
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
