// Sums that do not depend on order: integers exact in 128 bits, floats the exact value rounded once (as math.fsum).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace cdp {

// Adds integers and doubles exactly. Floats go into a fixed-point number wide enough for every double (2,176 bits), made
// on first use. Cost: integer ~1 ns, float ~5 ns. Value type, movable.
class ExactSum {
 public:
  void add_int(std::int64_t value) noexcept { integers_ += value; }
  void add_int(__int128 value) noexcept { integers_ += value; }  // REQUIRES: the total fits 127 bits
  void add_float(double value);                                  // REQUIRES: finite
  // value · 2^exponent. REQUIRES: the value lies within the range of doubles' bits (exponent ≥ −1074).
  void add_fixed(__int128 value, int exponent);
  void merge(const ExactSum& other) {
    integers_ += other.integers_;
    if (other.limbs_ != nullptr) merge_limbs(other);
  }
  [[nodiscard]] bool has_float() const noexcept { return limbs_ != nullptr; }
  [[nodiscard]] __int128 integer() const noexcept { return integers_; }  // of the integers only
  // Total of both, rounded once, half to even; infinite beyond the range of doubles.
  [[nodiscard]] double rounded() const;
  // Total / count, the exact quotient rounded once. REQUIRES: count > 0.
  [[nodiscard]] double mean(std::uint64_t count) const;
  // The sign of (total − value), exactly.
  [[nodiscard]] ExactSum minus(double value) const;
  [[nodiscard]] int sign() const;

  static constexpr std::size_t kFloatBytes = 36 * 8 + 32;  // of one that has a float

  ExactSum() = default;
  ExactSum(ExactSum&&) noexcept = default;
  ExactSum& operator=(ExactSum&&) noexcept = default;
  ExactSum(const ExactSum& other);
  ExactSum& operator=(const ExactSum& other);

 private:
  static constexpr int kLimbs = 36;  // 2^-1088 .. 2^1216, two's complement
  using Limbs = std::array<std::uint64_t, kLimbs>;
  void merge_limbs(const ExactSum& other);
  [[nodiscard]] Limbs total() const;
  std::unique_ptr<Limbs> limbs_;
  __int128 integers_ = 0;
};

}  // namespace cdp
