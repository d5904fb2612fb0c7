// Pull reader of msgpack over bytes that nobody has checked. It never reads past the end, never recurses and allocates
// nothing: a declared length is believed only when that many bytes are really there, a count only when at least one
// byte an element is. What breaks the structure (an end too early, the byte 0xC1) throws Error(kBadFrame,
// batch.unreadable): behind it no border of any record can be trusted.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/error.hpp"

namespace cdp {

enum class Wire : std::uint8_t { kNil, kBool, kInt, kUint, kFloat, kString, kBinary, kArray, kMap, kExt };

// One header with its scalar. Strings, binary and ext point into the input; of arrays and maps only the count is read.
struct Token {
  Wire wire = Wire::kNil;
  std::int8_t ext_type = 0;
  std::uint32_t count = 0;  // bytes of a string, binary, ext; elements of an array; pairs of a map
  std::uint64_t bits = 0;   // bool, int (two's complement), uint above int64, bits of a double
  const char* data = nullptr;

  [[nodiscard]] std::string_view text() const noexcept { return {data, count}; }
};

class MsgpackReader {
 public:
  explicit MsgpackReader(std::span<const std::byte> bytes) noexcept
      : at_(reinterpret_cast<const std::uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  [[nodiscard]] const std::uint8_t* position() const noexcept { return at_; }
  // REQUIRES: `position` was returned by this reader.
  void seek(const std::uint8_t* position) noexcept { at_ = position; }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  [[nodiscard, gnu::always_inline]] Token next() {
    need(1);
    const std::uint8_t lead = *at_++;
    if (lead < 0x80) return integer(lead);
    if (lead < 0x90) return container(Wire::kMap, lead & 15u);
    if (lead < 0xA0) return container(Wire::kArray, lead & 15u);
    if (lead < 0xC0) return blob(Wire::kString, lead & 31u);
    if (lead >= 0xE0) return integer(static_cast<std::int8_t>(lead));
    return next_long(lead);
  }

  // Passes over one whole value, however deep: only the number of values still to come is kept.
  void skip() {
    std::uint64_t pending = 1;
    while (pending != 0) {
      const Token token = next();
      --pending;
      if (token.wire == Wire::kArray) pending += token.count;
      if (token.wire == Wire::kMap) pending += std::uint64_t{token.count} * 2;
      if (pending > left()) unreadable("the bytes end inside a value");
    }
  }

  [[noreturn, gnu::cold, gnu::noinline]] static void unreadable(const char* what) {
    throw Error(Family::kBadFrame, code::kBatchUnreadable, what);
  }

 private:
  void need(std::size_t count) const {
    if (left() < count) [[unlikely]]
      unreadable("the bytes end inside a value");
  }
  template <class T>
  [[nodiscard]] T big_endian() {
    need(sizeof(T));
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    if constexpr (sizeof value == 2) value = __builtin_bswap16(value);
    if constexpr (sizeof value == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof value == 8) value = __builtin_bswap64(value);
    return value;
  }
  [[nodiscard]] static Token integer(std::int64_t value) noexcept {
    Token token;
    token.wire = Wire::kInt;
    token.bits = static_cast<std::uint64_t>(value);
    return token;
  }
  [[nodiscard]] Token container(Wire wire, std::uint32_t count) const {
    need(wire == Wire::kMap ? std::size_t{count} * 2 : count);
    Token token;
    token.wire = wire;
    token.count = count;
    return token;
  }
  [[nodiscard]] Token blob(Wire wire, std::uint32_t count) {
    need(count);
    Token token;
    token.wire = wire;
    token.count = count;
    token.data = reinterpret_cast<const char*>(at_);
    at_ += count;
    return token;
  }
  [[nodiscard]] Token ext(std::uint32_t count) {
    const auto type = static_cast<std::int8_t>(big_endian<std::uint8_t>());
    Token token = blob(Wire::kExt, count);
    token.ext_type = type;
    return token;
  }
  [[nodiscard]] static Token scalar(Wire wire, std::uint64_t bits) noexcept {
    Token token;
    token.wire = wire;
    token.bits = bits;
    return token;
  }
  [[nodiscard]] Token next_long(std::uint8_t lead) {
    switch (lead) {
      case 0xC0: return scalar(Wire::kNil, 0);
      case 0xC2: return scalar(Wire::kBool, 0);
      case 0xC3: return scalar(Wire::kBool, 1);
      case 0xC4: return blob(Wire::kBinary, big_endian<std::uint8_t>());
      case 0xC5: return blob(Wire::kBinary, big_endian<std::uint16_t>());
      case 0xC6: return blob(Wire::kBinary, big_endian<std::uint32_t>());
      case 0xC7: return ext(big_endian<std::uint8_t>());
      case 0xC8: return ext(big_endian<std::uint16_t>());
      case 0xC9: return ext(big_endian<std::uint32_t>());
      case 0xCA: {
        const double value = std::bit_cast<float>(big_endian<std::uint32_t>());
        return scalar(Wire::kFloat, std::bit_cast<std::uint64_t>(value));
      }
      case 0xCB: return scalar(Wire::kFloat, big_endian<std::uint64_t>());
      case 0xCC: return integer(big_endian<std::uint8_t>());
      case 0xCD: return integer(big_endian<std::uint16_t>());
      case 0xCE: return integer(big_endian<std::uint32_t>());
      case 0xCF: {
        const auto value = big_endian<std::uint64_t>();
        return scalar(value >> 63 == 0 ? Wire::kInt : Wire::kUint, value);
      }
      case 0xD0: return integer(static_cast<std::int8_t>(big_endian<std::uint8_t>()));
      case 0xD1: return integer(static_cast<std::int16_t>(big_endian<std::uint16_t>()));
      case 0xD2: return integer(static_cast<std::int32_t>(big_endian<std::uint32_t>()));
      case 0xD3: return integer(static_cast<std::int64_t>(big_endian<std::uint64_t>()));
      case 0xD4: return ext(1);
      case 0xD5: return ext(2);
      case 0xD6: return ext(4);
      case 0xD7: return ext(8);
      case 0xD8: return ext(16);
      case 0xD9: return blob(Wire::kString, big_endian<std::uint8_t>());
      case 0xDA: return blob(Wire::kString, big_endian<std::uint16_t>());
      case 0xDB: return blob(Wire::kString, big_endian<std::uint32_t>());
      case 0xDC: return container(Wire::kArray, big_endian<std::uint16_t>());
      case 0xDD: return container(Wire::kArray, big_endian<std::uint32_t>());
      case 0xDE: return container(Wire::kMap, big_endian<std::uint16_t>());
      case 0xDF: return container(Wire::kMap, big_endian<std::uint32_t>());
      default: unreadable("a byte that begins no value (0xC1)");
    }
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

}  // namespace cdp
