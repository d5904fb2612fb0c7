// What values are equal to one another when events are told apart by a property: as bytes, type before value, so that they
// compare and hash without a dictionary.
#pragma once

#include <string>
#include <vector>

#include "base/value.hpp"
#include "column/dictionary.hpp"

namespace cdp {

// The value, or each distinct element of a list, ascending; none of a missing one and of a list of objects.
[[nodiscard]] std::vector<std::string> held_values(const Value& value, const Dictionary& strings);

}  // namespace cdp
