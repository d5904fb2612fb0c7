// The keys seen in the maps of one record, to find a repeated one exactly. Emptied in O(1) between records.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.hpp"

namespace cdp {

class KeySet {
 public:
  explicit KeySet(std::uint64_t hash_key) : hash_key_(hash_key), slots_(64) {}

  void clear() noexcept {
    ++epoch_;
    count_ = 0;
  }
  // Whether `key` is new in map `map` of this record. Keeps the view: the bytes must outlive the record.
  bool insert(std::uint32_t map, std::string_view key) {
    if (++count_ * 2 > slots_.size()) grow();
    Slot& slot = slots_[find(map, key)];
    if (slot.epoch == epoch_) return false;
    slot = {epoch_, map, key};
    return true;
  }

 private:
  struct Slot {
    std::uint64_t epoch = 0;
    std::uint32_t map = 0;
    std::string_view key;
  };

  [[nodiscard]] std::size_t find(std::uint32_t map, std::string_view key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash_bytes(key, hash_key_ ^ map) & mask;
    while (slots_[at].epoch == epoch_ && !(slots_[at].map == map && slots_[at].key == key)) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.epoch == epoch_) slots_[find(slot.map, slot.key)] = slot;
    }
  }

  std::uint64_t hash_key_;
  std::uint64_t epoch_ = 1;
  std::size_t count_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace cdp
