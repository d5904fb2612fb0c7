// trend: measures of the events of a selector, by interval and breakdown. Fields: trend_spec.cpp; everything beyond one event and
// measures that add up: trend_ruled.cpp.
//
// Meaning: rows of the selector in the range, each in the bucket of its time and the group of its breakdown values (a missing
// value is a group, null); a cell measures its own rows. total counts rows, unique profiles; number measures take integers
// and floats, exactly (sums of integers in 128 bits, anything with a float rounded once), and leave other values out: the sum
// of none is 0, the mean, min and max of none are null. Groups are ranked by one measure over the whole range, descending,
// nothing last, ties by value; under a limit the groups behind it become one exact group, `other`. Cells without rows have
// no line, but for a question without interval and breakdown.
//
// How: trend_profile_scan.cpp, trend_row_scan.cpp.
#include "query/kinds/trend.hpp"

#include <algorithm>
#include <numeric>

#include "query/budget.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/kinds.hpp"

namespace cdp {
namespace {

Number measured(const TrendMeasure& measure, const Cells& cells, std::uint32_t cell) {
  switch (measure.type) {
    case TrendMeasure::Type::kTotal: return Number::of(__int128{cells.total(cell)});
    case TrendMeasure::Type::kUnique: return Number::of(__int128{cells.unique(cell)});
    case TrendMeasure::Type::kSum: return cells.numbers(measure.numbers).sum(cell);
    case TrendMeasure::Type::kMean: return cells.numbers(measure.numbers).mean(cell);
    case TrendMeasure::Type::kMin: return cells.numbers(measure.numbers).least(cell);
    case TrendMeasure::Type::kMax: return cells.numbers(measure.numbers).greatest(cell);
    default: break;  // trend_ruled.cpp answers for the others
  }
  return {};
}

Cells empty_cells(const TrendPlan& plan, std::uint32_t buckets) {
  std::vector<NumberCells> numbers;
  for (const TrendKey& key : plan.keys) numbers.emplace_back(key.sums, key.means, key.extremes);
  return Cells(buckets, plan.uniques, std::move(numbers));
}

}  // namespace

void charge_trend(const QueryContext& context, TrendPartial& partial) {
  if (context.budget == nullptr) return;
  std::uint64_t bytes = partial.groups.size_bytes();
  for (const Cells& cells : partial.cells) bytes += cells.size_bytes();
  if (bytes <= partial.charged_bytes) return;
  context.budget->charge(bytes - partial.charged_bytes);
  partial.charged_bytes = bytes;
}

namespace {

class TrendKind final : public Kind {
 public:
  TrendKind(TrendPlan plan, std::size_t order, bool lists_intervals, bool has_starts, std::optional<std::int64_t> limit)
      : plan_(std::move(plan)),
        order_(order),
        lists_intervals_(lists_intervals),
        has_starts_(has_starts),
        limit_(limit),
        names_(names_of(std::span(&plan_.event, 1))) {}

  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override { return std::make_unique<TrendPartial>(plan_); }
  [[nodiscard]] std::vector<NameId> names() const override { return names_; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<TrendPartial&>(partial);
    (plan_.reads_rows() ? scan_trend_rows : scan_trend_profiles)(plan_, context, task, scratch, into);
    charge_trend(context, into);
  }

  void add_rows(const QueryContext& context, Origin home, std::span<const Row> rows, Partial& partial) const override {
    auto& into = static_cast<TrendPartial&>(partial);
    std::vector<std::pair<std::size_t, std::uint32_t>> seen;           // (interval, cell)
    std::vector<std::uint32_t> latest(plan_.intervals.size(), kNone);  // cell of the row before: mostly the same
    const MemberValues members = plan_.breakdown.members_of(*context.version, home);
    std::vector<std::uint32_t> groups;
    for (const Row& row : rows) {
      if (!context.range.contains(row.time_ms) || !plan_.event.matches(row)) continue;
      plan_.breakdown.groups_of(*context.version, home, &row, members, plan_.rest(), into.groups, groups);
      for (std::size_t i = 0; i < plan_.intervals.size(); ++i) {
        const std::uint32_t bucket = *plan_.intervals[i].bucket_of(row.time_ms);
        for (const std::uint32_t group : groups) {
          const std::uint32_t cell = into.cells[i].at(group, bucket);
          ++into.cells[i].total(cell);
          if (plan_.uniques && cell != latest[i]) seen.emplace_back(i, cell);
          latest[i] = cell;
          for (std::size_t k = 0; k < plan_.keys.size(); ++k) {
            if (plan_.keys[k].key) into.cells[i].numbers(k).add(cell, property(row, *plan_.keys[k].key));
          }
        }
      }
      if (into.grown(into.groups)) charge_trend(context, into);
    }
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (const auto& [interval, cell] : seen) ++into.cells[interval].unique(cell);
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<TrendPartial&>(into);
    auto& right = static_cast<TrendPartial&>(from);
    if (right.groups.size() > left.groups.size()) std::swap(left, right);
    std::vector<std::uint32_t> group;
    if (plan_.shown) {
      group.resize(plan_.shown->size() + 1);  // the same in every partial
      std::iota(group.begin(), group.end(), 0u);
    } else {
      group = right.groups.merge_into(left.groups);
    }
    for (std::size_t i = 0; i < plan_.intervals.size(); ++i) left.cells[i].merge(right.cells[i], group);
  }

