#include "codec/value_decoder.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>
#include <vector>

#include "base/utf8.hpp"
#include "codec/canonical_codec.hpp"
#include "codec/msgpack_writer.hpp"

namespace cdp {

namespace {

constexpr std::string_view kTimeExpected = "a time from 1973-01-01 to 2100-01-01, in milliseconds since 1970 UTC";
constexpr std::string_view kListExpected = "a list of scalars, or a list of maps";

bool in_range(std::int64_t ms) noexcept { return ms >= limits::kTimeMinMs && ms <= limits::kTimeMaxMs; }

std::uint64_t load_big_endian(const char* at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t index = 0; index < size; ++index) value = value << 8 | static_cast<unsigned char>(at[index]);
  return value;
}

// msgpack's timestamp, ext -1 of 4, 8 or 12 bytes; the rest below a millisecond is cut towards minus infinity.
bool decode_timestamp(DecodeContext& context, const Token& token, std::int64_t& ms) {
  if (token.ext_type != -1) return context.fail(code::kValueExt, "", token, "no ext but the timestamp (-1)");
  std::uint64_t nanoseconds = 0;
  std::int64_t seconds = 0;
  if (token.count == 4) {
    seconds = static_cast<std::int64_t>(load_big_endian(token.data, 4));
  } else if (token.count == 8) {
    const std::uint64_t both = load_big_endian(token.data, 8);
    nanoseconds = both >> 34;
    seconds = static_cast<std::int64_t>(both & ((std::uint64_t{1} << 34) - 1));
  } else if (token.count == 12) {
    nanoseconds = load_big_endian(token.data, 4);
    seconds = static_cast<std::int64_t>(load_big_endian(token.data + 4, 8));
  } else {
    return context.fail(code::kValueDatetime, "", token, "a timestamp of 4, 8 or 12 bytes");
  }
  if (nanoseconds > 999'999'999) return context.fail(code::kValueDatetime, "", token, "at most 999999999 nanoseconds");
  constexpr std::int64_t kSecondsMax = limits::kTimeMaxMs / 1000 + 1;
  if (seconds < 0 || seconds > kSecondsMax) return context.fail(code::kTimeOutOfRange, "", token, kTimeExpected);
  ms = seconds * 1000 + static_cast<std::int64_t>(nanoseconds / 1'000'000);
  return in_range(ms) || context.fail(code::kTimeOutOfRange, "", std::to_string(ms), kTimeExpected);
}

bool check_float(DecodeContext& context, const Token& token, std::uint64_t& bits) {
  const auto value = std::bit_cast<double>(token.bits);
  if (!std::isfinite(value)) return context.fail(code::kValueFloatNotFinite, "", token, "a finite number");
  bits = value == 0.0 ? 0 : token.bits;  // -0.0 is 0.0
  return true;
}

bool check_string_length(DecodeContext& context, const Token& token) {
  if (token.count <= limits::kStringBytes) return true;
  return context.fail(code::kValueStringLength, "", token, "at most 4096 bytes");
}

bool check_utf8(DecodeContext& context, const Token& token) {
  return is_utf8(token.text()) || context.fail(code::kValueStringUtf8, "", token, "a string of valid UTF-8");
}

bool refuse_wire(DecodeContext& context, const Token& token) {
  if (token.wire == Wire::kUint) {
    return context.fail(code::kValueIntRange, "", token, "an integer from -2^63 to 2^63-1");
  }
  return context.fail(code::kValueBinary, "", token, "a string, not binary");
}

bool decode_string(DecodeContext& context, const Token& token, std::uint64_t& bits) {
  const std::string_view text = token.text();
  const std::uint64_t hash = context.strings.hash(text);
  std::uint32_t index = context.strings.find_text(text, hash);
  if (index == kNone) [[unlikely]] {
    if (!check_string_length(context, token) || !check_utf8(context, token)) return false;
    index = context.strings.add_text(text, hash);
  }
  bits = index;
  return true;
}

// --- lists: canonical bytes are written while they are read

bool check_list_bytes(DecodeContext& context, std::size_t size) {
  return size <= kListBytesMax ||
         context.fail(code::kRecordTooLarge, "", std::to_string(size), "a list of at most 131072 bytes, keys dotted");
}

bool write_list(DecodeContext& context, std::string& out, std::uint32_t count, std::size_t depth, ValueType& type);

bool write_time(std::string& out, std::int64_t ms) {
  MsgpackWriter(out).datetime(ms);
  return true;
}

// A value within a list that is no map and no list.
bool write_scalar(DecodeContext& context, std::string& out, const Token& token) {
  MsgpackWriter writer(out);
  std::uint64_t bits = 0;
  std::int64_t ms = 0;
  switch (token.wire) {
    case Wire::kNil: writer.nil(); return true;
    case Wire::kBool: writer.boolean(token.bits != 0); return true;
    case Wire::kInt: writer.integer(static_cast<std::int64_t>(token.bits)); return true;
    case Wire::kFloat:
      if (!check_float(context, token, bits)) return false;
      writer.float_bits(bits);
      return true;
    case Wire::kString:
      if (!check_string_length(context, token) || !check_utf8(context, token)) return false;
      writer.string(token.text());
      return true;
    case Wire::kExt: return decode_timestamp(context, token, ms) && write_time(out, ms);
    case Wire::kMap: return decode_time_value(context, ms) && write_time(out, ms);  // REQUIRES: is_time_map
    default: return refuse_wire(context, token);
  }
}

// One object of a list: nested maps flattened, keys in bytewise order.
bool write_item(DecodeContext& context, std::string& out, std::uint32_t count, std::size_t depth) {
  struct Entry {
    std::string key;
    std::string bytes;
  };
  std::vector<Entry> entries;
  std::string path;
  std::size_t size = 0;
  const auto on_leaf = [&](const std::string& key, const Token& token, std::size_t level) {
    Entry& entry = entries.emplace_back(Entry{key, {}});
    ValueType type;
    const bool read = token.wire == Wire::kArray ? write_list(context, entry.bytes, token.count, level + 1, type)
                                                 : write_scalar(context, entry.bytes, token);
    size += key.size() + entry.bytes.size();
    return read && check_list_bytes(context, size);
  };
  if (!walk_map(context, count, depth, path, on_leaf)) return false;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.key < b.key; });
  MsgpackWriter writer(out);
  writer.map(static_cast<std::uint32_t>(entries.size()));
  for (const Entry& entry : entries) {
    writer.string(entry.key);
    out += entry.bytes;
  }
  return true;
}

