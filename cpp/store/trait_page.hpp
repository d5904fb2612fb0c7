// One trait of 1,024 origins: folded value (of homes) and newest operation (of origins). A page is sparse, a sorted list of
// the origins that have something, until a quarter of them does, then dense. Values are 32 bits as long as all fit
// (strings, bools, small ints), else 64: 9 bytes an origin, or 13.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/value.hpp"

namespace cdp {

class TraitPage {
 public:
  static constexpr std::uint32_t kOrigins = 1'024;

  // Index of the cell of an origin (its number within the page), if it has one.
  [[nodiscard]] std::optional<std::uint32_t> find(std::uint32_t slot) const noexcept {
    if (dense_) return slot;
    const auto at = std::lower_bound(slots_.begin(), slots_.end(), slot);
    if (at == slots_.end() || *at != slot) return std::nullopt;
    return static_cast<std::uint32_t>(at - slots_.begin());
  }
  // The same, made if missing.
  std::uint32_t make(std::uint32_t slot);
  [[nodiscard]] Value value(std::uint32_t cell) const noexcept {
    const auto type = static_cast<ValueType>(types_[cell]);
    return {type, wide_.empty() ? widen(type, narrow_[cell]) : wide_[cell]};
  }
  void set_value(std::uint32_t cell, const Value& value);
  [[nodiscard]] std::uint32_t newest(std::uint32_t cell) const noexcept { return newest_[cell]; }
  void set_newest(std::uint32_t cell, std::uint32_t newest) noexcept { newest_[cell] = newest; }
  // Values of the slots [first, first + out.size()).
  void values(std::uint32_t first, std::span<Value> out) const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return slots_.capacity() * 2 + types_.capacity() + narrow_.capacity() * 4 + wide_.capacity() * 8 +
           newest_.capacity() * 4;
  }

 private:
  static constexpr std::uint32_t kSparseMax = kOrigins / 4;

  [[nodiscard]] static std::uint64_t widen(ValueType type, std::uint32_t bits) noexcept {
    if (type != ValueType::kInt) return bits;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(bits)));
  }
  void spread();

  bool dense_ = false;
  std::vector<std::uint16_t> slots_; // ascending; empty when dense
  std::vector<std::uint8_t> types_;
  std::vector<std::uint32_t> narrow_; // one of the two is empty
  std::vector<std::uint64_t> wide_;
  std::vector<std::uint32_t> newest_; // where the history's newest entry lies, 0 = none
};

} // namespace cdp