  // A profile, or a row, may be in several groups of the rest, so they do not add up: the rows are looked at again.
  [[nodiscard]] std::unique_ptr<Kind> again(const QueryContext& context, const Partial& partial) const override {
    const bool overlap = plan_.uniques ? plan_.breakdown.reads_properties() : plan_.breakdown.splits_rows();
    if (!limit_ || plan_.shown || !overlap) return nullptr;
    Ranking ranking = ranked(static_cast<const TrendPartial&>(partial), *context.version->strings);
    if (ranking.rest.empty()) return nullptr;
    TrendPlan plan = plan_;
    plan.shown.emplace();
    for (Ranked& best : ranking.best) plan.shown->push_back(std::move(best.key));
    return std::make_unique<TrendKind>(std::move(plan), order_, lists_intervals_, has_starts_, limit_);
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    auto& total = static_cast<TrendPartial&>(*partial);
    const Dictionary& strings = *context.version->strings;
    Lines lines;
    if (plan_.shown) {
      add_folded(total, lines);
      return table_of(lines, strings);
    }
    const Ranking ranking = ranked(total, strings);
    for (std::size_t i = 0; i < asked_intervals(); ++i) {
      for (const Ranked& best : ranking.best) add_lines(i, total.cells[i], best.group, &best.key, lines);
      if (!ranking.rest.empty()) add_other(i, total.cells[i], ranking.rest, lines);
    }
    if (lines.start_ms.empty() && !has_starts_ && plan_.breakdown.empty()) add_empty(lines);
    return table_of(lines, strings);
  }

 private:
  struct Ranked {
    std::uint32_t group;
    Number rank;
    std::vector<Value> key;  // once it is known to be shown
  };
  struct Ranking {
    std::vector<Ranked> best;         // in order, as many as the limit allows
    std::vector<std::uint32_t> rest;  // the other groups that hold rows
  };
  // The answer row by row, turned.
  struct Lines {
    std::vector<std::int64_t> interval;
    std::vector<std::int64_t> start_ms;
    std::vector<const std::vector<Value>*> key;  // null: other
    std::vector<std::vector<Number>> measure;    // one a measure
  };

  [[nodiscard]] std::size_t asked_intervals() const noexcept {
    return plan_.intervals.size() - (plan_.ranks_whole ? 1 : 0);
  }

  // Groups that hold rows: the best by a heap whose top is the worst of them, the others in any order.
  [[nodiscard]] Ranking ranked(const TrendPartial& total, const Dictionary& strings) const {
    const auto better = [&](const Ranked& left, const Ranked& right) {
      const bool left_none = left.rank.type == Number::Type::kNone, right_none = right.rank.type == Number::Type::kNone;
      if (left_none != right_none) return right_none;
      const int rank = left_none ? 0 : compare_numbers(left.rank, right.rank);
      return rank != 0 ? rank > 0
                       : compare_keys(total.groups.key(left.group), total.groups.key(right.group), strings) < 0;
    };
    const auto limit = static_cast<std::uint64_t>(limit_.value_or(INT64_MAX));
    const Cells& by = plan_.ranks_whole ? total.cells.back() : total.cells.front();
    Ranking out;
    const auto is_behind = [&](const Number& rank) {  // nearly all, when groups are many
      return out.best.size() >= limit && (out.best.empty() || is_less(rank, out.best.front().rank));
    };
    const auto rank_next = [&](std::uint32_t group, const Number& rank) {
      if (is_behind(rank)) return out.rest.push_back(group);
      Ranked next{group, rank, {}};
      if (out.best.size() < limit) {
        out.best.push_back(std::move(next));
        if (out.best.size() == limit) std::make_heap(out.best.begin(), out.best.end(), better);
        return;
      }
      if (better(next, out.best.front())) {
        std::pop_heap(out.best.begin(), out.best.end(), better);
        std::swap(out.best.back(), next);
        std::push_heap(out.best.begin(), out.best.end(), better);
      }
      out.rest.push_back(next.group);
    };
    if (limit < total.groups.size()) out.rest.reserve(total.groups.size());
    const bool by_integers = each_integer_rank(by, total.groups.size(), [&](std::uint32_t group, __int128 rank) {
      if (out.best.size() >= limit && !out.best.empty() && rank < out.best.front().rank.integer) {
        out.rest.push_back(group);
      } else {
        rank_next(group, Number::of(rank));
      }
    });
    for (std::uint32_t group = 0; !by_integers && group < total.groups.size(); ++group) {
      if (const std::optional<Number> rank = rank_of(by, group)) rank_next(group, *rank);
    }
    std::sort(out.best.begin(), out.best.end(), better);
    for (Ranked& each : out.best) each.key = total.groups.key(each.group);
    return out;
  }

