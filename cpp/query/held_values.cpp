#include "query/held_values.hpp"

#include <algorithm>

#include "query/spec.hpp"

namespace cdp {
namespace {

std::string number_bytes(ValueType type, std::uint64_t bits) {
  std::string out(1, static_cast<char>(type));
  for (int byte = 0; byte < 8; ++byte) out.push_back(static_cast<char>(bits >> (8 * byte)));
  return out;
}

std::string text_bytes(std::string_view text) {
  return number_bytes(ValueType::kString, text.size()) + std::string(text);
}

}  // namespace

std::vector<std::string> held_values(const Value& value, const Dictionary& strings) {
  switch (value.type) {
    case ValueType::kNull:
    case ValueType::kItems: return {};
    case ValueType::kString: return {text_bytes(strings.at(static_cast<std::uint32_t>(value.bits)))};
    case ValueType::kList: break;
    default: return {number_bytes(value.type, value.bits)};
  }
  const std::string_view packed = strings.at(static_cast<std::uint32_t>(value.bits));
  const Node list = parse_document({reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()});
  std::vector<std::string> out;
  for (const Node& item : list.items) {
    switch (item.type) {
      case Node::Type::kString: out.push_back(text_bytes(item.text)); break;
      case Node::Type::kNull: break;
      default: {
        const Literal literal = parse_literal(item, Path());
        out.push_back(number_bytes(literal.type, literal.bits));
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace cdp
