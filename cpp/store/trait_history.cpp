#include "store/trait_history.hpp"

#include <array>
#include <cstring>

#include "base/byte_arena.hpp"

namespace cdp {

namespace {

constexpr unsigned kLate = 64, kBefore = 128;
constexpr std::size_t kEntryBytesMax = 64;

char* put_time(char* at, std::int64_t time_ms) noexcept {
  std::memcpy(at, &time_ms, 6);
  return at + 6;
}
const char* get_time(const char* at, std::int64_t& time_ms) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, at, 6);
  time_ms = static_cast<std::int64_t>(bits << 16) >> 16;
  return at + 6;
}

char* put_value(char* at, const Value& value) noexcept {
  switch (value.type) {
    case ValueType::kNull: return at;
    case ValueType::kFloat: std::memcpy(at, &value.bits, 8); return at + 8;
    case ValueType::kInt:
    case ValueType::kDatetime:
      return put_varint(at, value.bits << 1 ^ static_cast<std::uint64_t>(value.as_int() >> 63));
    case ValueType::kBool:
    case ValueType::kString:
    case ValueType::kList:
    case ValueType::kItems: break;
  }
  return put_varint(at, value.bits);
}

[[nodiscard]] std::uint64_t get_bits(const char* at, ValueType type) noexcept {
  std::uint64_t bits = 0;
  if (type == ValueType::kNull) return 0;
  if (type == ValueType::kFloat) {
    std::memcpy(&bits, at, 8);
    return bits;
  }
  get_varint(at, bits);
  if (type == ValueType::kInt || type == ValueType::kDatetime) return bits >> 1 ^ (~(bits & 1) + 1);
  return bits;
}

}  // namespace

std::uint32_t TraitHistory::append(const HistoryEntry& entry) {
  std::array<char, kEntryBytesMax> bytes{};
  char* at = bytes.data();
  *at++ = static_cast<char>(static_cast<unsigned>(entry.kind) | static_cast<unsigned>(entry.value.type) << 3 |
                            (entry.late ? kLate : 0) | (entry.before != 0 ? kBefore : 0));
  at = put_varint(at, entry.count);
  if (entry.before != 0) at = put_varint(at, entry.before);
  at = put_time(at, entry.time_ms);
  at = put_varint(at, entry.order);
  if (entry.late) at = put_time(at, entry.latest_ms);
  at = put_value(at, entry.value);

  const auto words = static_cast<std::uint32_t>((at - bytes.data() + 3) / 4);
  const std::uint32_t room = SegmentedArray<std::uint32_t>::room(used_);
  if (room < words) used_ += room;  // an entry lies in one segment
  std::memcpy(&words_.make(used_), bytes.data(), std::size_t{words} * 4);
  const std::uint32_t place = used_ + 1;
  used_ += words;
  return place;
}

HistoryEntry TraitHistory::read(std::uint32_t place) const noexcept {
  const char* at = reinterpret_cast<const char*>(&words_[place - 1]);
  const auto lead = static_cast<unsigned char>(*at++);
  HistoryEntry entry;
  entry.kind = static_cast<TraitKind>(lead & 7);
  entry.value.type = static_cast<ValueType>(lead >> 3 & 7);
  std::uint64_t number = 0;
  at = get_varint(at, number);
  entry.count = static_cast<std::uint32_t>(number);
  if ((lead & kBefore) != 0) {
    at = get_varint(at, number);
    entry.before = static_cast<std::uint32_t>(number);
  }
  at = get_time(at, entry.time_ms);
  at = get_varint(at, entry.order);
  entry.late = (lead & kLate) != 0;
  entry.latest_ms = entry.time_ms;
  if (entry.late) at = get_time(at, entry.latest_ms);
  entry.value.bits = get_bits(at, entry.value.type);
  return entry;
}

}  // namespace cdp
