#include "codec/decode_context.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <initializer_list>
#include <utility>

#include "base/limits.hpp"
#include "base/utf8.hpp"
#include "codec/normalise.hpp"

namespace cdp {

namespace {

void append_escaped(std::string& out, unsigned char byte) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

template <class Number>
std::string decimal(Number value) {
  std::array<char, 40> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return {digits.data(), result.ptr};
}

// (g++ 12 warns wrongly about the overlap of "a" + std::string.)
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out.append(part);
  return out;
}

}  // namespace

std::string readable(std::string_view text) {
  std::string out;
  while (!text.empty() && out.size() < limits::kRejectValueBytes) {
    const std::size_t room = limits::kRejectValueBytes - out.size();
    const std::size_t size = utf8_prefix(text.substr(0, room));
    out.append(text.substr(0, size));
    text.remove_prefix(size);
    if (text.empty() || out.size() + 4 > limits::kRejectValueBytes) break;
    if (size > 0 && utf8_prefix(text.substr(0, 4)) > 0) break;  // a whole character that only had no room
    append_escaped(out, static_cast<unsigned char>(text.front()));
    text.remove_prefix(1);
  }
  return out;
}

std::string readable(const Token& token) {
  switch (token.wire) {
    case Wire::kNil: return "null";
    case Wire::kBool: return token.bits != 0 ? "true" : "false";
    case Wire::kInt: return decimal(static_cast<std::int64_t>(token.bits));
    case Wire::kUint: return decimal(token.bits);
    case Wire::kFloat: return decimal(std::bit_cast<double>(token.bits));
    case Wire::kString: return readable(token.text());
    case Wire::kBinary: return joined({"<", decimal(token.count), " bytes>"});
    case Wire::kArray: return joined({"[", decimal(token.count), " elements]"});
    case Wire::kMap: return joined({"{", decimal(token.count), " entries}"});
    case Wire::kExt:
      return joined({"<ext ", decimal(static_cast<int>(token.ext_type)), ", ", decimal(token.count), " bytes>"});
  }
  return {};
}

bool DecodeContext::fail(std::string_view code, std::string_view path, std::string value, std::string_view expected) {
  reject.code = code;
  reject.path = path;
  reject.value = std::move(value);
  reject.expected = expected;
  return false;
}

bool DecodeContext::fail(std::string_view code, std::string_view path, const Token& token, std::string_view expected) {
  return fail(code, path, readable(token), expected);
}

bool DecodeContext::under(std::string_view name) {
  if (name.empty()) return false;
  std::string path{name};
  if (!reject.path.empty() && reject.path.front() != '[') path += '.';
  reject.path.insert(0, path);
  return false;
}

bool DecodeContext::under(std::uint32_t index) { return under(joined({"[", decimal(index), "]"})); }

bool check_key(DecodeContext& context, const Token& key) {
  if (context.is_too_large()) return context.fail(code::kRecordTooLarge, "", "", "at most 65536 bytes");
  if (key.wire != Wire::kString) return context.fail(code::kKeyNotString, "", key, "a string as key");
  const std::string_view text = key.text();
  if (text.empty() || text.size() > limits::kNameBytes) {
    return context.fail(code::kKeyLength, "", key, "a key of 1 to 256 bytes, with its prefix");
  }
  if (!is_utf8(text)) return context.fail(code::kKeyUtf8, "", key, "a key of valid UTF-8");
  if (text.front() == '$') return context.fail(code::kKeyReserved, "", key, "a key that does not begin with $");
  if (text.find('.') != std::string_view::npos) {
    return context.fail(code::kKeyDot, "", key, "a key without a dot (nested maps are flattened to dotted names)");
  }
  return true;
}

bool check_event_name(DecodeContext& context, const Token& token) {
  const std::string_view name = token.text();
  if (name.empty() || name.size() > limits::kNameBytes) {
    return context.fail(code::kNameLength, "name", token, "a name of 1 to 256 bytes");
  }
  if (!is_utf8(name)) return context.fail(code::kValueStringUtf8, "name", token, "a string of valid UTF-8");
  if (is_system_name(name) && !context.options.allow_system) {
    return context.fail(code::kNameReserved, "name", token,
                        "a name that does not begin with \"Message \" or \"Segment \"");
  }
  return true;
}

}  // namespace cdp
