// One immutable column of a slice: the values of one (property, type), as narrow as they allow.
//
// Dictionary types hold StringIds of the store; the column keeps the distinct ids of this chunk (sorted) and a code a
// row, or the ids themselves when most are distinct. Integers, datetimes and bools hold `base + code`. Floats hold 64 bits.
// A column without `presence` has a value in every row of the slice; otherwise values are those of the rows present,
// in order, and `rank(row)` finds them.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/value.hpp"

namespace cdp {

// Width of a code. Sub-byte codes lie lowest bits first in a byte.
enum class Width : std::uint8_t { k0, k1, k2, k4, k8, k16, k24, k32, k64 };

[[nodiscard]] constexpr unsigned width_bits(Width width) noexcept {
  constexpr unsigned kBits[] = {0, 1, 2, 4, 8, 16, 24, 32, 64};
  return kBits[static_cast<unsigned>(width)];
}

struct Column {
  KeyId key{};
  ValueType type{};
  Width width = Width::k0;
  bool dictionary_coded = false;          // codes index `dictionary`; else dictionary types hold base + code = StringId
  std::uint32_t row_count = 0;            // rows of the slice
  std::uint32_t value_count = 0;          // rows that have a value
  std::uint64_t base = 0;                 // added to a code, modulo 2^64
  std::vector<std::uint8_t> codes;        // value_count codes + 8 bytes of padding
  std::vector<std::uint32_t> dictionary;  // ascending StringIds
  std::vector<std::uint64_t> presence;    // bit a row; empty = all present
  std::vector<std::uint32_t> presence_rank;  // values before each presence word

  [[nodiscard]] bool dense() const noexcept { return presence.empty(); }
  [[nodiscard]] bool has(std::uint32_t row) const noexcept {
    return dense() || ((presence[row >> 6] >> (row & 63)) & 1) != 0;
  }
  // REQUIRES: has(row).
  [[nodiscard]] std::uint32_t rank(std::uint32_t row) const noexcept {
    if (dense()) return row;
    const std::uint64_t below = presence[row >> 6] & ((std::uint64_t{1} << (row & 63)) - 1);
    return presence_rank[row >> 6] + static_cast<std::uint32_t>(__builtin_popcountll(below));
  }
  [[nodiscard]] std::uint64_t code_at(std::uint32_t index) const noexcept {
    const std::uint8_t* at = codes.data();
    switch (width) {
      case Width::k0: return 0;
      case Width::k1: return (at[index >> 3] >> (index & 7)) & 1u;
      case Width::k2: return (at[index >> 2] >> ((index & 3) * 2)) & 3u;
      case Width::k4: return (at[index >> 1] >> ((index & 1) * 4)) & 15u;
      case Width::k8: return at[index];
      case Width::k16: return load<std::uint16_t>(at + std::size_t{index} * 2);
      case Width::k24: return load<std::uint32_t>(at + std::size_t{index} * 3) & 0xFFFFFFu;
      case Width::k32: return load<std::uint32_t>(at + std::size_t{index} * 4);
      case Width::k64: return load<std::uint64_t>(at + std::size_t{index} * 8);
    }
    return 0;
  }
  // Bits of the value of a row that has one: int64, double, bool, datetime, or StringId.
  [[nodiscard]] std::uint64_t bits_at(std::uint32_t row) const noexcept {
    const std::uint64_t code = code_at(rank(row));
    return dictionary_coded ? dictionary[code] : base + code;
  }
  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return sizeof(Column) + codes.capacity() + dictionary.capacity() * 4 + presence.capacity() * 8 +
           presence_rank.capacity() * 4;
  }

 private:
  template <class T>
  static T load(const std::uint8_t* at) noexcept {
    T out;
    std::memcpy(&out, at, sizeof out);
    return out;
  }
};

// Decodes values [first, first + out.size()) of the column's value order (not rows) to their bits. Cost ~0.3 ns a value.
void decode_values(const Column& column, std::uint32_t first, std::span<std::uint64_t> out);
// The codes alone, for predicates and breakdowns that work on codes. REQUIRES: width ≤ 32 bits.
void decode_codes(const Column& column, std::uint32_t first, std::span<std::uint32_t> out);

// The narrowest column that holds `bits` (one per row present) of `row_count` rows. `present` is empty when all are.
[[nodiscard]] Column build_column(KeyId key, ValueType type, std::uint32_t row_count,
                                  std::span<const std::uint64_t> bits, std::span<const std::uint64_t> present);

}  // namespace cdp
