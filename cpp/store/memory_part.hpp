// One line of `memory()`.
#pragma once

#include <cstdint>
#include <string_view>

namespace cdp {

struct MemoryPart {
  std::string_view part;  // a literal
  std::uint64_t size_bytes = 0;
  std::uint64_t count = 0;
};

}  // namespace cdp
