#include "query/clauses/measure.hpp"

#include <algorithm>

#include "column/dictionary.hpp"
#include "query/exact_sum.hpp"

namespace cdp {
namespace {

bool is_number(const Value& value) { return value.type == ValueType::kInt || value.type == ValueType::kFloat; }

int compare_numbers(const Value& left, const Value& right) {
  if (left.type == ValueType::kInt && right.type == ValueType::kInt) {
    return left.as_int() < right.as_int() ? -1 : (left.as_int() > right.as_int() ? 1 : 0);
  }
  if (left.type == ValueType::kInt) return compare_exact(left.as_int(), right.as_float());
  if (right.type == ValueType::kInt) return -compare_exact(right.as_int(), left.as_float());
  return left.as_float() < right.as_float() ? -1 : (left.as_float() > right.as_float() ? 1 : 0);
}

std::uint64_t count_numbers(std::span<const Value> values) {
  return static_cast<std::uint64_t>(std::count_if(values.begin(), values.end(), is_number));
}

bool extreme_holds(const BoundMeasure& measure, std::uint64_t row_count, std::span<const Value> values) {
  Value best;
  if (measure.missing_zero && count_numbers(values) < row_count) best = {ValueType::kInt, 0};
  const int wanted = measure.measure == Measure::kMin ? -1 : 1;
  for (const Value& value : values) {
    if (measure.datetimes ? value.type != ValueType::kDatetime : !is_number(value)) continue;
    const auto better = [&] {
      if (!measure.datetimes) return compare_numbers(value, best) == wanted;
      return wanted < 0 ? value.as_int() < best.as_int() : value.as_int() > best.as_int();
    };
    if (best.type == ValueType::kNull || better()) best = value;
  }
  return best.type != ValueType::kNull && measure.test.matches(best);
}

// Types are kept apart: 1 and 1.0 are two values.
bool distinct_holds(const BoundMeasure& measure, std::span<const Value> values) {
  std::vector<std::pair<ValueType, std::uint64_t>> seen;
  seen.reserve(values.size());
  for (const Value& value : values) seen.emplace_back(value.type, value.bits);
  std::sort(seen.begin(), seen.end());
  const auto last = std::unique(seen.begin(), seen.end());
  return measure.test.matches({ValueType::kInt, static_cast<std::uint64_t>(last - seen.begin())});
}

}  // namespace

BoundMeasure bind_measure(const MeasureSpec& spec, const Version& version) {
  BoundMeasure out{spec.measure, std::nullopt, BoundTest(spec.test, *version.strings, {}), false, spec.missing_zero};
  if (spec.measure != Measure::kCount) {
    if (const auto key = version.keys->find(spec.property)) out.key = KeyId{*key};
  }
  out.datetimes = !spec.test.values.empty() && spec.test.values.front().type == ValueType::kDatetime;
  return out;
}

bool integer_sum_holds(const BoundMeasure& measure, __int128 sum, std::uint64_t value_count) {
  if (measure.measure == Measure::kSum) return measure.test.matches_wide(sum);
  if (value_count == 0) return false;
  constexpr __int128 kExact = __int128{1} << 53;
  if (sum > -kExact && sum < kExact && value_count < static_cast<std::uint64_t>(kExact)) {
    return measure.test.matches_number(static_cast<double>(sum) / static_cast<double>(value_count));  // rounded once
  }
  ExactSum exact;
  exact.add_int(sum);
  return measure.test.matches_number(exact.mean(value_count));
}

bool mixed_sum_holds(const BoundMeasure& measure, __int128 integer_sum, std::uint64_t integer_count,
                     std::span<const Value> values) {
  ExactSum sum;
  sum.add_int(integer_sum);
  std::uint64_t count = integer_count;
  for (const Value& value : values) {
    if (!is_number(value)) continue;
    ++count;
    if (value.type == ValueType::kInt) {
      sum.add_int(value.as_int());
    } else {
      sum.add_float(value.as_float());
    }
  }
  if (!sum.has_float()) return integer_sum_holds(measure, sum.integer(), count);
  return measure.test.matches_number(measure.measure == Measure::kSum ? sum.rounded() : sum.mean(count));
}

bool measure_holds(const BoundMeasure& measure, std::uint64_t row_count, std::span<const Value> values) {
  switch (measure.measure) {
    case Measure::kCount: return measure.test.matches({ValueType::kInt, row_count});
    case Measure::kSum:
    case Measure::kMean:
      return mixed_sum_holds(measure, 0, measure.missing_zero ? row_count - count_numbers(values) : 0, values);
    case Measure::kMin:
    case Measure::kMax: return extreme_holds(measure, row_count, values);
    case Measure::kDistinct: return distinct_holds(measure, values);
  }
  return false;
}

}  // namespace cdp
