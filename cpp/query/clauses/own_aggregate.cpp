#include "query/clauses/own_aggregate.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "query/clauses/found_rows.hpp"
#include "query/clauses/kept_rows.hpp"
#include "query/clauses/measure_scan.hpp"
#include "query/exact_sum.hpp"
#include "query/named_keys.hpp"
#include "query/scan_plan.hpp"

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

Value sum_of(__int128 integer) {
  if (integer >= INT64_MIN && integer <= INT64_MAX) return of_int(static_cast<std::int64_t>(integer));
  ExactSum sum;
  sum.add_int(integer);
  return of_float(sum.rounded());
}

Value mean_of(__int128 integer, std::uint64_t count) {
  constexpr __int128 kExact = __int128{1} << 53;
  if (integer > -kExact && integer < kExact && count < static_cast<std::uint64_t>(kExact))
    return of_float(static_cast<double>(integer) / static_cast<double>(count));  // rounded once
  ExactSum sum;
  sum.add_int(integer);
  return of_float(sum.mean(count));
}

// Of integers that are summed already, and other numbers.
Value sum_of(__int128 integer, std::span<const Value> numbers) {
  ExactSum sum;
  sum.add_int(integer);
  for (const Value& each : numbers)
    each.type == ValueType::kInt ? sum.add_int(each.as_int()) : sum.add_float(each.as_float());
  if (!sum.has_float()) return sum_of(sum.integer());
  const double rounded = sum.rounded();
  return std::isfinite(rounded) ? of_float(rounded) : Value{};
}

Value mean_of(__int128 integer, std::uint64_t integers, std::span<const Value> numbers) {
  if (integers + numbers.size() == 0) return {};
  ExactSum sum;
  sum.add_int(integer);
  for (const Value& each : numbers)
    each.type == ValueType::kInt ? sum.add_int(each.as_int()) : sum.add_float(each.as_float());
  return of_float(sum.mean(integers + numbers.size()));
}

// The least number, or with `turned` the greatest, of values of any type.
Value extreme_of(std::span<const Value> values, bool turned) {
  Value out;
  for (const Value& each : values) {
    if (!is_number(each)) continue;
    if (out.type == ValueType::kNull || (turned ? less(out, each) : less(each, out))) out = each;
  }
  return out;
}

Value distinct_of(std::span<Value> values) {
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
    : events_(spec.events, version, at),
      window_(spec.window, version, at),
      measure_(spec.measure),
      bound_ms_(at.now_ms) {
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
    case Measure::kSum: out.value = sum_of(0, values); break;
    case Measure::kMean: out.value = mean_of(0, 0, values); break;
    case Measure::kMin: out.value = extreme_of(values, false); break;
    case Measure::kMax: out.value = extreme_of(values, true); break;
    case Measure::kDistinct: out.value = distinct_of(values); break;
  }
  return out;
}

bool OwnAggregate::scan(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<Value> values) const {
  if (!can_scan(events_, bound_ms_, now_ms)) return false;
  if (task.plan->horizon && task.plan->horizon != horizon_of(*task.version, now_ms)) return false;
  const auto counts = scratch.zeroed<std::uint32_t>(measure_ == Measure::kCount ? task.size() : 0);
  MeasureScan measure(measure_, key_, task.size(), scratch);
  for_each_found(events_, window_, now_ms, task, scratch,
                 [&](const FoundIn&, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
                   if (measure_ != Measure::kCount) return measure.add(view, rows, count);
                   for (std::uint32_t i = 0; i < count; ++i) ++counts[view.profile[rows[i]] + view.id_offset];
                 });
  measure.group(task.size());
  const IntegerSums* sums = measure.sums();
  for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
    const std::span<Value> held = measure.values(profile);
    const __int128 integer = sums == nullptr ? 0 : sums->sum(profile);
    const std::uint32_t integers = sums == nullptr ? 0 : sums->count(profile);
    Value& value = values[profile];
    switch (measure_) {
      case Measure::kCount: value = of_int(counts[profile]); break;
      case Measure::kSum: value = held.empty() ? sum_of(integer) : sum_of(integer, held); break;
      case Measure::kMean:
        value = integers == 0  ? mean_of(0, 0, held)
                : held.empty() ? mean_of(integer, integers)
                               : mean_of(integer, integers, held);
        break;
      case Measure::kMin: value = extreme_of(held, false); break;
      case Measure::kMax: value = extreme_of(held, true); break;
      case Measure::kDistinct: value = distinct_of(held); break;
    }
  }
  return true;
}

}  // namespace cdp
