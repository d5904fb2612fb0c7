// One trait of 256 origins: folded value (of homes) and newest operation (of origins), in one piece of memory, so that the
// copy a version costs is one allocation and one memcpy of 2.3 to 3.3 KB. (Pages of 1,024 were measured: random updates of
// a million profiles then spend four fifths of their time copying.)
//
// A page is sparse, a sorted list of the origins that have something, until a quarter of them does, then dense. Values are
// 32 bits as long as all fit (strings, bools, small ints), else 64: 9 bytes an origin, or 13.
//
//   buffer = payload (4 or 8 bytes a cell), newest (4), type (1), slot (1, sparse only): arrays of `capacity` cells
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/value.hpp"

namespace cdp {

class TraitPage {
 public:
  static constexpr std::uint32_t kOrigins = 256;

  // Index of the cell of an origin (its number within the page), if it has one.
  [[nodiscard]] std::optional<std::uint32_t> find(std::uint32_t slot) const noexcept;
  // The same, made if missing.
  std::uint32_t make(std::uint32_t slot);
  [[nodiscard]] Value value(std::uint32_t cell) const noexcept {
    const auto type = static_cast<ValueType>(buffer_[types() + cell]);
    return {type, wide_ ? load<std::uint64_t>(cell * std::size_t{8})
                        : widen(type, load<std::uint32_t>(cell * std::size_t{4}))};
  }
  void set_value(std::uint32_t cell, const Value& value);
  [[nodiscard]] std::uint32_t newest(std::uint32_t cell) const noexcept {
    return load<std::uint32_t>(newests() + cell * std::size_t{4});
  }
  void set_newest(std::uint32_t cell, std::uint32_t newest) noexcept {
    store(newests() + cell * std::size_t{4}, newest);
  }
  // Values of the slots [first, first + out.size()).
  void values(std::uint32_t first, std::span<Value> out) const noexcept;
  void prefetch(std::uint32_t slot) const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept { return buffer_.size(); }

 private:
  static constexpr std::uint32_t kSparseMax = kOrigins / 4;

  [[nodiscard]] bool dense() const noexcept { return capacity_ == kOrigins; }
  [[nodiscard]] std::size_t payload_bytes() const noexcept { return wide_ ? 8 : 4; }
  [[nodiscard]] std::size_t newests() const noexcept { return capacity_ * payload_bytes(); }
  [[nodiscard]] std::size_t types() const noexcept { return newests() + capacity_ * std::size_t{4}; }
  [[nodiscard]] std::size_t slots() const noexcept { return types() + capacity_; }
  [[nodiscard]] std::uint32_t slot(std::uint32_t cell) const noexcept { return buffer_[slots() + cell]; }
  // First sparse cell whose slot is not below this one.
  [[nodiscard]] std::uint32_t lower_bound(std::uint32_t slot) const noexcept;
  // The same cells in a buffer of another form; dense ones go to their slots.
  void reshape(std::uint32_t capacity, bool wide);

  template <class T>
  [[nodiscard]] T load(std::size_t at) const noexcept {
    T value;
    std::memcpy(&value, buffer_.data() + at, sizeof(T));
    return value;
  }
  template <class T>
  void store(std::size_t at, T value) noexcept {
    std::memcpy(buffer_.data() + at, &value, sizeof(T));
  }
  [[nodiscard]] static std::uint64_t widen(ValueType type, std::uint32_t bits) noexcept {
    if (type != ValueType::kInt) return bits;
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(bits)));
  }

  std::uint16_t capacity_ = 0;
  std::uint16_t count_ = 0;  // of sparse cells
  bool wide_ = false;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace cdp
