// A chunk: up to 64 k rows of consecutive whole id blocks of one shard, partition and layer. Immutable once built.
// Two orders of the same rows: the spine in event order of each profile, and one slice per event name.
//
// Invariants: spine sorted by (home id, time, origin, log order); a slice is the spine restricted to its name, in the
// same order, so `posting` ascends; block borders are multiples of kBlockIds; a chunk of main layers lies inside one
// stripe (kStripeIds); a chunk of a small layer may cover many stripes, and has `profile32` instead of `profile16` when it
// covers over 65,536 ids (up to 4 stripes fit `profile16`). Row vectors of spine and slices hold 64 bytes of padding in
// their size() (a vector load may run over the end): count rows by `row_count`, never by size().
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "column/column.hpp"

namespace cdp {

struct Slice {
  NameId name{};
  std::uint32_t row_count = 0;
  std::vector<std::uint16_t> profile16;  // local id − chunk.first_id; one of the two is filled, as in the chunk
  std::vector<std::uint32_t> profile32;
  std::vector<std::uint16_t> slot;       // quarter hours from the partition's start
  std::vector<std::uint16_t> posting16;  // row in the spine; one of the two is filled
  std::vector<std::uint32_t> posting32;  // when the chunk has over kChunkRows rows
  std::vector<Column> columns;           // sorted by (key, type)

  [[nodiscard]] std::uint32_t posting(std::uint32_t row) const noexcept {
    return posting16.empty() ? posting32[row] : posting16[row];
  }
  [[nodiscard]] std::uint32_t profile(std::uint32_t row) const noexcept {
    return profile16.empty() ? profile32[row] : profile16[row];
  }
  // Column of (key, type), or null. REQUIRES nothing; O(log columns).
  [[nodiscard]] const Column* find(KeyId key, ValueType type) const noexcept;
  // Row of the slice whose posting is `spine_row`. REQUIRES: the spine row has this slice's name. O(log rows).
  [[nodiscard]] std::uint32_t row_of(std::uint32_t spine_row) const noexcept;
};

// Rows whose origin is not that of their place: those of profiles that were joined. Few, so they are listed: a column would
// cost every row of the chunk four bytes for the sake of one joined profile.
struct ForeignOrigins {
  std::vector<std::uint32_t> row;     // in the spine, ascending
  std::vector<std::uint32_t> origin;  // of each
  [[nodiscard]] bool empty() const noexcept { return row.empty(); }
  friend bool operator==(const ForeignOrigins&, const ForeignOrigins&) = default;
  // Origin of a spine row whose place is `own`. O(log rows listed).
  [[nodiscard]] Origin at(std::uint32_t spine_row, Origin own) const noexcept {
    const auto found = std::lower_bound(row.begin(), row.end(), spine_row);
    if (found == row.end() || *found != spine_row) return own;
    return Origin{origin[static_cast<std::size_t>(found - row.begin())]};
  }
};

struct Chunk {
  std::uint32_t first_id = 0;  // local ids [first_id, last_id), multiples of kBlockIds
  std::uint32_t last_id = 0;
  std::uint32_t row_count = 0;
  std::int32_t partition = 0;
  // Spine; `code` indexes `slices`.
  std::vector<std::uint32_t> time;    // milliseconds from the partition's start
  std::vector<std::uint8_t> code8;    // one of the two is filled
  std::vector<std::uint16_t> code16;  // when the chunk has over 255 names
  std::vector<std::uint16_t> profile16;
  std::vector<std::uint32_t> profile32;
  // Where each profile's rows begin, a bit a row, and the profile of each bit set. Empty in a chunk of wide ids.
  std::vector<std::uint64_t> profile_start;
  std::vector<std::uint16_t> start_profile;
  std::vector<std::uint32_t> block_offset;  // spine row at which each block starts; blocks + 1 entries
  ForeignOrigins foreign;                   // empty when every row belongs to the origin of its place
  std::vector<Slice> slices;                // ascending by name
  std::uint32_t time_min = 0;               // of the rows
  std::uint32_t time_max = 0;

  [[nodiscard]] bool wide_ids() const noexcept { return !profile32.empty(); }
  [[nodiscard]] std::uint32_t code(std::uint32_t row) const noexcept {
    return code8.empty() ? code16[row] : code8[row];
  }
  [[nodiscard]] std::uint32_t local_id(std::uint32_t row) const noexcept {
    return first_id + (wide_ids() ? profile32[row] : profile16[row]);
  }
  [[nodiscard]] const Slice* find(NameId name) const noexcept;  // O(log names)
  // Spine rows [first, last) of one local id; empty when it has none. O(log block).
  struct Rows {
    std::uint32_t first = 0, last = 0;
  };
  [[nodiscard]] Rows rows_of(std::uint32_t local_id) const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept;
};

[[nodiscard]] constexpr std::int32_t partition_of(std::int64_t time_ms) noexcept {
  const std::int64_t since = time_ms - limits::kPartitionEpochMs;
  const std::int64_t floor =
      since >= 0 ? since / limits::kPartitionMs : -((-since + limits::kPartitionMs - 1) / limits::kPartitionMs);
  return static_cast<std::int32_t>(floor);
}
[[nodiscard]] constexpr std::int64_t partition_start_ms(std::int32_t partition) noexcept {
  return limits::kPartitionEpochMs + std::int64_t{partition} * limits::kPartitionMs;
}

}  // namespace cdp