bool write_element(DecodeContext& context, std::string& out, const Token& token, bool item, std::size_t depth) {
  if (item) return write_item(context, out, token.count, depth + 1);
  return write_scalar(context, out, token);
}

bool write_list(DecodeContext& context, std::string& out, std::uint32_t count, std::size_t depth, ValueType& type) {
  if (depth > limits::kDepth) return context.fail(code::kRecordTooDeep, "", "", "at most 8 levels of maps and lists");
  type = ValueType::kList;
  MsgpackWriter(out).array(count);
  for (std::uint32_t index = 0; index < count; ++index) {
    const Token token = context.reader.next();
    const bool item = token.wire == Wire::kMap && !is_time_map(context, token);
    if (index == 0 && item) type = ValueType::kItems;
    if (token.wire == Wire::kArray || item != (type == ValueType::kItems)) {
      context.fail(code::kValueListMixed, "", token, kListExpected);
      return context.under(index);
    }
    if (!write_element(context, out, token, item, depth) || !check_list_bytes(context, out.size())) {
      return context.under(index);
    }
  }
  return true;
}

bool decode_list(DecodeContext& context, std::uint32_t count, std::size_t depth, Value& out) {
  context.list_bytes.clear();
  if (!write_list(context, context.list_bytes, count, depth, out.type)) return false;
  out.bits = context.strings.intern_list(context.list_bytes);
  return true;
}

}  // namespace

bool decode_value(DecodeContext& context, const Token& token, std::size_t depth, Value& out) {
  std::int64_t ms = 0;
  switch (token.wire) {
    case Wire::kString: out.type = ValueType::kString; return decode_string(context, token, out.bits);
    case Wire::kInt: out = {ValueType::kInt, token.bits}; return true;
    case Wire::kBool: out = {ValueType::kBool, token.bits}; return true;
    case Wire::kNil: out = {ValueType::kNull, 0}; return true;
    case Wire::kFloat: out.type = ValueType::kFloat; return check_float(context, token, out.bits);
    case Wire::kArray: return decode_list(context, token.count, depth + 1, out);
    case Wire::kExt:
      if (!decode_timestamp(context, token, ms)) return false;
      out = {ValueType::kDatetime, static_cast<std::uint64_t>(ms)};
      return true;
    case Wire::kMap:
      if (!decode_time_value(context, ms)) return false;
      out = {ValueType::kDatetime, static_cast<std::uint64_t>(ms)};
      return true;
    default: return refuse_wire(context, token);
  }
}

bool is_time_map(DecodeContext& context, const Token& map) {
  if (map.count != 1) return false;
  const std::uint8_t* const before = context.reader.position();
  const Token key = context.reader.next();
  if (key.wire == Wire::kString && key.text() == kTimeKey) return true;
  context.reader.seek(before);
  return false;
}

bool decode_time_value(DecodeContext& context, std::int64_t& ms) {
  const Token token = context.reader.next();
  if (token.wire != Wire::kInt && token.wire != Wire::kUint) {
    return context.fail(code::kValueDatetime, "", token, "{\"$time\": milliseconds}");
  }
  return decode_time(context, token, "", ms);
}

bool decode_time(DecodeContext& context, const Token& token, std::string_view path, std::int64_t& ms) {
  if (token.wire != Wire::kInt && token.wire != Wire::kUint) {
    return context.fail(code::kRecordFieldType, path, token, "an integer of milliseconds since 1970 UTC");
  }
  ms = static_cast<std::int64_t>(token.bits);
  return (token.wire == Wire::kInt && in_range(ms)) || context.fail(code::kTimeOutOfRange, path, token, kTimeExpected);
}

}  // namespace cdp
