// What a did-clause asks of the rows it found: count, sum, mean, min, max, distinct, each against a test.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "query/condition.hpp"

namespace cdp {

struct BoundMeasure {
  Measure measure = Measure::kCount;
  std::optional<KeyId> key;  // empty: count, or a property never seen
  BoundTest test;
  bool datetimes = false;     // min, max compared with datetimes: only datetimes take part; else only numbers
  bool missing_zero = false;  // a row without a number counts as 0
};

[[nodiscard]] BoundMeasure bind_measure(const MeasureSpec& spec, const Version& version);

// Does the measure hold for `row_count` rows whose values of the key are `values` (missing ones left out, any order)?
// sum of none is 0; mean, min and max of none are missing: false, whatever the op. Exact, rounded once where a double.
[[nodiscard]] bool measure_holds(const BoundMeasure& measure, std::uint64_t row_count, std::span<const Value> values);

// The same from an exact integer sum of `value_count` values, without floats, zeros of missing ones among them. For kSum and
// kMean.
[[nodiscard]] bool integer_sum_holds(const BoundMeasure& measure, __int128 sum, std::uint64_t value_count);

// The exact sum of `integer_count` integers, and other values: for a property that holds both integers and floats.
[[nodiscard]] bool mixed_sum_holds(const BoundMeasure& measure, __int128 integer_sum, std::uint64_t integer_count,
                                   std::span<const Value> values);

}  // namespace cdp
