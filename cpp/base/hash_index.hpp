// Hash -> dense number, for tables whose keys lie elsewhere. One writer; readers find without a lock (under a Guard).
//
// Extendible hashing: the top bits of a 32-bit tag choose a sub-table of at most 64 Ki slots, the bits below a place in
// it; slots hold (tag, number + 1), so growing reads no key. A sub-table grows by a quarter up to its bound and is then
// split in two, alone: no insert ever waits for more than one (~0.5 ms). Load 0.64 to 0.8: 10 to 12.5 bytes an entry.
//
// Places are monotone in the tag, so growing walks both arrays forward. Nothing is ever removed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/epoch.hpp"

namespace cdp {

class HashIndex {
 public:
  static constexpr std::uint32_t kMissing = 0xFFFFFFFFu;

  HashIndex() {
    auto directory = std::make_shared<Directory>(0u);
    directory->tables[0].store(own(std::make_shared<Table>(0u, kFirstSlots)));
    publish(std::move(directory));
  }

  // Readers hold one while they find; the writer needs none.
  [[nodiscard]] Epoch::Guard guard() const { return Epoch::Guard(epoch_); }

  // The first number with this hash for which matches(number); kMissing when there is none.
  template <class Matches>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Matches&& matches) const {
    const std::uint32_t tag = tag_of(hash);
    const Table& table = table_of(tag);
    std::uint32_t place = table.place(tag);
    while (true) {
      const std::uint64_t slot = table.slots[place].load(std::memory_order_acquire);
      if (slot == 0) return kMissing;
      if (slot >> 32 == tag) {
        const std::uint32_t number = static_cast<std::uint32_t>(slot) - 1;
        if (matches(number)) return number;
      }
      if (++place == table.capacity) place = 0;
    }
  }
  // The first number whose tag fits, unconfirmed: to prefetch what confirming it needs.
  [[nodiscard]] std::uint32_t candidate(std::uint64_t hash) const {
    return find(hash, [](std::uint32_t) { return true; });
  }
  void prefetch(std::uint64_t hash) const {
    const std::uint32_t tag = tag_of(hash);
    const Table& table = table_of(tag);
    __builtin_prefetch(&table.slots[table.place(tag)]);
  }

  // Writer only. REQUIRES: no entry of this hash has this number; number < kMissing.
  void insert(std::uint64_t hash, std::uint32_t number) {
    const std::uint32_t tag = tag_of(hash);
    Table* table = &table_of(tag);
    while ((table->count + 1) * 5ull > table->capacity * 4ull) {
      grow(*table, tag);
      table = &table_of(tag);
    }
    put(*table, static_cast<std::uint64_t>(tag) << 32 | (number + 1));
  }

  [[nodiscard]] std::size_t size_bytes() const noexcept { return slot_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint32_t kFirstSlots = 16, kTableSlots = 1u << 16, kDepthMax = 20;

  struct Table {
    Table(std::uint32_t depth_, std::uint32_t capacity_)
        : depth(depth_), capacity(capacity_), slots(std::make_unique<std::atomic<std::uint64_t>[]>(capacity_)) {}
    [[nodiscard]] std::uint32_t place(std::uint32_t tag) const noexcept {
      return static_cast<std::uint32_t>((static_cast<std::uint64_t>(tag << depth) * capacity) >> 32);
    }
    std::uint32_t depth;  // bits of the tag that all its entries share
    std::uint32_t capacity;
    std::uint32_t count = 0;
    std::unique_ptr<std::atomic<std::uint64_t>[]> slots;
  };
  struct Directory {
    explicit Directory(std::uint32_t depth_)
        : depth(depth_), tables(std::make_unique<std::atomic<Table*>[]>(std::size_t{1} << depth_)) {}
    std::uint32_t depth;
    std::unique_ptr<std::atomic<Table*>[]> tables;
  };

  [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash >> 32);
  }
  [[nodiscard]] static std::size_t entry_of(const Directory& directory, std::uint32_t tag) noexcept {
    return static_cast<std::size_t>(static_cast<std::uint64_t>(tag) >> (32 - directory.depth));
  }
  [[nodiscard]] Table& table_of(std::uint32_t tag) const noexcept {
    const Directory& directory = *directory_.load();
    return *directory.tables[entry_of(directory, tag)].load();
  }