  [[nodiscard]] static bool is_less(const Number& left, const Number& right) noexcept {
    return left.type == Number::Type::kInt && right.type == Number::Type::kInt && left.integer < right.integer;
  }

  // visit(group, rank) for the groups that hold rows, where a group is one cell and its rank an integer as it stands: ~1 ns
  // a group. False when they are not so: nothing was visited.
  template <class Visit>
  [[nodiscard]] bool each_integer_rank(const Cells& by, std::uint32_t groups, Visit&& visit) const {
    if (!by.is_single()) return false;
    groups = std::min(groups, by.group_count());
    const auto each = [&](auto&& rank) {
      for (std::uint32_t group = 0; group < groups; ++group) {
        if (by.holds_group(group)) visit(group, __int128{rank(group)});
      }
      return true;
    };
    const TrendMeasure& asked = plan_.measures[order_];
    if (asked.type == TrendMeasure::Type::kTotal) return each([&](std::uint32_t group) { return by.total(group); });
    if (asked.type == TrendMeasure::Type::kUnique) return each([&](std::uint32_t group) { return by.unique(group); });
    if (asked.type != TrendMeasure::Type::kSum) return false;
    const __int128* sums = by.numbers(asked.numbers).integer_sums();
    return sums != nullptr && each([&](std::uint32_t group) { return sums[group]; });
  }

  // What ranks a group; nothing when it holds no rows.
  [[nodiscard]] std::optional<Number> rank_of(const Cells& by, std::uint32_t group) const {
    const TrendMeasure& asked = plan_.measures[order_];
    if (by.is_single()) return by.holds_group(group) ? std::optional(measured(asked, by, group)) : std::nullopt;
    std::uint32_t cells = 0, only = 0;
    by.each(group, [&](std::uint32_t, std::uint32_t cell) { ++cells, only = cell; });
    if (cells == 0) return std::nullopt;
    return cells == 1 ? measured(asked, by, only) : measured_whole(asked, by, group);
  }

  // The measure over all cells of a group.
  [[nodiscard]] Number measured_whole(const TrendMeasure& measure, const Cells& by, std::uint32_t group) const {
    Cells whole = empty_cells(plan_, 1);
    by.each(group, [&](std::uint32_t, std::uint32_t cell) { whole.merge_cell(whole.at(0, 0), by, cell); });
    return measured(measure, whole, whole.at(0, 0));
  }

  void add_lines(std::size_t interval, const Cells& cells, std::uint32_t group, const std::vector<Value>* key,
                 Lines& lines) const {
    lines.measure.resize(plan_.measures.size());
    cells.each(group, [&](std::uint32_t bucket, std::uint32_t cell) {
      lines.interval.push_back(static_cast<std::int64_t>(interval));
      lines.start_ms.push_back(plan_.intervals[interval].start_ms(bucket));
      lines.key.push_back(key);
      for (std::size_t m = 0; m < plan_.measures.size(); ++m)
        lines.measure[m].push_back(measured(plan_.measures[m], cells, cell));
    });
  }

  void add_folded(const TrendPartial& total, Lines& lines) const {
    for (std::size_t i = 0; i < asked_intervals(); ++i) {
      std::uint32_t group = 0;
      for (const std::vector<Value>& key : *plan_.shown) add_lines(i, total.cells[i], group++, &key, lines);
      add_lines(i, total.cells[i], group, nullptr, lines);
    }
  }

