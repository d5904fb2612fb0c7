// Which trait keys an origin has, 4 bytes an origin: sets are nodes of a tree, (the set before, the key added), and origins
// that got the same keys in the same order share them. Append-only, so readers walk a set without a lock.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/ids.hpp"
#include "base/segmented_array.hpp"

namespace cdp {

class KeySets {
 public:
  // The set with one more key. Writer only. REQUIRES: the set lacks it.
  std::uint32_t add(std::uint32_t set, KeyId key) {
    const std::uint64_t step = static_cast<std::uint64_t>(set) << 32 | raw(key);
    const auto [entry, fresh] = steps_.try_emplace(step, count_ + 1);
    if (fresh) nodes_.make(count_++) = {set, raw(key)};
    return entry->second;
  }
  // Calls visit(key) for each key, the last added first. Set 0 is empty.
  template <class Visit>
  void each(std::uint32_t set, Visit&& visit) const {
    while (set != 0) {
      const Node node = nodes_[set - 1];
      visit(KeyId{node.key});
      set = node.before;
    }
  }
  // Writer only.
  [[nodiscard]] std::size_t size_bytes() const noexcept { return steps_.size() * (sizeof(Node) + 40); }

 private:
  struct Node {
    std::uint32_t before;
    std::uint32_t key;
  };
  SegmentedArray<Node> nodes_;
  std::uint32_t count_ = 0;
  std::unordered_map<std::uint64_t, std::uint32_t> steps_;
};

}  // namespace cdp
