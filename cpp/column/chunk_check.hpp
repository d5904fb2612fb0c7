// Asserts every invariant of a chunk that the headers promise. For tests and for a store that doubts itself; O(bytes).
#pragma once

#include <string>

#include "column/chunk.hpp"

namespace cdp {

// The first broken invariant in words, empty when the chunk is sound.
[[nodiscard]] std::string check(const Chunk& chunk);

}  // namespace cdp
