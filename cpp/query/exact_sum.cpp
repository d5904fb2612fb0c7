#include "query/exact_sum.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace cdp {
namespace {

constexpr int kLimbs = 36;
constexpr int kUnit = -1'088;  // exponent of the lowest bit: 2^-1074, the least double, lies 14 bits above
using Limbs = std::array<std::uint64_t, kLimbs>;

// limbs += value · 2^(64 limb + shift), two's complement. REQUIRES: 0 ≤ shift < 64.
void add_at(Limbs& limbs, __int128 value, int limb, int shift) noexcept {
  const std::uint64_t sign = value < 0 ? ~std::uint64_t{0} : 0;
  const auto bits = static_cast<unsigned __int128>(value);
  const auto low = static_cast<std::uint64_t>(bits), high = static_cast<std::uint64_t>(bits >> 64);
  const std::uint64_t words[3] = {
      low << shift,
      shift == 0 ? high : (high << shift) | (low >> (64 - shift)),
      shift == 0 ? sign : (sign << shift) | (high >> (64 - shift)),
  };
  unsigned carry = 0;
  for (int i = limb; i < kLimbs; ++i) {
    const std::uint64_t word = i - limb < 3 ? words[i - limb] : sign;
    const unsigned __int128 sum = static_cast<unsigned __int128>(limbs[static_cast<std::size_t>(i)]) + word + carry;
    limbs[static_cast<std::size_t>(i)] = static_cast<std::uint64_t>(sum);
    carry = static_cast<unsigned>(sum >> 64);
    if (i - limb >= 3 && word + carry == 0) return;  // nothing left to carry: sign and carry cancel
  }
}

void add_scaled(Limbs& limbs, __int128 value, int exponent) noexcept {
  const int position = exponent - kUnit;
  add_at(limbs, value, position / 64, position % 64);
}

bool negative(const Limbs& limbs) noexcept { return static_cast<std::int64_t>(limbs[kLimbs - 1]) < 0; }

bool negate(Limbs& limbs) noexcept {
  unsigned carry = 1;
  for (std::uint64_t& limb : limbs) {
    limb = ~limb + carry;
    carry = carry != 0 && limb == 0 ? 1 : 0;
  }
  return true;
}

// Magnitude / divisor as whole limbs, and whether something was left over. REQUIRES: magnitude.
bool divide(Limbs& limbs, std::uint64_t divisor) noexcept {
  std::uint64_t rest = 0;
  for (int i = kLimbs - 1; i >= 0; --i) {
    const unsigned __int128 part = (static_cast<unsigned __int128>(rest) << 64) | limbs[static_cast<std::size_t>(i)];
    limbs[static_cast<std::size_t>(i)] = static_cast<std::uint64_t>(part / divisor);
    rest = static_cast<std::uint64_t>(part % divisor);
  }
  return rest != 0;
}

// `sticky`: more than zero lies below the lowest limb.
double round_magnitude(const Limbs& limbs, int unit, bool sticky) noexcept {
  int top = kLimbs - 1;
  while (top >= 0 && limbs[static_cast<std::size_t>(top)] == 0) --top;
  if (top < 0) return 0;
  const int high_bit = top * 64 + 63 - std::countl_zero(limbs[static_cast<std::size_t>(top)]);
  // Bit position of the last kept bit: 53 bits, fewer for subnormals (never below 2^-1074).
  const int last = std::max(high_bit - 52, -1'074 - unit);
  const auto bit = [&](int at) {
    return at < 0 ? false : ((limbs[static_cast<std::size_t>(at / 64)] >> (at % 64)) & 1) != 0;
  };
  std::uint64_t mantissa = 0;
  for (int at = high_bit; at >= last; --at) mantissa = (mantissa << 1) | (bit(at) ? 1u : 0u);
  const bool half = bit(last - 1);
  for (int at = last - 2; at >= 0 && !sticky; --at) sticky = bit(at);
  if (half && (sticky || (mantissa & 1) != 0)) ++mantissa;
  return std::ldexp(static_cast<double>(mantissa), last + unit);
}

}  // namespace

ExactSum::ExactSum(const ExactSum& other)
    : limbs_(other.limbs_ ? std::make_unique<Limbs>(*other.limbs_) : nullptr), integers_(other.integers_) {}

ExactSum& ExactSum::operator=(const ExactSum& other) {
  if (this != &other) *this = ExactSum(other);
  return *this;
}

void ExactSum::add_float(double value) {
  if (limbs_ == nullptr) limbs_ = std::make_unique<Limbs>();
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int biased = static_cast<int>((bits >> 52) & 0x7FF);
  auto mantissa = static_cast<std::int64_t>(bits & ((std::uint64_t{1} << 52) - 1));
  if (biased != 0) mantissa |= std::int64_t{1} << 52;
  add_scaled(*limbs_, (bits >> 63) != 0 ? -mantissa : mantissa, (biased == 0 ? 1 : biased) - 1'075);
}

void ExactSum::add_fixed(__int128 value, int exponent) {
  if (limbs_ == nullptr) limbs_ = std::make_unique<Limbs>();
  add_scaled(*limbs_, value, exponent);
}

void ExactSum::merge_limbs(const ExactSum& other) {
  if (limbs_ == nullptr) {
    limbs_ = std::make_unique<Limbs>(*other.limbs_);
    return;
  }
  unsigned carry = 0;
  for (std::size_t i = 0; i < limbs_->size(); ++i) {
    const unsigned __int128 sum = static_cast<unsigned __int128>((*limbs_)[i]) + (*other.limbs_)[i] + carry;
    (*limbs_)[i] = static_cast<std::uint64_t>(sum);
    carry = static_cast<unsigned>(sum >> 64);
  }
}

ExactSum::Limbs ExactSum::total() const {
  Limbs limbs{};
  if (limbs_ != nullptr) limbs = *limbs_;
  add_scaled(limbs, integers_, 0);
  return limbs;
}

double ExactSum::rounded() const {
  Limbs limbs = total();
  const bool below = negative(limbs) && negate(limbs);
  const double magnitude = round_magnitude(limbs, kUnit, false);
  return below ? -magnitude : magnitude;
}

double ExactSum::mean(std::uint64_t count) const {
  Limbs limbs = total();
  const bool below = negative(limbs) && negate(limbs);
  // Shift up so that the quotient keeps 53 bits and a rounding bit. Sums reach 2^1088 at most (2^64 doubles), so the top
  // two limbs of the magnitude are free.
  int unit = kUnit;
  if (limbs[kLimbs - 1] == 0 && limbs[kLimbs - 2] == 0) {
    for (std::size_t i = kLimbs - 1; i >= 2; --i) limbs[i] = limbs[i - 2];
    limbs[0] = limbs[1] = 0;
    unit -= 128;
  }
  const bool rest = divide(limbs, count);
  const double magnitude = round_magnitude(limbs, unit, rest);
  return below ? -magnitude : magnitude;
}

ExactSum ExactSum::minus(double value) const {
  ExactSum out = *this;
  out.add_float(-value);
  return out;
}

int ExactSum::sign() const {
  const Limbs limbs = total();
  if (negative(limbs)) return -1;
  for (const std::uint64_t limb : limbs) {
    if (limb != 0) return 1;
  }
  return 0;
}

}  // namespace cdp
