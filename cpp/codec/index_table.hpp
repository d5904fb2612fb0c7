// Open addressing from a hash to an index of something kept elsewhere (strings, identities, shapes, names of a batch).
// 8 bytes a slot, at most half full, linear probing; erase shifts back, so a refused record can be taken out again.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"

namespace cdp {

class IndexTable {
 public:
  explicit IndexTable(std::uint32_t slots = 256) : slots_(slots), mask_(slots - 1) {}  // REQUIRES: a power of two

  // The index under `hash` for which `equal(index)` holds, or kNone. `hash`: its low 32 bits are used.
  template <class Equal>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Equal&& equal) const {
    const auto tag = static_cast<std::uint32_t>(hash);
    for (std::uint32_t at = tag & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.index == kNone) return kNone;
      if (slot.tag == tag && equal(slot.index)) return slot.index;
    }
  }

  // REQUIRES: not in yet.
  void insert(std::uint64_t hash, std::uint32_t index) {
    if (++count_ * 2 > slots_.size()) grow();
    place({static_cast<std::uint32_t>(hash), index});
  }

  // Takes `index` out if it is in.
  void erase(std::uint64_t hash, std::uint32_t index) {
    std::uint32_t at = static_cast<std::uint32_t>(hash) & mask_;
    while (slots_[at].index != index) {
      if (slots_[at].index == kNone) return;
      at = (at + 1) & mask_;
    }
    --count_;
    for (std::uint32_t next = (at + 1) & mask_; slots_[next].index != kNone; next = (next + 1) & mask_) {
      const std::uint32_t home = slots_[next].tag & mask_;
      if (((next - home) & mask_) < ((next - at) & mask_)) continue;  // it would move before its home
      slots_[at] = slots_[next];
      at = next;
    }
    slots_[at] = {};
  }

  void clear() {
    slots_.assign(slots_.size(), {});
    count_ = 0;
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t index = kNone;
  };

  void place(Slot slot) {
    std::uint32_t at = slot.tag & mask_;
    while (slots_[at].index != kNone) at = (at + 1) & mask_;
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
    for (const Slot& slot : old) {
      if (slot.index != kNone) place(slot);
    }
  }

  std::vector<Slot> slots_;
  std::uint32_t mask_;
  std::uint32_t count_ = 0;
};

}  // namespace cdp
