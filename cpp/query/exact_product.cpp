#include "query/exact_product.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cdp {
namespace {

// ±magnitude · 2^exponent.
struct Binary {
  unsigned __int128 magnitude = 0;
  int exponent = 0;
  bool negative = false;
};

Binary binary_of(__int128 integer) noexcept {
  const bool negative = integer < 0;
  const auto bits = static_cast<unsigned __int128>(integer);
  return {negative ? -bits : bits, 0, negative};
}

Binary binary_of(const Value& value) noexcept {
  if (value.type == ValueType::kInt) return binary_of(__int128{value.as_int()});
  int exponent = 0;
  const double fraction = std::frexp(value.as_float(), &exponent);
  Binary out = binary_of(__int128{static_cast<std::int64_t>(std::ldexp(fraction, 53))});
  out.exponent = exponent - 53;
  return out;
}

int bit_width(unsigned __int128 value) noexcept {
  const auto high = static_cast<std::uint64_t>(value >> 64), low = static_cast<std::uint64_t>(value);
  return high != 0 ? 128 - __builtin_clzll(high) : (low != 0 ? 64 - __builtin_clzll(low) : 0);
}

int compare(const Binary& left, const Binary& right) noexcept {
  const int left_sign = left.magnitude == 0 ? 0 : (left.negative ? -1 : 1);
  const int right_sign = right.magnitude == 0 ? 0 : (right.negative ? -1 : 1);
  if (left_sign != right_sign) return left_sign < right_sign ? -1 : 1;
  if (left_sign == 0) return 0;
  const int left_bits = bit_width(left.magnitude), right_bits = bit_width(right.magnitude);
  const int left_top = left_bits + left.exponent, right_top = right_bits + right.exponent;
  if (left_top != right_top) return (left_top < right_top) == (left_sign > 0) ? -1 : 1;
  const unsigned __int128 one = left.magnitude << (128 - left_bits), other = right.magnitude << (128 - right_bits);
  if (one == other) return 0;
  return (one < other) == (left_sign > 0) ? -1 : 1;
}

Binary product(const Value& right, const Value& factor) noexcept {
  const Binary one = binary_of(right), other = binary_of(factor);
  // At most 64 bits each: 2^63 of the least integer twice still fits.
  Binary out{one.magnitude * other.magnitude, one.exponent + other.exponent, one.negative != other.negative};
  const bool whole = right.type == ValueType::kInt && factor.type == ValueType::kInt;
  const int spare = bit_width(out.magnitude) - std::numeric_limits<double>::digits;
  if (whole || spare <= 0) return out;
  const unsigned __int128 rest = out.magnitude & ((static_cast<unsigned __int128>(1) << spare) - 1);
  const unsigned __int128 half = static_cast<unsigned __int128>(1) << (spare - 1);
  out.magnitude >>= spare;
  out.exponent += spare;
  if (rest > half || (rest == half && (out.magnitude & 1) != 0)) ++out.magnitude;  // a tie goes to the even one
  return out;
}

}  // namespace

int compare_product(const Value& left, const Value& right, const Value& factor) noexcept {
  return compare(binary_of(left), product(right, factor));
}
int compare_product(__int128 left, const Value& right, const Value& factor) noexcept {
  return compare(binary_of(left), product(right, factor));
}

}  // namespace cdp
