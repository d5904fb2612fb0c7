#include "query/list_json.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "codec/msgpack_reader.hpp"

namespace cdp {
namespace {

void append_integer(std::int64_t value, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_float(double value, std::string& out) {
  std::array<char, 40> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out.append(text);
  if (text.find_first_of(".e") == std::string_view::npos) out.append(".0");
}

void append_string(std::string_view text, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (byte < 0x20) {
      out.append("\\u00");
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += letter;
    }
  }
  out += '"';
}

std::uint64_t big_endian(const char* at, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t index = 0; index < count; ++index) value = value << 8 | static_cast<unsigned char>(at[index]);
  return value;
}

// The two forms that MsgpackWriter::datetime writes.
std::int64_t milliseconds(const Token& token) {
  const std::uint64_t bits = big_endian(token.data, token.count);
  if (token.count == 4) return static_cast<std::int64_t>(bits) * 1000;
  const std::uint64_t seconds = bits & ((std::uint64_t{1} << 34) - 1);
  return static_cast<std::int64_t>(seconds * 1000 + (bits >> 34) / 1'000'000);
}

void append_time(std::int64_t time_ms, std::string& out) {
  out.append("{\"$time\":");
  append_integer(time_ms, out);
  out += '}';
}

// Depth is bounded by the codec (limits::kDepth).
void append_value(MsgpackReader& reader, std::string& out) {
  const Token token = reader.next();
  switch (token.wire) {
    case Wire::kNil: out.append("null"); return;
    case Wire::kBool: out.append(token.bits != 0 ? "true" : "false"); return;
    case Wire::kInt:
    case Wire::kUint: append_integer(static_cast<std::int64_t>(token.bits), out); return;
    case Wire::kFloat: append_float(std::bit_cast<double>(token.bits), out); return;
    case Wire::kString:
    case Wire::kBinary: append_string(token.text(), out); return;
    case Wire::kExt: return append_time(milliseconds(token), out);
    case Wire::kArray:
      out += '[';
      for (std::uint32_t at = 0; at < token.count; ++at) {
        if (at != 0) out += ',';
        append_value(reader, out);
      }
      out += ']';
      return;
    case Wire::kMap:
      out += '{';
      for (std::uint32_t at = 0; at < token.count; ++at) {
        if (at != 0) out += ',';
        append_value(reader, out);
        out += ':';
        append_value(reader, out);
      }
      out += '}';
      return;
  }
}

}  // namespace

void append_json(const Node& node, std::string& out) {
  switch (node.type) {
    case Node::Type::kNull: out.append("null"); return;
    case Node::Type::kBool: out.append(node.integer != 0 ? "true" : "false"); return;
    case Node::Type::kInt: return append_integer(node.integer, out);
    case Node::Type::kFloat: return append_float(node.number, out);
    case Node::Type::kString: return append_string(node.text, out);
    case Node::Type::kDatetime: return append_time(node.integer, out);
    case Node::Type::kArray:
      out += '[';
      for (const Node& item : node.items) {
        if (&item != node.items.data()) out += ',';
        append_json(item, out);
      }
      out += ']';
      return;
    case Node::Type::kMap: break;
  }
  out += '{';
  for (const auto& [name, value] : node.fields) {
    if (&name != &node.fields.front().first) out += ',';
    append_string(name, out);
    out += ':';
    append_json(value, out);
  }
  out += '}';
}

void append_list_json(std::string_view msgpack, std::string& out) {
  MsgpackReader reader(std::as_bytes(std::span(msgpack.data(), msgpack.size())));
  append_value(reader, out);
}

}  // namespace cdp
