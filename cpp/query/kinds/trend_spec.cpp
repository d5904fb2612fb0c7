// The fields of a trend.
//
//   "event": series | "events": [series, ..] (1 to 26)
//   series    selector | {selector's fields, "name"?: text, "first"?: "event" | "matching"}
//   "measures"?: ["total"] of "total" | "unique" | {"sum" | "mean" | "min" | "max" | "median" | "p90" .. | "distinct": key}
//                | {"per_profile": "mean" | "min" | "max" | "median" | "p90" ..}
//   "interval"?: unit | [unit, ..] | null, "order"?: index of the measure that ranks the breakdown
//   "cumulative"?: bool | "rolling"?: buckets (2 to 366) | "moving_mean"?: buckets (2 to 366), "fill"?: bool
//   "previous"?: "period" | unit but an hour, "formula"?: [text, ..] (1 to 16)
#include "query/kinds/trend_spec.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "query/kinds/breakdown.hpp"
#include "query/kinds/extended_selector.hpp"

namespace cdp {
namespace {

using Type = TrendMeasure::Type;
using Statistic = TrendMeasure::Statistic;

constexpr std::size_t kMeasuresMax = 64;
constexpr std::size_t kIntervalsMax = 8;
constexpr std::size_t kSeriesMax = 26;
constexpr std::size_t kFormulasMax = 16;
constexpr std::int64_t kRollingMax = 366;
constexpr std::string_view kMeasureExpected =
    "total, unique, or one of sum, mean, min, max, median, p90 (any quantile), distinct with a property, or "
    "per_profile with a "
    "statistic";

TrendMeasure parse_per_profile(const Node& node, const Path& path) {
  constexpr std::array<std::string_view, 3> kStatistics = {"mean", "min", "max"};
  TrendMeasure out{Type::kPerProfile, {}, 0};
  out.name = read_string(node, path);
  const auto found = std::find(kStatistics.begin(), kStatistics.end(), out.name);
  if (found != kStatistics.end()) {
    out.statistic = static_cast<Statistic>(found - kStatistics.begin());
    return out;
  }
  const auto quantile = parse_quantile(out.name);
  if (!quantile) fail_expected(path, "mean, min, max, median or p90 (any quantile)", node);
  out.statistic = Statistic::kQuantile;
  out.quantile = *quantile;
  return out;
}

TrendMeasure parse_measure(const Node& node, const Path& path) {
  if (node.type == Node::Type::kString) {
    if (node.text == "total") return {Type::kTotal, {}, 0};
    if (node.text == "unique") return {Type::kUnique, {}, 0};
    fail_expected(path, kMeasureExpected, node);
  }
  if (node.type != Node::Type::kMap || node.fields.size() != 1) fail_expected(path, kMeasureExpected, node);
  static const std::map<std::string_view, Type> kTypes = {{"sum", Type::kSum},
                                                          {"mean", Type::kMean},
                                                          {"min", Type::kMin},
                                                          {"max", Type::kMax},
                                                          {"distinct", Type::kDistinct}};
  const auto& [name, of] = node.fields.front();
  const Path inner = path.field(name);
  if (name == "per_profile") return parse_per_profile(of, inner);
  if (const auto type = kTypes.find(name); type != kTypes.end()) return {type->second, parse_key(of, inner), 0};
  const auto quantile = parse_quantile(name);
  if (!quantile) fail_expected(path, kMeasureExpected, node);
  return {Type::kQuantile, parse_key(of, inner), 0, Statistic::kMean, *quantile, std::string(name)};
}

void parse_measures(Fields& fields, TrendSpec& out) {
  const Path path = fields.path("measures");
  const Node* node = fields.take("measures");
  if (node == nullptr) return out.measures.push_back({});
  const std::vector<Node>& items = read_array(*node, path, 1, kMeasuresMax);
  for (std::size_t i = 0; i < items.size(); ++i) out.measures.push_back(parse_measure(items[i], path.item(i)));
}

void parse_intervals(Fields& fields, TrendSpec& out) {
  const Path path = fields.path("interval");
  const Node* node = fields.take("interval");
  if (node == nullptr) return;
  out.lists_intervals = node->type == Node::Type::kArray;
  if (!out.lists_intervals) return out.intervals.push_back(parse_interval(*node, path));
  const std::vector<Node>& items = read_array(*node, path, 1, kIntervalsMax);
  for (std::size_t i = 0; i < items.size(); ++i) out.intervals.push_back(parse_interval(items[i], path.item(i)));
}

TrendSeries parse_series(const Node& node, const Path& path, bool may_be_named, char letter,
                         const CalendarSpec& calendar) {
  constexpr std::array<std::string_view, 2> kFirsts = {"event", "matching"};
  const Extended named = may_be_named ? take_field(node, "name") : Extended{node, nullptr};
  const Extended first = take_field(named.rest, "first");
  constexpr std::array<std::string_view, 2> kAlso = {"first", "name"};
  TrendSeries out{parse_selector(first.rest, path, &calendar, std::span(kAlso).first(may_be_named ? 2 : 1)),
                  std::string(1, letter)};
  if (named.extra != nullptr && named.extra->type != Node::Type::kNull)
    out.name = parse_key(*named.extra, path.field("name"));
  if (first.extra != nullptr && first.extra->type != Node::Type::kNull) {
    const Path at = path.field("first");
    const auto found = std::find(kFirsts.begin(), kFirsts.end(), read_string(*first.extra, at));
    if (found == kFirsts.end()) fail_expected(at, "\"event\" or \"matching\"", *first.extra);
    out.first = found == kFirsts.begin() ? TrendSeries::First::kEvent : TrendSeries::First::kMatching;
  }
  return out;
}

void parse_all_series(Fields& fields, const CalendarSpec& calendar, TrendSpec& out) {
  const Path path = fields.path("events");
  const Node* several = fields.take("events");
  if (several == nullptr) {
    const Path single = fields.path("event");
    out.series.push_back(parse_series(fields.require("event", "a selector"), single, false, 'A', calendar));
    return;
  }
  if (fields.has("event")) fail_invalid(path, "either event or events, not both");
  out.lists_series = true;
  const std::vector<Node>& items = read_array(*several, path, 1, kSeriesMax);
  std::set<std::string> names;
  for (std::size_t i = 0; i < items.size(); ++i) {
    out.series.push_back(parse_series(items[i], path.item(i), true, static_cast<char>('A' + i), calendar));
    if (!names.insert(out.series.back().name).second) fail_invalid(path.item(i), "two series of one name");
  }
}

void parse_window(Fields& fields, TrendSpec& out) {
  const Path cumulative = fields.path("cumulative"), rolling = fields.path("rolling"), fill = fields.path("fill");
  if (const Node* node = fields.take("cumulative"); node != nullptr && read_bool(*node, cumulative)) out.window = 0;
  const bool is_cumulative = out.window == 0;
  if (const auto buckets = fields.integer("rolling", 2, kRollingMax)) out.window = *buckets;
  if (is_cumulative && out.window != 0) fail_invalid(rolling, "either cumulative or rolling, not both");
  const Path moving = fields.path("moving_mean");
  out.moving_mean = fields.integer("moving_mean", 2, kRollingMax).value_or(0);
  if (out.moving_mean != 0 && out.window != 1)
    fail_invalid(moving, "the buckets of a moving mean stand alone: no rolling");
  if (const Node* node = fields.take("fill")) out.fill = read_bool(*node, fill);
  if (!out.intervals.empty()) return;
  if (is_cumulative) fail_invalid(cumulative, "a running total needs an interval");
  if (out.window != 1) fail_invalid(rolling, "a rolling measure needs an interval");
  if (out.moving_mean != 0) fail_invalid(moving, "a moving mean needs an interval");
  if (out.fill) fail_invalid(fill, "only the buckets of an interval are filled");
}

void parse_formulas(Fields& fields, TrendSpec& out) {
  const Path path = fields.path("formula");
  const Node* node = fields.take("formula");
  if (node == nullptr) return;
  std::vector<std::string> titles;
  for (const TrendMeasure& measure : out.measures) titles.push_back(measure.title());
  const std::vector<Node>& items = read_array(*node, path, 1, kFormulasMax);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path item = path.item(i);
    out.formulas.emplace_back(read_string(items[i], item), out.series.size(), titles, item);
  }
}

// Which buckets of all there are depends on what the clocks of all profiles show.
void check_clocks(const Fields& fields, const TrendSpec& spec) {
  const auto refuse = [&](const char* name) {
    fail_unsupported(fields.path(name), "not in a zone kept in a trait: its buckets are those that hold events");
  };
  if (spec.window != 1) refuse(spec.window == 0 ? "cumulative" : "rolling");
  if (spec.moving_mean != 0) refuse("moving_mean");
  if (spec.fill) refuse("fill");
  if (spec.previous) refuse("previous");
}

}  // namespace

