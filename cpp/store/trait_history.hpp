// Every operation ever of one trait key, append-only: entries never move, so any reader that knows an origin's newest entry
// may walk back from it while the writer appends.
//
//   block   = base, entry*: 16 KiB (the first ones less), so that what a base is lies at most that far from an entry
//   base    = time, order of the block's first entry (8 bytes each): entries tell how far they are from it
//   entry   = lead, [count, before], time, order, [latest], value, padding to 4 bytes
//   lead    = kind in bits 0-2, value type in bits 3-5, bit 6: `latest` present, bit 7: `before` present
//   count   = varint: operations of this origin up to this one; 1 when there is none before
//   before  = varint: place of the origin's entry before this one
//   time    = zigzag varint: milliseconds after the base's
//   order   = zigzag varint: after the base's
//   latest  = varint: how far the latest time of the chain is after this entry's, when it came late
//   value   = varint for bool and dictionary types, zigzag varint for int and datetime, 8 bytes for float, none for null
//
// ~10 to 16 bytes an operation. A place is the index of a 4-byte word + 1, so a key holds 16 GiB of history.
#pragma once

#include <cstdint>

#include "base/segmented_array.hpp"
#include "base/value.hpp"
#include "codec/canonical_batch.hpp"

namespace cdp {

struct HistoryEntry {
  TraitKind kind{};
  bool late = false;
  std::uint32_t count = 0;
  std::uint32_t before = 0;  // place, 0 = none
  std::int64_t time_ms = 0;
  std::int64_t latest_ms = 0;  // of the chain up to this entry
  std::uint64_t order = 0;
  Value value;
};

class TraitHistory {
 public:
  // The place of a new entry. REQUIRES: not full when its record began.
  [[nodiscard]] std::uint32_t append(const HistoryEntry& entry);
  // REQUIRES: a place that append gave.
  [[nodiscard]] HistoryEntry read(std::uint32_t place) const noexcept;
  void prefetch(std::uint32_t place) const noexcept {
    __builtin_prefetch(&words_[place - 1]);
    __builtin_prefetch(&words_[block_first(place - 1)]);
  }
  // Writer only: whether a record's operations may no longer fit.
  [[nodiscard]] bool full() const noexcept { return used_ >= kWordsMax; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return std::size_t{used_} * 4; }

 private:
  static constexpr std::uint32_t kWordsMax = 0xFFE0'0000u;  // 8 MiB below the end: more than one record can hold
  static constexpr std::uint32_t kBlockWords = 4096;
  static constexpr std::uint32_t kBaseWords = 4;

  struct Base {
    std::int64_t time_ms;
    std::uint64_t order;
  };
  [[nodiscard]] static std::uint32_t block_first(std::uint32_t word) noexcept;
  [[nodiscard]] static std::uint32_t block_end(std::uint32_t word) noexcept;
  [[nodiscard]] Base base_of(std::uint32_t word) const noexcept;

  SegmentedArray<std::uint32_t> words_;
  std::uint32_t used_ = 0;
};

}  // namespace cdp
