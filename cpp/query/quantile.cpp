#include "query/quantile.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "query/condition.hpp"
#include "query/exact_sum.hpp"

namespace cdp {
namespace {

void add_times(ExactSum& sum, std::int64_t value, std::int64_t factor) { sum.add_int(__int128{value} * factor); }
void add_times(ExactSum& sum, double value, std::int64_t factor) {
  constexpr int kDigits = 53;
  int exponent = 0;
  const auto digits = static_cast<std::int64_t>(std::ldexp(std::frexp(value, &exponent), kDigits));
  int shift = exponent - kDigits;
  __int128 scaled = __int128{digits} * factor;
  for (; shift < -1'074; ++shift) scaled /= 2;  // of a subnormal: its low digits are zero
  if (scaled != 0) sum.add_fixed(scaled, shift);
}

void add_times(ExactSum& sum, const Value& value, std::int64_t factor) {
  value.type == ValueType::kInt ? add_times(sum, value.as_int(), factor) : add_times(sum, value.as_float(), factor);
}

template <class Number, class Less>
double interpolated(std::span<Number> values, Quantile quantile, const Less& is_less) {
  const auto rank = static_cast<unsigned __int128>(values.size() - 1) * quantile.thousandths;
  const auto low = static_cast<std::ptrdiff_t>(rank / Quantile::kWhole);
  const auto above = static_cast<std::int64_t>(rank % Quantile::kWhole);
  std::nth_element(values.begin(), values.begin() + low, values.end(), is_less);
  ExactSum sum;
  const Number least = values[static_cast<std::size_t>(low)];
  add_times(sum, least, Quantile::kWhole - above);
  if (above != 0) add_times(sum, *std::min_element(values.begin() + low + 1, values.end(), is_less), above);
  return sum.mean(Quantile::kWhole);
}

bool is_less_number(const Value& left, const Value& right) noexcept {
  const bool left_int = left.type == ValueType::kInt, right_int = right.type == ValueType::kInt;
  if (left_int && right_int) return left.as_int() < right.as_int();
  if (left_int) return compare_exact(left.as_int(), right.as_float()) < 0;
  if (right_int) return compare_exact(right.as_int(), left.as_float()) > 0;
  return left.as_float() < right.as_float();
}

}  // namespace

std::optional<Quantile> parse_quantile(std::string_view text) noexcept {
  if (text == "median") return Quantile{};
  if (text.size() < 2 || text.front() != 'p') return std::nullopt;
  std::uint32_t value = 0;
  int places = -1;  // digits behind the point so far
  for (const char c : text.substr(1)) {
    if (c == '.' && places < 0 && text[1] != '.') {
      places = 0;
      continue;
    }
    if (c < '0' || c > '9' || places >= 3 || value >= Quantile::kWhole) return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
    if (places >= 0) ++places;
  }
  if (places == 0) return std::nullopt;
  for (int place = std::max(places, 0); place < 3; ++place) value *= 10;
  if (value == 0 || value >= Quantile::kWhole) return std::nullopt;
  return Quantile{value};
}

double quantile_of(std::span<std::int64_t> values, Quantile quantile) {
  return interpolated(values, quantile, std::less<>());
}
double quantile_of(std::span<Value> values, Quantile quantile) {
  return interpolated(values, quantile, is_less_number);
}

}  // namespace cdp
