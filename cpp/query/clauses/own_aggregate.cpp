#include "query/clauses/own_aggregate.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "query/clauses/kept_rows.hpp"
#include "query/exact_sum.hpp"
#include "query/named_keys.hpp"

namespace cdp {
namespace {

constexpr std::string_view kMeasureExpected = "\"count\", or one of sum, mean, min, max, distinct with a property";

bool is_number(const Value& value) noexcept { return value.type == ValueType::kInt || value.type == ValueType::kFloat; }

Value of_float(double value) { return {ValueType::kFloat, std::bit_cast<std::uint64_t>(value)}; }
Value of_int(std::int64_t value) { return {ValueType::kInt, static_cast<std::uint64_t>(value)}; }

// Exactly; an integer and an equal float are equal.
bool less(const Value& left, const Value& right) noexcept {
  if (left.type == right.type)
    return left.type == ValueType::kInt ? left.as_int() < right.as_int() : left.as_float() < right.as_float();
  return left.type == ValueType::kInt ? compare_exact(left.as_int(), right.as_float()) < 0
                                      : compare_exact(right.as_int(), left.as_float()) > 0;
}

Value sum_of(const std::vector<Value>& numbers) {
  ExactSum sum;
  for (const Value& each : numbers)
    each.type == ValueType::kInt ? sum.add_int(each.as_int()) : sum.add_float(each.as_float());
  const __int128 integer = sum.integer();
  if (!sum.has_float() && integer >= INT64_MIN && integer <= INT64_MAX)
    return of_int(static_cast<std::int64_t>(integer));
  const double rounded = sum.rounded();
  return std::isfinite(rounded) ? of_float(rounded) : Value{};
}

Value mean_of(const std::vector<Value>& numbers) {
  if (numbers.empty()) return {};
  ExactSum sum;
  for (const Value& each : numbers)
    each.type == ValueType::kInt ? sum.add_int(each.as_int()) : sum.add_float(each.as_float());
  return of_float(sum.mean(numbers.size()));
}

Value distinct_of(std::vector<Value> values) {
  const auto order = [](const Value& left, const Value& right) {
    return std::pair(left.type, left.bits) < std::pair(right.type, right.bits);
  };
  std::sort(values.begin(), values.end(), order);
  return of_int(std::unique(values.begin(), values.end()) - values.begin());
}

}  // namespace

OwnSpec parse_own(const Node& node, const Path& path, const CalendarSpec& calendar) {
  constexpr std::array<std::string_view, 5> kMeasures = {"sum", "mean", "min", "max", "distinct"};
  constexpr std::array<Measure, 5> kTypes = {Measure::kSum, Measure::kMean, Measure::kMin, Measure::kMax,
                                             Measure::kDistinct};
  Fields fields(node, path);
  OwnSpec out;
  if (!fields.has("did")) fail_invalid(fields.path("did"), "missing; expected names of events, or null for any");
  out.events.selector = parse_selector(fields, "did");
  if (const Node* at = fields.take("at")) out.events.at = parse_local_times(*at, fields.path("at"), calendar);
  if (const Node* window = fields.take("window")) out.window = parse_window(*window, fields.path("window"), calendar);
  const Path measure_path = fields.path("measure");
  const Node& measure = fields.require("measure", kMeasureExpected);
  fields.done();
  if (measure.type == Node::Type::kString && measure.text == "count") return out;
  if (measure.type != Node::Type::kMap || measure.fields.size() != 1)
    fail_expected(measure_path, kMeasureExpected, measure);
  const auto& [name, of] = measure.fields.front();
  const auto found = std::find(kMeasures.begin(), kMeasures.end(), name);
  if (found == kMeasures.end()) fail_expected(measure_path, kMeasureExpected, measure);
  out.measure = kTypes[static_cast<std::size_t>(found - kMeasures.begin())];
  out.property = parse_key(of, measure_path.field(name));
  return out;
}

OwnAggregate::OwnAggregate(const OwnSpec& spec, const Version& version, const Moment& at)
    : events_(spec.events, version, at), window_(spec.window, version, at), measure_(spec.measure) {
  if (spec.property.empty()) return;
  key_ = find_property(spec.property, version, at);
}

bool OwnAggregate::resolved() const noexcept {
  return events_.selector.resolved && window_.resolved() && (measure_ == Measure::kCount || key_.has_value());
}

ProfileView::Seen OwnAggregate::seen(const Version& version, Origin home, std::int64_t now_ms) const {
  std::int64_t until_ms = INT64_MAX;
  const std::vector<Row> rows = kept_rows(version, home, events_.selector, now_ms, until_ms);
  std::int64_t count = 0;
  std::vector<Value> values;
  const BoundWindow::Now window = window_.at(version, home, now_ms);
  for (const Row& row : rows) {
    if (!events_.matches(row, now_ms, until_ms) || !window.holds(row.time_ms, until_ms)) continue;
    ++count;
    if (key_) values.push_back(property(row, *key_));
  }
  if (measure_ == Measure::kDistinct)
    std::erase_if(values, [](const Value& each) { return each.type == ValueType::kNull; });
  if (measure_ != Measure::kDistinct) std::erase_if(values, [](const Value& each) { return !is_number(each); });
  ProfileView::Seen out;
  out.next_ms = until_ms;
  switch (measure_) {
    case Measure::kCount: out.value = of_int(count); break;
    case Measure::kSum: out.value = sum_of(values); break;
    case Measure::kMean: out.value = mean_of(values); break;
    case Measure::kMin:
      if (!values.empty()) out.value = *std::min_element(values.begin(), values.end(), less);
      break;
    case Measure::kMax:
      if (!values.empty()) out.value = *std::max_element(values.begin(), values.end(), less);
      break;
    case Measure::kDistinct: out.value = distinct_of(std::move(values)); break;
  }
  return out;
}

}  // namespace cdp
