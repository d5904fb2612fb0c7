// Digests of bytes. `digest_bytes` (XXH3-128, 4-10 GB/s) finds damage in files; it is no defence against a forger, who
// must not be able to write to the data directory at all. `Sha256` is for the store's state digest, compared between
// machines and builds.
//
// Both come from Boost.Hash2, checked byte for byte against xxhash 0.8 and the FIPS 180-4 vectors in the test.
#pragma once

#include <array>
#include <boost/hash2/sha2.hpp>
#include <boost/hash2/xxh3.hpp>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace cdp {

struct Digest128 {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const Digest128&, const Digest128&) = default;
};
static_assert(sizeof(Digest128) == 16);

[[nodiscard]] inline Digest128 digest_bytes(std::span<const std::byte> bytes) {
  boost::hash2::xxh3_128 hash;
  hash.update(bytes.data(), bytes.size());
  const auto result = hash.result();
  Digest128 digest;
  static_assert(sizeof(result) == sizeof(digest.bytes));
  std::memcpy(digest.bytes.data(), result.data(), digest.bytes.size());
  return digest;
}

[[nodiscard]] inline std::string hex_of(std::span<const std::uint8_t> bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) text += kDigits[byte >> 4], text += kDigits[byte & 15];
  return text;
}

class Sha256 {
 public:
  void update(std::span<const std::byte> bytes) { hash_.update(bytes.data(), bytes.size()); }
  // Call once, last.
  [[nodiscard]] std::array<std::uint8_t, 32> finish() {
    const auto result = hash_.result();
    std::array<std::uint8_t, 32> digest{};
    static_assert(sizeof(result) == sizeof(digest));
    std::memcpy(digest.data(), result.data(), digest.size());
    return digest;
  }

 private:
  boost::hash2::sha2_256 hash_;
};

}  // namespace cdp
