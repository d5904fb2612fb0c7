#include "store/trait_history.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/byte_arena.hpp"

namespace cdp {

namespace {

constexpr unsigned kLate = 64, kBefore = 128;
constexpr std::size_t kEntryBytesMax = 64;

[[nodiscard]] std::uint64_t zigzag(std::int64_t value) noexcept {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
[[nodiscard]] std::uint64_t unzigzag(std::uint64_t bits) noexcept { return bits >> 1 ^ (~(bits & 1) + 1); }

char* put_value(char* at, const Value& value) noexcept {
  switch (value.type) {
    case ValueType::kNull: return at;
    case ValueType::kFloat: std::memcpy(at, &value.bits, 8); return at + 8;
    case ValueType::kInt:
    case ValueType::kDatetime: return put_varint(at, zigzag(value.as_int()));
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
  return type == ValueType::kInt || type == ValueType::kDatetime ? unzigzag(bits) : bits;
}

}  // namespace

// Blocks are the segments of `words_`, larger ones cut: so what lies in one block lies in one piece.
std::uint32_t TraitHistory::block_first(std::uint32_t word) noexcept {
  if (word >= kBlockWords) return word & ~(kBlockWords - 1);
  return word < SegmentedArray<std::uint32_t>::kFirst ? 0 : std::bit_floor(word);
}

std::uint32_t TraitHistory::block_end(std::uint32_t word) noexcept {
  const std::uint32_t first = block_first(word);
  return first + std::min(kBlockWords, SegmentedArray<std::uint32_t>::room(first));
}

TraitHistory::Base TraitHistory::base_of(std::uint32_t word) const noexcept {
  Base base{};
  std::memcpy(&base, &words_[block_first(word)], sizeof base);
  return base;
}

std::uint32_t TraitHistory::append(const HistoryEntry& entry) {
  static_assert(sizeof(Base) == std::size_t{kBaseWords} * 4);
  const auto begins_block = [&] {
    const Base base{entry.time_ms, entry.order};
    std::memcpy(&words_.make(used_), &base, sizeof base);
    used_ += kBaseWords;
  };
  std::array<char, kEntryBytesMax> bytes{};
  const auto put = [&] {
    const Base base = base_of(used_);
    char* at = bytes.data();
    *at++ = static_cast<char>(static_cast<unsigned>(entry.kind) | static_cast<unsigned>(entry.value.type) << 3 |
                              (entry.late ? kLate : 0) | (entry.before != 0 ? kBefore : 0));
    if (entry.before != 0) {
      at = put_varint(at, entry.count);
      at = put_varint(at, entry.before);
    }
    at = put_varint(at, zigzag(entry.time_ms - base.time_ms));
    at = put_varint(at, zigzag(static_cast<std::int64_t>(entry.order - base.order)));
    if (entry.late) at = put_varint(at, static_cast<std::uint64_t>(entry.latest_ms - entry.time_ms));
    at = put_value(at, entry.value);
    return static_cast<std::uint32_t>((at - bytes.data() + 3) / 4);
  };
  if (block_first(used_) == used_) begins_block();
  std::uint32_t words = put();
  if (const std::uint32_t end = block_end(used_); end - used_ < words) {
    used_ = end;
    begins_block();
    bytes.fill(0);
    words = put();
  }
  std::memcpy(&words_.make(used_), bytes.data(), std::size_t{words} * 4);
  const std::uint32_t place = used_ + 1;
  used_ += words;
  return place;
}

HistoryEntry TraitHistory::read(std::uint32_t place) const noexcept {
  const Base base = base_of(place - 1);
  const char* at = reinterpret_cast<const char*>(&words_[place - 1]);
  const auto lead = static_cast<unsigned char>(*at++);
  HistoryEntry entry;
  entry.kind = static_cast<TraitKind>(lead & 7);
  entry.value.type = static_cast<ValueType>(lead >> 3 & 7);
  entry.count = 1;
  std::uint64_t number = 0;
  if ((lead & kBefore) != 0) {
    at = get_varint(at, number);
    entry.count = static_cast<std::uint32_t>(number);
    at = get_varint(at, number);
    entry.before = static_cast<std::uint32_t>(number);
  }
  at = get_varint(at, number);
  entry.time_ms = base.time_ms + static_cast<std::int64_t>(unzigzag(number));
  at = get_varint(at, number);
  entry.order = base.order + unzigzag(number);
  entry.late = (lead & kLate) != 0;
  entry.latest_ms = entry.time_ms;
  if (entry.late) {
    at = get_varint(at, number);
    entry.latest_ms = entry.time_ms + static_cast<std::int64_t>(number);
  }
  entry.value.bits = get_bits(at, entry.value.type);
  return entry;
}

}  // namespace cdp
