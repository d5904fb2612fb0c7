// Appends msgpack in its smallest forms, so that equal values give equal bytes: the canonical bytes of lists.
// Floats are always 64 bits; a datetime is a timestamp of 32 bits when it is whole seconds, else of 64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cdp {

class MsgpackWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit MsgpackWriter(std::string& out) noexcept : out_(out) {}

  void nil() { byte(0xC0); }
  void boolean(bool value) { byte(value ? 0xC3 : 0xC2); }
  void integer(std::int64_t value) {
    if (value < 0) return negative(value);
    const auto bits = static_cast<std::uint64_t>(value);
    if (bits < 0x80) return byte(static_cast<std::uint8_t>(bits));
    if (bits <= 0xFF) return number(0xCC, bits, 1);
    if (bits <= 0xFFFF) return number(0xCD, bits, 2);
    if (bits <= 0xFFFF'FFFF) return number(0xCE, bits, 4);
    number(0xCF, bits, 8);
  }
  void unsigned_integer(std::uint64_t value) { number(0xCF, value, 8); }  // of a value beyond int64
  void float_bits(std::uint64_t bits) { number(0xCB, bits, 8); }
  void string(std::string_view text) {
    const std::uint64_t size = text.size();
    if (size < 32) {
      byte(static_cast<std::uint8_t>(0xA0 | size));
    } else if (size <= 0xFF) {
      number(0xD9, size, 1);
    } else if (size <= 0xFFFF) {
      number(0xDA, size, 2);
    } else {
      number(0xDB, size, 4);
    }
    out_.append(text);
  }
  // REQUIRES: 0 <= ms, seconds below 2^34.
  void datetime(std::int64_t ms) {
    const auto seconds = static_cast<std::uint64_t>(ms / 1000), rest = static_cast<std::uint64_t>(ms % 1000);
    if (rest == 0 && seconds <= 0xFFFF'FFFF) {
      byte(0xD6);
      return number(0xFF, seconds, 4);
    }
    byte(0xD7);
    number(0xFF, (rest * 1'000'000) << 34 | seconds, 8);
  }
  void array(std::uint32_t count) { container(count, 0x90, 0xDC); }
  void map(std::uint32_t count) { container(count, 0x80, 0xDE); }

 private:
  void byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void number(std::uint8_t lead, std::uint64_t value, int size) {
    byte(lead);
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) byte(static_cast<std::uint8_t>(value >> shift));
  }
  void negative(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    if (value >= -32) return byte(static_cast<std::uint8_t>(value));
    if (value >= INT8_MIN) return number(0xD0, bits & 0xFF, 1);
    if (value >= INT16_MIN) return number(0xD1, bits & 0xFFFF, 2);
    if (value >= INT32_MIN) return number(0xD2, bits & 0xFFFF'FFFF, 4);
    number(0xD3, bits, 8);
  }
  void container(std::uint32_t count, std::uint8_t fixed, std::uint8_t wide) {
    if (count < 16) return byte(static_cast<std::uint8_t>(fixed | count));
    if (count <= 0xFFFF) return number(wide, count, 2);
    number(static_cast<std::uint8_t>(wide + 1), count, 4);
  }

  std::string& out_;
};

}  // namespace cdp
