// What seal and merge share: bringing rows into event order, cutting a layer into chunks, and building a chunk's spine and
// the positions of its slices. Columns are gathered by the caller, who knows where values come from.
//
// Where chunks are cut (cut_chunks), by the average number of rows of a stripe that has any:
//   >= kStripedRows           inside one stripe: a task reads whole chunks, no id is copied
//   >= kStripedRows / 4       inside an aligned group of 4 stripes, whose ids just fit 16 bits
//   fewer                     as many stripes as give kChunkRows rows, at most kWideBlocks: a run of 16 k rows is one chunk,
//                             so that the fixed cost of its slices (~1 KiB and ~1 us a name with its columns) stays small
// A group's rows are spread evenly over the fewest chunks; a block of over kChunkRows rows is a chunk of its own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "column/chunk.hpp"
#include "store/version.hpp"

namespace cdp {

inline constexpr std::uint32_t kStripedRows = 16'384;
inline constexpr std::uint32_t kWideBlocks = 16'384;  // 64 KiB of block offsets

// Rows as the sources give them, one entry a row; `order`s index them.
struct RowKeys {
  std::span<const std::uint32_t> id;      // local id of the home
  std::span<const std::uint32_t> time;    // ms from the partition's start
  std::span<const std::uint32_t> origin;  // empty when every row belongs to its home's own origin
  std::span<const std::uint16_t> name;    // index into `names`
};

// Sorts `rows` (in log order) by (id, time, origin), ties left in the order given. Radix by id, then each profile's rows,
// which mostly are in order of time already, only where they are not: ~5 ns a row while the keys lie in cache (4 times that
// over half a million rows), O(n log n) at worst. The buffers are kept.
class RowOrder {
 public:
  void order(const RowKeys& keys, std::vector<std::uint32_t>& rows);

 private:
  std::vector<std::uint64_t> entries_, other_;
  std::vector<std::uint32_t> ordered_;
};

struct BlockRows {
  std::uint32_t block = 0;
  std::uint32_t row_count = 0;
};
struct ChunkCut {
  std::uint32_t first_block = 0;
  std::uint32_t last_block = 0;  // half-open
  std::uint64_t row_count = 0;
};
// REQUIRES: blocks ascending, each with rows.
[[nodiscard]] std::vector<ChunkCut> cut_chunks(std::span<const BlockRows> blocks);

// Rows of the slices, one after the other: row[first[code] .. first[code + 1]) are source rows of slice `code`.
struct SliceRows {
  std::vector<std::uint32_t> first;
  std::vector<std::uint32_t> row;
  [[nodiscard]] std::span<const std::uint32_t> of(std::uint32_t code) const noexcept {
    return std::span{row}.subspan(first[code], first[code + 1] - first[code]);
  }
};

struct ChunkPlace {
  std::int32_t partition = 0;
  std::uint32_t shard = 0;
  Placement placement;
};

// A chunk of these rows (source rows in spine order) without columns. `names` ascends; those that occur become slices.
// REQUIRES: rows not empty, all inside the cut.
[[nodiscard]] Chunk build_chunk(const ChunkPlace& place, const ChunkCut& cut, const RowKeys& keys,
                                std::span<const NameId> names, std::span<const std::uint32_t> rows, SliceRows& slices);

}  // namespace cdp