  static void put(Table& table, std::uint64_t slot) noexcept {
    std::uint32_t place = table.place(static_cast<std::uint32_t>(slot >> 32));
    while (table.slots[place].load(std::memory_order_relaxed) != 0) {
      if (++place == table.capacity) place = 0;
    }
    table.slots[place].store(slot, std::memory_order_release);
    ++table.count;
  }

  Table* own(std::shared_ptr<Table> table) {
    Table* raw = table.get();
    slot_bytes_.fetch_add(table->capacity * sizeof(std::uint64_t), std::memory_order_relaxed);
    owned_.push_back(std::move(table));
    return raw;
  }
  void disown(const Table& table) {
    for (auto& entry : owned_) {
      if (entry.get() != &table) continue;
      slot_bytes_.fetch_sub(table.capacity * sizeof(std::uint64_t), std::memory_order_relaxed);
      std::swap(entry, owned_.back());
      std::shared_ptr<Table> garbage = std::move(owned_.back());
      owned_.pop_back();
      epoch_.retire(std::move(garbage));
      return;
    }
  }
  void publish(std::shared_ptr<Directory> directory) {
    directory_.store(directory.get());
    if (current_ != nullptr) epoch_.retire(std::move(current_));
    current_ = std::move(directory);
  }

  void grow(Table& table, std::uint32_t tag) {
    epoch_.make_room(2);  // a table and a directory
    if (table.capacity < kTableSlots || table.depth >= kDepthMax) {
      replace(table, tag, table.depth, {own(copy(table, table.depth, table.capacity + table.capacity / 4))});
      return;
    }
    if (table.depth == current_->depth) widen();
    // Room for half of the entries, and as much again as growing by a quarter leaves.
    const std::uint32_t half = table.count / 2 * 25 / 16;
    std::shared_ptr<Table> low = std::make_shared<Table>(table.depth + 1, half);
    std::shared_ptr<Table> high = std::make_shared<Table>(table.depth + 1, half);
    for (std::uint32_t place = 0; place < table.capacity; ++place) {
      const std::uint64_t slot = table.slots[place].load(std::memory_order_relaxed);
      if (slot == 0) continue;
      std::shared_ptr<Table>& side = (slot >> (63 - table.depth) & 1) != 0 ? high : low;
      // The halves of a random tag differ by little, but a table must never fill up.
      if ((side->count + 1) * 10ull > side->capacity * 9ull) {
        side = copy(*side, side->depth, side->capacity + side->capacity / 4);
      }
      put(*side, slot);
    }
    replace(table, tag, table.depth, {own(std::move(low)), own(std::move(high))});
  }

  [[nodiscard]] static std::shared_ptr<Table> copy(const Table& table, std::uint32_t depth, std::uint32_t capacity) {
    auto larger = std::make_shared<Table>(depth, capacity);
    for (std::uint32_t place = 0; place < table.capacity; ++place) {
      const std::uint64_t slot = table.slots[place].load(std::memory_order_relaxed);
      if (slot != 0) put(*larger, slot);
    }
    return larger;
  }

  // Directory entries of `table` point to its heirs, each to an equal share.
  void replace(const Table& table, std::uint32_t tag, std::uint32_t depth, std::vector<Table*> heirs) {
    const std::size_t span = std::size_t{1} << (current_->depth - depth);
    const std::size_t first = entry_of(*current_, tag) / span * span;
    for (std::size_t index = 0; index < span; ++index) {
      current_->tables[first + index].store(heirs[index * heirs.size() / span]);
    }
    disown(table);
  }

  void widen() {
    auto wider = std::make_shared<Directory>(current_->depth + 1);
    for (std::size_t index = 0; index < std::size_t{2} << current_->depth; ++index) {
      wider->tables[index].store(current_->tables[index / 2].load());
    }
    publish(std::move(wider));
  }

  mutable Epoch epoch_;
  std::atomic<Directory*> directory_{nullptr};
  std::shared_ptr<Directory> current_;
  std::vector<std::shared_ptr<Table>> owned_;
  std::atomic<std::size_t> slot_bytes_{0};
};

}  // namespace cdp