  void add_other(std::size_t interval, const Cells& cells, std::span<const std::uint32_t> rest, Lines& lines) const {
    Cells other = empty_cells(plan_, plan_.intervals[interval].size());
    if (cells.is_single()) {  // all of `rest` hold rows
      other.merge_cells(other.at(0, 0), cells, rest);
      return add_lines(interval, other, 0, nullptr, lines);
    }
    for (const std::uint32_t group : rest) {
      cells.each(group,
                 [&](std::uint32_t bucket, std::uint32_t cell) { other.merge_cell(other.at(0, bucket), cells, cell); });
    }
    add_lines(interval, other, 0, nullptr, lines);
  }

  void add_empty(Lines& lines) const {
    Cells none = empty_cells(plan_, 1);
    const std::uint32_t cell = none.at(0, 0);
    lines.interval.push_back(0);
    lines.start_ms.push_back(0);
    lines.key.push_back(nullptr);
    lines.measure.resize(plan_.measures.size());
    for (std::size_t m = 0; m < plan_.measures.size(); ++m)
      lines.measure[m].push_back(measured(plan_.measures[m], none, cell));
  }

  [[nodiscard]] Table table_of(Lines& lines, const Dictionary& strings) const {
    Table table;
    lines.measure.resize(plan_.measures.size());
    if (lists_intervals_) add_ints(table, "interval", lines.interval);
    if (has_starts_) add_ints(table, "start_ms", lines.start_ms);
    plan_.breakdown.add_columns(table, lines.key, strings);
    for (std::size_t m = 0; m < plan_.measures.size(); ++m)
      add_number_column(table, plan_.measures[m].title(), lines.measure[m]);
    return table;
  }

  static void add_ints(Table& table, const char* name, const std::vector<std::int64_t>& values) {
    TableColumn& column = table.add(name, ColumnType::kInt64);
    column.reserve(values.size());
    for (const std::int64_t value : values) column.push_int(value);
  }

  TrendPlan plan_;
  std::size_t order_;
  bool lists_intervals_;
  bool has_starts_;
  std::optional<std::int64_t> limit_;
  std::vector<NameId> names_;
};

void bind_measure(TrendMeasure& measure, const Version& version, TrendPlan& plan) {
  plan.totals |= measure.type == TrendMeasure::Type::kTotal;
  plan.uniques |= measure.type == TrendMeasure::Type::kUnique;
  if (measure.key.empty()) return;
  const auto found =
      std::find_if(plan.keys.begin(), plan.keys.end(), [&](const TrendKey& key) { return key.name == measure.key; });
  measure.numbers = static_cast<std::size_t>(found - plan.keys.begin());
  if (found == plan.keys.end()) {
    plan.keys.push_back({measure.key, std::nullopt, false, false, false});
    if (const auto id = version.keys->find(measure.key)) plan.keys.back().key = KeyId{*id};
  }
  const bool sums = measure.type == TrendMeasure::Type::kSum || measure.type == TrendMeasure::Type::kMean;
  (sums ? plan.keys[measure.numbers].sums : plan.keys[measure.numbers].extremes) = true;
  plan.keys[measure.numbers].means |= measure.type == TrendMeasure::Type::kMean;
}

}  // namespace

std::unique_ptr<Kind> make_plain_trend(const TrendSpec& spec, const Binding& binding) {
  const Version& version = binding.version;
  TrendPlan plan{bind_selector(spec.series.front().selector, version, binding.moment()),
                 Breakdown(binding.common.breakdown, version, binding.moment()),
                 spec.measures,
                 {},
                 {},
                 {}};
  for (TrendMeasure& measure : plan.measures) bind_measure(measure, version, plan);
  const auto add = [&](const std::optional<Unit>& unit) {
    plan.intervals.emplace_back(version, binding.zone, binding.common.week_start, unit, binding.range,
                                std::max<std::int64_t>(binding.range.start_ms, 0));
  };
  for (const Unit& unit : spec.intervals) add(unit);
  if (spec.intervals.empty()) add(std::nullopt);
  plan.ranks_whole = !spec.intervals.empty() && !plan.breakdown.empty() &&
                     spec.measures[spec.order].type == TrendMeasure::Type::kUnique;
  if (plan.ranks_whole) add(std::nullopt);
  for (std::size_t i = 0; i < plan.intervals.size(); ++i) plan.order.push_back(i);
  std::stable_sort(plan.order.begin(), plan.order.end(), [&](std::size_t left, std::size_t right) {
    return plan.intervals[left].size() > plan.intervals[right].size();
  });
  return std::make_unique<TrendKind>(std::move(plan), spec.order, spec.lists_intervals, !spec.intervals.empty(),
                                     binding.common.limit);
}

}  // namespace cdp
