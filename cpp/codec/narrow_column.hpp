// Integer columns of codec 1: each value minus the smallest, in as few whole bytes as the largest difference needs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/error.hpp"

namespace cdp {

// Whole bytes that hold `range`: 0 to 8.
[[nodiscard]] constexpr std::uint8_t narrow_bytes(std::uint64_t range) noexcept {
  return static_cast<std::uint8_t>((64 - static_cast<unsigned>(__builtin_clzll(range | 1)) + 7) / 8 * (range != 0));
}
[[nodiscard]] constexpr std::uint64_t narrow_mask(std::uint8_t bytes) noexcept {
  return bytes == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << bytes * 8) - 1;
}

// Appends to bytes that grow by doubling. A code is stored as 8 bytes of which the next one overwrites the rest, so there
// is always room for 8 more behind the end; `finish` cuts it off.
class NarrowWriter {
 public:
  explicit NarrowWriter(std::vector<std::byte>& out) : out_(out), size_(out.size()) {}

  void finish() { out_.resize(size_); }
  // Room for `count` bytes to come.
  void reserve(std::size_t count) {
    if (size_ + count + 8 > out_.size()) out_.resize(std::max(out_.size() * 2, size_ + count + 8));
  }
  template <class T>
  void number(T value) {
    reserve(sizeof value);
    std::memcpy(out_.data() + size_, &value, sizeof value);
    size_ += sizeof value;
  }
  void bytes(const void* data, std::size_t count) {
    reserve(count);
    if (count != 0) std::memcpy(out_.data() + size_, data, count);
    size_ += count;
  }
  // `count` bytes that the caller fills in order, 8 at a time: each store may run over into the next, the last one over
  // the end. Valid until the next call.
  [[nodiscard]] std::byte* claim(std::size_t count) {
    reserve(count);
    std::byte* const at = out_.data() + size_;
    size_ += count;
    return at;
  }

  // A column of `count` values, value_at(index) each.
  template <class ValueAt>
  void column(std::size_t count, const ValueAt& value_at) {
    if (count == 0) return;
    std::uint64_t low = value_at(0), high = low;
    for (std::size_t index = 1; index < count; ++index) {
      const std::uint64_t value = value_at(index);
      low = std::min(low, value);
      high = std::max(high, value);
    }
    const std::uint8_t width = narrow_bytes(high - low);
    number(low);
    number(width);
    reserve(count * width);
    std::byte* at = out_.data() + size_;
    for (std::size_t index = 0; index < count; ++index, at += width) {
      const std::uint64_t code = value_at(index) - low;
      std::memcpy(at, &code, 8);
    }
    size_ += count * width;
  }
  template <class T>
  void column(const std::vector<T>& values) {
    column(values.size(), [&](std::size_t index) { return static_cast<std::uint64_t>(values[index]); });
  }

 private:
  std::vector<std::byte>& out_;
  std::size_t size_;
};

// Reads what NarrowWriter wrote, from bytes that may be damaged: every length is checked before it is used.
class NarrowReader {
 public:
  explicit NarrowReader(std::span<const std::byte> bytes) noexcept : at_(bytes.data()), end_(at_ + bytes.size()) {}

  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  [[noreturn, gnu::cold, gnu::noinline]] static void corrupt(const char* what) {
    throw Error(Family::kCorruption, code::kLogCorrupt, what);
  }

  template <class T>
  [[nodiscard]] T number() {
    T value;
    std::memcpy(&value, bytes(sizeof value), sizeof value);
    return value;
  }
  [[nodiscard]] const std::byte* bytes(std::size_t count) {
    if (left() < count) corrupt("a canonical batch ends early");
    const std::byte* const begin = at_;
    at_ += count;
    return begin;
  }
  // A count of things, at most `most`.
  [[nodiscard]] std::uint32_t count(std::size_t most) {
    const auto value = number<std::uint32_t>();
    if (value > most) corrupt("a count of a canonical batch is out of range");
    return value;
  }
  [[nodiscard]] std::uint8_t width() {
    const auto value = number<std::uint8_t>();
    if (value > 8) corrupt("a width of a canonical batch is out of range");
    return value;
  }

  // Calls set(index, value) for each of `count` values.
  template <class Set>
  void column(std::size_t count, const Set& set) {
    if (count == 0) return;
    const auto base = number<std::uint64_t>();
    const std::uint8_t width = this->width();
    const std::byte* at = bytes(count * width);
    const std::uint64_t mask = narrow_mask(width);
    const std::size_t whole = whole_loads(at, count, width);
    for (std::size_t index = 0; index < whole; ++index, at += width) {
      std::uint64_t code;
      std::memcpy(&code, at, 8);
      set(index, base + (code & mask));
    }
    for (std::size_t index = whole; index < count; ++index, at += width) {
      std::uint64_t code = 0;
      std::memcpy(&code, at, width);
      set(index, base + code);
    }
  }
  template <class T>
  void column(std::vector<T>& out, std::size_t count) {
    out.resize(count);
    column(count, [&](std::size_t index, std::uint64_t value) {
      if (static_cast<std::uint64_t>(static_cast<T>(value)) != value)
        corrupt("a value of a canonical batch is out of range");
      out[index] = static_cast<T>(value);
    });
  }

 private:
  // How many of the codes from `at` on may be loaded as 8 bytes without running over the end.
  [[nodiscard]] std::size_t whole_loads(const std::byte* at, std::size_t count, std::uint8_t width) const noexcept {
    const auto room = static_cast<std::size_t>(end_ - at);
    if (room < 8) return 0;
    return width == 0 ? count : std::min(count, (room - 8) / width + 1);
  }

  const std::byte* at_;
  const std::byte* end_;
};

}  // namespace cdp
