#include "store/fact_history.hpp"

#include <array>
#include <cstring>

#include "base/byte_arena.hpp"

namespace cdp {

namespace {

constexpr unsigned kLate = 1, kBefore = 2;
constexpr std::size_t kEntryBytesMax = kFactBodyMax + 40;

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

}  // namespace

std::string_view fact_body(const StoredFact& fact, std::span<char, kFactBodyMax> buffer) noexcept {
  char* at = put_time(buffer.data(), fact.time_ms);
  *at++ = static_cast<char>(fact.state);
  at = put_varint(at, fact.subject);
  for (const FactText& text : fact.texts) {
    const bool is_there = text.value.type != ValueType::kNull;
    *at++ = static_cast<char>(text.field * 2 + (is_there ? 1 : 0));
    if (is_there) at = put_varint(at, text.value.bits);
  }
  return {buffer.data(), static_cast<std::size_t>(at - buffer.data())};
}

std::uint32_t FactHistory::append(std::uint32_t count, std::uint32_t before, std::int64_t latest_ms,
                                  std::int64_t time_ms, std::uint64_t order, std::string_view body) {
  const bool is_late = time_ms < latest_ms;
  std::array<char, kEntryBytesMax> bytes{};
  char* at = bytes.data();
  *at++ = static_cast<char>((is_late ? kLate : 0u) | (before != 0 ? kBefore : 0u));
  at = put_varint(at, count);
  if (before != 0) at = put_varint(at, before);
  at = put_varint(at, order);
  if (is_late) at = put_time(at, latest_ms);
  at = put_varint(at, body.size());
  std::memcpy(at, body.data(), body.size());
  at += body.size();

  const auto words = static_cast<std::uint32_t>((at - bytes.data() + 3) / 4);
  const std::uint32_t room = SegmentedArray<std::uint32_t>::room(used_);
  if (room < words) used_ += room;  // an entry lies in one segment
  std::memcpy(&words_.make(used_), bytes.data(), std::size_t{words} * 4);
  const std::uint32_t place = used_ + 1;
  used_ += words;
  return place;
}

FactEntry FactHistory::read(std::uint32_t place) const noexcept {
  const char* at = reinterpret_cast<const char*>(&words_[place - 1]);
  const auto lead = static_cast<unsigned char>(*at++);
  FactEntry entry;
  std::uint64_t number = 0;
  at = get_varint(at, number);
  entry.count = static_cast<std::uint32_t>(number);
  if ((lead & kBefore) != 0) {
    at = get_varint(at, number);
    entry.before = static_cast<std::uint32_t>(number);
  }
  at = get_varint(at, entry.order);
  std::int64_t latest_ms = 0;
  if ((lead & kLate) != 0) at = get_time(at, latest_ms);
  at = get_varint(at, number);
  entry.body = {at, number};
  const char* const end = at + number;
  at = get_time(at, entry.time_ms);
  entry.latest_ms = (lead & kLate) != 0 ? latest_ms : entry.time_ms;
  entry.state = static_cast<std::uint8_t>(*at++);
  at = get_varint(at, entry.subject);
  entry.texts = {at, static_cast<std::size_t>(end - at)};
  return entry;
}

void read_texts(const FactEntry& entry, std::vector<FactText>& out) {
  const char* at = entry.texts.data();
  const char* const end = at + entry.texts.size();
  while (at != end) {
    const auto lead = static_cast<unsigned char>(*at++);
    FactText text{static_cast<std::uint8_t>(lead / 2), {}};
    if ((lead & 1) != 0) {
      text.value.type = ValueType::kString;
      at = get_varint(at, text.value.bits);
    }
    out.push_back(text);
  }
}

}  // namespace cdp
