// A stored list (canonical msgpack) as JSON text, by value: integers without a point, floats always with one or an
// exponent and in the shortest form that reads back the same, datetimes as {"$time": ms}. Nothing is lost.
#pragma once

#include <string>
#include <string_view>

#include "query/document.hpp"

namespace cdp {

// Appends the text to `out`. REQUIRES: `msgpack` is one value that the codec wrote.
void append_list_json(std::string_view msgpack, std::string& out);
// A document of a client in the same form.
void append_json(const Node& node, std::string& out);

}  // namespace cdp
