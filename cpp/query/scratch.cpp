#include "query/scratch.hpp"

#include <bit>

namespace cdp {

Scratch::Pair Scratch::get(std::size_t size_bytes) {
  const std::size_t needed = size_bytes + 64;  // room to align
  std::size_t best = free_.size();
  for (std::size_t i = 0; i < free_.size(); ++i) {
    if (free_[i].second >= needed && (best == free_.size() || free_[i].second < free_[best].second)) best = i;
  }
  if (best == free_.size()) {
    const std::size_t capacity = std::bit_ceil(needed);
    return {std::make_unique_for_overwrite<std::byte[]>(capacity), capacity};
  }
  Pair out = std::move(free_[best]);
  if (best + 1 != free_.size()) free_[best] = std::move(free_.back());
  free_.pop_back();
  return out;
}

}  // namespace cdp
