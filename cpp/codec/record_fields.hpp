// The fields of a record's map, in any order: known ones once each, unknown ones refused (a typing error must not lose
// data silently).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/equal_bytes.hpp"
#include "codec/decode_context.hpp"

namespace cdp {

// Calls on_field(index) with the value next in the reader, for each of the `count` pairs of the record's map; `index`
// counts in `names`, of which the first is "type". `seen` gets a bit a field. REQUIRES: names.size() <= 32.
template <class OnField>
bool read_fields(DecodeContext& context, std::uint32_t count, std::span<const std::string_view> names,
                 std::uint32_t& seen, const OnField& on_field) {
  seen = context.type_is_read ? 1 : 0;
  std::uint32_t index = context.type_is_read ? 0 : static_cast<std::uint32_t>(names.size()) - 1;
  for (std::uint32_t pair = 0; pair < count; ++pair) {
    const Token key = context.reader.next();
    if (key.wire != Wire::kString) return context.fail(code::kKeyNotString, "", key, "a string as key");
    std::size_t tried = 0;  // senders keep to one order: the next name is nearly always the one
    do {
      index = index + 1 == names.size() ? 0 : index + 1;
      if (names[index].size() == key.count && equal_bytes(names[index].data(), key.data, key.count)) break;
    } while (++tried < names.size());
    if (tried == names.size()) {
      return context.fail(code::kRecordFieldUnknown, readable(key), readable(context.reader.next()),
                          "a field of this type of record");
    }
    if ((seen >> index & 1) != 0) return context.fail(code::kKeyDuplicate, "", key, "every key at most once");
    seen |= 1u << index;
    if (!on_field(index)) return false;
  }
  return true;
}

// The time of a record: that given, or the received time when it is missing or a little ahead of it.
struct RecordTime {
  std::int64_t given_ms = 0;
  bool is_given = false;

  [[nodiscard]] bool is_snapped(std::int64_t received_ms) const noexcept {
    return is_given && given_ms > received_ms && given_ms - received_ms <= limits::kFutureSnapMs;
  }
  [[nodiscard]] std::int64_t time_ms(std::int64_t received_ms) const noexcept {
    return !is_given || is_snapped(received_ms) ? received_ms : given_ms;
  }
};

bool read_time(DecodeContext& context, RecordTime& time);

}  // namespace cdp