std::string TrendMeasure::title() const {
  switch (type) {
    case Type::kTotal: return "total";
    case Type::kUnique: return "unique";
    case Type::kSum: return "sum(" + key + ")";
    case Type::kMean: return "mean(" + key + ")";
    case Type::kMin: return "min(" + key + ")";
    case Type::kMax: return "max(" + key + ")";
    case Type::kDistinct: return "distinct(" + key + ")";
    case Type::kQuantile: return name + "(" + key + ")";
    case Type::kPerProfile: return "per_profile(" + name + ")";
  }
  return {};
}

bool TrendSpec::is_plain() const noexcept {
  const bool adds_up = std::all_of(measures.begin(), measures.end(),
                                   [](const TrendMeasure& measure) { return measure.type < Type::kQuantile; });
  return adds_up && !lists_series && series.front().first == TrendSeries::First::kNo && window == 1 &&
         moving_mean == 0 && !fill && !previous && formulas.empty();
}

std::unique_ptr<Kind> TrendSpec::bind(const Binding& binding) const {
  for (const TrendMeasure& measure : measures) binding.note_property(measure.key);
  return is_plain() && !splits_profiles(binding.common.breakdown) && binding.common.zone_trait.empty()
             ? make_plain_trend(*this, binding)
             : make_ruled_trend(*this, binding);
}

