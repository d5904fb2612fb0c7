// Keyed hashes: nobody outside can choose what collides. `key` is the store's own random 64 bits (MANIFEST).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace cdp {

namespace detail {
[[nodiscard]] inline std::uint64_t fold_multiply(std::uint64_t left, std::uint64_t right) noexcept {
  const unsigned __int128 product = static_cast<unsigned __int128>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
// The `count` ≤ 8 bytes at `at` as a little-endian word, by overlapping loads (a memcpy of unknown size is a call).
[[nodiscard]] inline std::uint64_t load_tail(const char* at, std::size_t count) noexcept {
  if (count >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    return word;
  }
  if (count >= 4) {
    std::uint32_t first, last;
    std::memcpy(&first, at, 4);
    std::memcpy(&last, at + count - 4, 4);
    return first | std::uint64_t{last} << (count - 4) * 8;
  }
  if (count == 0) return 0;
  const auto byte = [at](std::size_t index) {
    return std::uint64_t{static_cast<unsigned char>(at[index])} << index * 8;
  };
  return byte(0) | byte(count >> 1) | byte(count - 1);
}
}  // namespace detail

// Folded multiplication over 16-byte steps, seeded by the key. ~3 ns for 16 bytes. For tables; never a digest of files.
[[nodiscard]] inline std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t key) noexcept {
  constexpr std::uint64_t kMixA = 0xA0761D6478BD642Full, kMixB = 0xE7037ED1A0B428DBull;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t state = key ^ detail::fold_multiply(key ^ kMixA, bytes.size() ^ kMixB);
  while (left > 16) {
    std::uint64_t first, second;
    std::memcpy(&first, at, 8);
    std::memcpy(&second, at + 8, 8);
    state = detail::fold_multiply(first ^ kMixA, second ^ state);
    at += 16, left -= 16;
  }
  const std::uint64_t first = detail::load_tail(at, left < 8 ? left : 8);
  const std::uint64_t second = left > 8 ? detail::load_tail(at + 8, left - 8) : 0;
  return detail::fold_multiply(first ^ kMixB ^ key, detail::fold_multiply(second ^ kMixA, state));
}

[[nodiscard]] inline std::uint64_t hash_identity(std::string_view kind, std::string_view value,
                                                 std::uint64_t key) noexcept {
  return hash_bytes(value, key ^ hash_bytes(kind, key));
}

}  // namespace cdp
