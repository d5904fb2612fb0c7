#include "codec/event_id.hpp"

#include <algorithm>
#include <array>

#include "base/hash.hpp"

namespace cdp {

namespace {

constexpr std::size_t kUuidSize = 36;
constexpr std::uint64_t kTag = 1;
constexpr std::uint64_t kSecondKey = 0x9E3779B97F4A7C15ull;  // any constant: makes the second hash another one

constexpr std::array<std::int8_t, 256> make_hex_digits() {
  std::array<std::int8_t, 256> digits{};
  digits.fill(-1);
  for (int digit = 0; digit < 10; ++digit)
    digits[static_cast<std::size_t>('0' + digit)] = static_cast<std::int8_t>(digit);
  for (int digit = 0; digit < 6; ++digit) {
    digits[static_cast<std::size_t>('a' + digit)] = static_cast<std::int8_t>(10 + digit);
    digits[static_cast<std::size_t>('A' + digit)] = static_cast<std::int8_t>(10 + digit);
  }
  return digits;
}
constexpr std::array<std::int8_t, 256> kHexDigits = make_hex_digits();

constexpr bool is_dash_place(std::size_t at) noexcept { return at == 8 || at == 13 || at == 18 || at == 23; }

bool parse_uuid(std::string_view text, std::uint64_t& high, std::uint64_t& low) noexcept {
  if (text.size() != kUuidSize) return false;
  std::array<std::uint64_t, 2> words{};
  std::size_t digits = 0;
  int bad = 0;
  for (std::size_t at = 0; at < kUuidSize; ++at) {
    if (is_dash_place(at)) {
      bad |= text[at] != '-';
      continue;
    }
    const std::int8_t digit = kHexDigits[static_cast<unsigned char>(text[at])];
    bad |= digit < 0;
    words[digits >> 4] = words[digits >> 4] << 4 | static_cast<std::uint64_t>(digit & 15);
    ++digits;
  }
  high = words[0], low = words[1];
  return bad == 0;
}

EventKey hashed(std::string_view text, std::uint64_t hash_key) noexcept {
  EventKey key{hash_bytes(text, hash_key ^ kSecondKey), hash_bytes(text, hash_key) & ~kTag};
  if (key.low == 0 && key.high == 0) key.low = 1;
  return key;
}

}  // namespace

EventKey event_key(std::string_view text, std::uint64_t hash_key) noexcept {
  std::uint64_t high = 0, low = 0;
  if (!parse_uuid(text, high, low)) return hashed(text, hash_key);
  if (low >> 62 == 0b10) return {(low & ~(std::uint64_t{1} << 63)) | (high & kTag) << 63, high | kTag};
  std::array<char, kUuidSize> lower;
  std::transform(text.begin(), text.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  return hashed({lower.data(), lower.size()}, hash_key);
}

}  // namespace cdp
