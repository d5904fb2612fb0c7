#include "query/kinds/trend_lines.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "query/exact_sum.hpp"
#include "query/kinds/measure_cells.hpp"

namespace cdp {
namespace {

using Type = TrendMeasure::Type;
using Statistic = TrendMeasure::Statistic;

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

class TrendLines {
 public:
  explicit TrendLines(const RuledTrendPlan& plan) : plan_(plan) {}

  // Groups that hold rows of the range, or of what windows reach back to, by the first series over the whole range.
  [[nodiscard]] std::vector<std::uint32_t> ranked_groups(const RuledTrendPartial& total,
                                                         const Dictionary& strings) const {
    std::vector<Number> rank(total.groups.size());
    std::vector<bool> holds(total.groups.size());
    std::vector<std::vector<Value>> keys;
    for (const auto& [key, cell] : total.cell_of) holds[TrendCell::of(key).group] = true;
    std::vector<std::uint32_t> out;
    const auto axis = static_cast<std::uint32_t>(*plan_.whole);
    for (std::uint32_t group = 0; group < rank.size(); ++group) {
      keys.push_back(total.groups.key(group));
      if (!holds[group]) continue;
      out.push_back(group);
      Window window(plan_, total);
      const auto found = total.cell_of.find(TrendCell{0, axis, group}.key(0));
      if (found != total.cell_of.end()) window.add(found->second);
      rank[group] = window.measured(found == total.cell_of.end() ? kNone : found->second)[plan_.spec.order];
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

  [[nodiscard]] Table table(const RuledTrendPartial& total, const Dictionary& strings) const {
    std::vector<std::uint32_t> groups;
    if (plan_.shown) {
      for (std::uint32_t i = 0; i <= plan_.shown->size(); ++i) groups.push_back(i);
    } else if (plan_.breakdown.empty()) {
      groups.push_back(0);
    } else {
      groups = ranked_groups(total, strings);
    }
    std::map<TrendCell, std::map<std::uint32_t, std::uint32_t>> cells;  // by bucket
    for (const auto& [key, cell] : total.cell_of) cells[TrendCell::of(key)].emplace(TrendCell::bucket_of(key), cell);
    std::vector<std::vector<Value>> keys;
    for (const std::uint32_t group : groups)
      keys.push_back(plan_.is_rest(group) ? std::vector<Value>() : total.groups.key(group));
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

  // Cells that one line measures.
  class Window {
   public:
    Window(const RuledTrendPlan& plan, const RuledTrendPartial& total)
        : plan_(plan), total_(total), sums_(plan.empty_numbers()) {
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
      for (const TrendMeasure& measure : plan_.spec.measures) out.push_back(number(measure, last, profiles));
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
      const auto& of_key = total_.values[plan_.keys[measure.numbers].kept];
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

    const RuledTrendPlan& plan_;
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
    std::optional<Window> window(std::in_place, plan_, total);
    for (std::uint32_t bucket = first; bucket < plan_.axes[axis].size(); ++bucket) {
      if (plan_.spec.window != 0) {
        while (from != cells.end() && std::int64_t{from->first} + plan_.spec.window <= std::int64_t{bucket}) ++from;
        window.emplace(plan_, total);
      }
      for (; to != cells.end() && to->first <= bucket; ++to) {
        profiles += total.entered[to->second];
        if (plan_.spec.window == 0) window->add(to->second);
      }
      if (plan_.spec.window != 0) {
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
    const auto is_there = [&](std::int64_t bucket) { return !plan_.axes[axis].is_open() || bucket >= first_filled; };
    for (std::uint32_t bucket = plan_.axes[axis].first_line(); bucket < plan_.axes[axis].size(); ++bucket) {
      const std::int64_t first = std::int64_t{bucket} - plan_.spec.moving_mean + 1;
      const auto from = values.lower_bound(static_cast<std::uint32_t>(std::max<std::int64_t>(first, 0)));
      const auto to = values.upper_bound(bucket);
      if (from == to && !(plan_.spec.fill && is_there(bucket))) continue;
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
    if (plan_.axes[axis].rows().start_ms != INT64_MIN) return 0;
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
    const std::uint32_t filled = plan_.spec.fill ? first_filled(total, cells, axis) : UINT32_MAX;
    const std::uint32_t first = plan_.spec.moving_mean != 0 ? 0 : plan_.axes[axis].first_line();
    const auto of_series = [&](std::uint32_t each) {
      return measured_lines(total, axis, cells_of(cells, {each, axis, group}), first,
                            plan_.spec.moving_mean != 0 ? UINT32_MAX : filled);
    };
    LineMap out;
    if (plan_.spec.formulas.empty()) {
      out = of_series(series);
    } else {
      std::map<std::uint32_t, std::vector<Measured>> by_bucket;  // of each series
      for (std::uint32_t each = 0; each < plan_.spec.series.size(); ++each) {
        for (auto& [bucket, numbers] : of_series(each)) {
          const auto [found, is_new] = by_bucket.try_emplace(bucket);
          if (is_new) found->second.resize(plan_.spec.series.size(), Window(plan_, total).measured(kNone));
          found->second[each] = std::move(numbers);
        }
      }
      for (const auto& [bucket, all] : by_bucket) out.emplace(bucket, evaluated(all));
    }
    if (plan_.spec.moving_mean == 0) return out;
    return smoothed(out, axis, first_filled(total, cells, axis), nothing(total));
  }
  [[nodiscard]] Measured evaluated(const std::vector<Measured>& of_series) const {
    Measured out;
    for (const TrendFormula& formula : plan_.spec.formulas) {
      out.push_back(
          formula.evaluate([&](std::size_t series, std::size_t measure) { return of_series[series][measure]; }));
    }
    return out;
  }
  // The columns of a line without rows.
  [[nodiscard]] Measured nothing(const RuledTrendPartial& total) const {
    const Measured none = Window(plan_, total).measured(kNone);
    return plan_.spec.formulas.empty() ? none : evaluated(std::vector<Measured>(plan_.spec.series.size(), none));
  }

  // The lines of one series (with formulas: all) and group on one axis, in order.
  void add_lines(const RuledTrendPartial& total, const AllCells& cells, const TrendCell& at,
                 const std::vector<Value>* key, Lines& lines) const {
    Measured none = nothing(total);
    if (plan_.spec.moving_mean != 0) {
      const std::vector<const Measured*> only{&none};
      Measured means;
      for (std::size_t column = 0; column < none.size(); ++column) means.push_back(mean_of(only, column));
      none = std::move(means);
    }
    const auto add = [&](std::uint32_t bucket, const Measured& numbers) {
      lines.series.push_back(&plan_.spec.series[at.series]);
      lines.axis.push_back(at.axis);
      lines.start_ms.push_back(plan_.spec.intervals.empty() ? 0 : plan_.axes[at.axis].start_ms(bucket));
      lines.key.push_back(key);
      for (std::size_t i = 0; i < none.size(); ++i) lines.numbers[i].push_back(numbers[i]);
    };
    LineMap own = lines_of(total, cells, at.series, at.axis, at.group);
    const bool is_single = plan_.spec.intervals.empty();
    if (is_single && plan_.breakdown.empty() && own.empty())
      own.emplace(0, none);  // a line of nothing, as a plain trend has
    if (!plan_.before) {
      for (const auto& [bucket, numbers] : own) add(bucket, numbers);
      return;
    }
    const auto other = at.axis + static_cast<std::uint32_t>(plan_.asked_axes());
    const TrendAxis &axis = plan_.axes[at.axis], &before = plan_.axes[other];
    LineMap compared = lines_of(total, cells, at.series, other, at.group);
    const std::vector<std::uint32_t>& beside = plan_.compared[at.axis];
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
    for (const TrendFormula& formula : plan_.spec.formulas) titles.push_back(formula.text());
    if (plan_.spec.formulas.empty()) {
      for (const TrendMeasure& measure : plan_.spec.measures) titles.push_back(measure.title());
    }
    Lines lines;
    lines.numbers.resize(titles.size() * (plan_.before ? 2 : 1));
    const std::size_t tellings = plan_.spec.formulas.empty() ? plan_.spec.series.size() : 1;
    for (std::uint32_t series = 0; series < tellings; ++series) {
      for (std::uint32_t axis = 0; axis < plan_.asked_axes(); ++axis) {
        for (std::size_t g = 0; g < groups.size(); ++g)
          add_lines(total, cells, {series, axis, groups[g]}, plan_.is_rest(groups[g]) ? nullptr : &keys[g], lines);
      }
    }
    Table table;
    if (plan_.spec.lists_series && plan_.spec.formulas.empty()) {
      TableColumn& column = table.add("series", ColumnType::kString);
      for (const TrendSeries* each : lines.series) column.push_string(each->name);
    }
    add_places(table, lines, strings);
    for (std::size_t i = 0; i < lines.numbers.size(); ++i) {
      const std::string& title = titles[i % titles.size()];
      add_number_column(table, i < titles.size() ? title : "previous(" + title + ")", lines.numbers[i]);
    }
    if (plan_.before) {
      table.notes.emplace_back("previous_start_ms", plan_.before->start_ms);
      table.notes.emplace_back("previous_end_ms", plan_.before->end_ms);
    }
    return table;
  }

  void add_places(Table& table, const Lines& lines, const Dictionary& strings) const {
    const auto add = [&](const char* name, const std::vector<std::int64_t>& values) {
      TableColumn& column = table.add(name, ColumnType::kInt64);
      for (const std::int64_t value : values) column.push_int(value);
    };
    if (plan_.spec.lists_intervals) add("interval", lines.axis);
    if (!plan_.spec.intervals.empty()) add("start_ms", lines.start_ms);
    if (plan_.before && !plan_.spec.intervals.empty()) {
      TableColumn& column = table.add("previous_start_ms", ColumnType::kInt64);
      for (const std::optional<std::int64_t>& value : lines.before_ms)
        value ? column.push_int(*value) : column.push_null();
    }
    plan_.breakdown.add_columns(table, lines.key, strings);
  }

  const RuledTrendPlan& plan_;
};

}  // namespace

std::vector<std::uint32_t> ranked_trend_groups(const RuledTrendPlan& plan, const RuledTrendPartial& total,
                                               const Dictionary& strings) {
  return TrendLines(plan).ranked_groups(total, strings);
}

Table trend_table(const RuledTrendPlan& plan, const RuledTrendPartial& total, const Dictionary& strings) {
  return TrendLines(plan).table(total, strings);
}

}  // namespace cdp
