// A selector's map that may have fields more: a step that is optional, a series that has a name.
#pragma once

#include <string_view>

#include "query/spec.hpp"

namespace cdp {

// Takes a field out of a map; what is left is read as if it had never been there. Null when absent, or when no map.
struct Extended {
  Node rest;
  const Node* extra = nullptr;  // into the node that was given
};
[[nodiscard]] inline Extended take_field(const Node& node, std::string_view name) {
  Extended out{node, nullptr};
  if (node.type != Node::Type::kMap) return out;
  for (const auto& [key, value] : node.fields) {
    if (key == name) out.extra = &value;
  }
  std::erase_if(out.rest.fields, [&](const auto& field) { return field.first == name; });
  return out;
}

}  // namespace cdp
