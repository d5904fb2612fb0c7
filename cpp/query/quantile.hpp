// Quantiles by linear interpolation between order statistics (type 7: the rank is p · (n − 1)), exact, rounded once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/value.hpp"

namespace cdp {

struct Quantile {
  static constexpr std::uint32_t kWhole = 100'000;
  std::uint32_t thousandths = 50'000;  // of a percent
};

// "median", "p90", "p99.9" (up to three digits behind the point, above p0 and below p100); none for anything else.
[[nodiscard]] std::optional<Quantile> parse_quantile(std::string_view text) noexcept;
// Reorders the values. REQUIRES: at least one; finite.
[[nodiscard]] double quantile_of(std::span<std::int64_t> values, Quantile quantile);
[[nodiscard]] double quantile_of(std::span<Value> values, Quantile quantile);  // integers and floats, as numbers

}  // namespace cdp