CountedKind TrendSpec::counted() const {
  auto out = std::make_unique<TrendSpec>();
  out->series = {series.front()};
  out->measures.push_back({});
  return {std::move(out), "total"};
}

void TrendSpec::check_cells(const Path& question) const {
  if (moving_mean != 0) fail_invalid(question.field("moving_mean"), "a cell counts, it is no mean");
  if (previous) fail_invalid(question.field("previous"), "a cell is of one range; ask for that of the other by itself");
}

std::unique_ptr<KindSpec> parse_trend(Fields& fields, const CommonSpec& common) {
  auto spec = std::make_unique<TrendSpec>();
  parse_all_series(fields, common.calendar, *spec);
  parse_measures(fields, *spec);
  parse_intervals(fields, *spec);
  const auto last = static_cast<std::int64_t>(spec->measures.size()) - 1;
  spec->order = static_cast<std::size_t>(fields.integer("order", 0, last).value_or(0));
  parse_window(fields, *spec);
  if (const Node* node = fields.take("previous")) {
    spec->previous = parse_previous(*node, fields.path("previous"));
    if (!has_start(common.range)) fail_invalid(fields.path("previous"), "only a range that has a start is compared");
  }
  parse_formulas(fields, *spec);
  if (!common.zone_trait.empty()) check_clocks(fields, *spec);
  return spec;
}

}  // namespace cdp
