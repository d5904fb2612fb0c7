// One value of a property or trait: scalars, datetimes, lists. Maps belong to the caller, which flattens them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "base/value.hpp"
#include "codec/decode_context.hpp"

namespace cdp {

inline constexpr std::string_view kTimeKey = "$time";  // {"$time": ms} is a datetime

// A scalar, a datetime or a list whose header `token` was just read; `depth` is that of the map that holds it. A map
// must be offered to `decode_time_map` first. Strings enter the batch's dictionary.
bool decode_value(DecodeContext& context, const Token& token, std::size_t depth, Value& out);

// Whether the map of header `map`, just read, is {"$time": ..}: then its key has been read, and `decode_time_value`
// reads the rest. Otherwise nothing has been read.
[[nodiscard]] bool is_time_map(DecodeContext& context, const Token& map);
bool decode_time_value(DecodeContext& context, std::int64_t& ms);

// An integer of milliseconds within 1973 to 2100.
bool decode_time(DecodeContext& context, const Token& token, std::string_view path, std::int64_t& ms);

// Calls on_leaf(path, token, depth) for each value of a map of `count` pairs that is no map itself (of a {"$time"} map
// the key has been read: decode_value does the rest). An empty map is nothing. Keys are checked, also for repeats.
// Recurses to limits::kDepth at most; `depth` is that of this map, `path` may hold a prefix and is restored.
template <class OnLeaf>
bool walk_map(DecodeContext& context, std::uint32_t count, std::size_t depth, std::string& path,
              const OnLeaf& on_leaf) {
  if (depth > limits::kDepth) return context.fail(code::kRecordTooDeep, "", "", "at most 8 levels of maps and lists");
  const std::uint32_t map = 0x8000'0000u | ++context.maps_walked;
  const std::size_t prefix = path.size();
  for (std::uint32_t index = 0; index < count; ++index) {
    const Token key = context.reader.next();
    if (!check_key(context, key)) return false;
    if (!context.keys.insert(map, key.text())) {
      return context.fail(code::kKeyDuplicate, "", key, "every key at most once");
    }
    if (prefix != 0) path += '.';
    path += key.text();
    if (path.size() > limits::kNameBytes) {
      return context.fail(code::kKeyLength, "", readable(path), "a key of 1 to 256 bytes, with its prefix");
    }
    const Token token = context.reader.next();
    const bool nested = token.wire == Wire::kMap && !is_time_map(context, token);
    if (!(nested ? walk_map(context, token.count, depth + 1, path, on_leaf) : on_leaf(path, token, depth))) {
      return context.under(key.text());
    }
    path.resize(prefix);
  }
  return true;
}

}  // namespace cdp
