// What kinds need of selectors: the names to gather rows of, and the spine rows whose code is wanted.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "query/condition.hpp"
#include "simd/primitives.hpp"

namespace cdp {

// Names of all the selectors, ascending; empty = every name (one of them selects any event). A kind whose selectors all
// name unknown events gets one impossible name: no row matches, and none has to be gathered.
[[nodiscard]] inline std::vector<NameId> names_of(std::span<const BoundSelector> selectors) {
  std::vector<NameId> names;
  for (const BoundSelector& selector : selectors) {
    if (selector.any) return {};
    names.insert(names.end(), selector.names.begin(), selector.names.end());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) names.push_back(NameId{kNone});
  return names;
}

// Rows of the view whose code is wanted, ascending. `wanted`: a byte a code, 256 at least. `out` has size() + kSlack places.
inline std::uint32_t wanted_positions(const SpineView& spine, const std::uint8_t* wanted, std::uint32_t* out) {
  if (spine.code8 != nullptr) return simd::primitives().positions(spine.code8, spine.size(), wanted, out);
  std::uint32_t found = 0;
  for (std::uint32_t i = 0; i < spine.size(); ++i) {
    out[found] = i;
    found += wanted[spine.code16[i]];
  }
  return found;
}

}  // namespace cdp
