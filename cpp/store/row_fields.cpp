// Properties of many rows at once. Every field of a row is a chain of misses in cold memory (slice, posting, column, code);
// walked a step at a time over all rows, the misses of a step overlap.

#include <algorithm>
#include <array>

#include "store/event_store.hpp"

namespace cdp {
namespace {

constexpr std::size_t kGroup = 16;          // rows walked side by side
constexpr std::uint32_t kNear = 32;         // postings looked at first, to either side of the guess
constexpr std::size_t kColumnsFetched = 8;  // of a slice: names with more columns have them fetched as they are read

struct Field {
  const Slice* slice;  // null: a tail row
  std::uint32_t slice_row;
};

// Where the posting of a spine row should be if the name were spread evenly over the chunk.
std::uint32_t guess_of(const Slice& slice, const Chunk& chunk, std::uint32_t spine_row) {
  return static_cast<std::uint32_t>(std::uint64_t{spine_row} * slice.row_count / chunk.row_count);
}

template <class Posting>
std::uint32_t search(const Posting* postings, std::uint32_t count, std::uint32_t guess, std::uint32_t spine_row) {
  std::uint32_t first = guess > kNear ? guess - kNear : 0, last = std::min(count, guess + kNear);
  for (std::uint32_t step = 2 * kNear; first > 0 && postings[first] > spine_row; step *= 2) {
    last = first;
    first = first > step ? first - step : 0;
  }
  for (std::uint32_t step = 2 * kNear; last < count && postings[last - 1] < spine_row; step *= 2) {
    first = last;
    last = std::min(count, last + step);
  }
  return static_cast<std::uint32_t>(std::lower_bound(postings + first, postings + last, spine_row) - postings);
}

void fetch_slice(const Slice& slice, const Chunk& chunk, std::uint32_t spine_row) {
  const std::uint32_t guess = guess_of(slice, chunk, spine_row);
  const std::uint32_t first = guess > kNear ? guess - kNear : 0, last = std::min(slice.row_count - 1, guess + kNear);
  for (const std::uint32_t at : {first, guess, last}) {
    __builtin_prefetch(slice.posting16.empty() ? static_cast<const void*>(&slice.posting32[at])
                                               : static_cast<const void*>(&slice.posting16[at]));
  }
  const auto* columns = reinterpret_cast<const char*>(slice.columns.data());
  const std::size_t bytes = std::min(slice.columns.size(), kColumnsFetched) * sizeof(Column);
  for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(columns + at);
}

std::uint32_t slice_row_of(const Slice& slice, const Chunk& chunk, std::uint32_t spine_row) {
  const std::uint32_t guess = guess_of(slice, chunk, spine_row);
  return slice.posting16.empty() ? search(slice.posting32.data(), slice.row_count, guess, spine_row)
                                 : search(slice.posting16.data(), slice.row_count, guess, spine_row);
}

// A dense column's code is fetched where it lies; of others what tells where.
void fetch_column(const Column& column, std::uint32_t slice_row) {
  if (column.dense()) {
    __builtin_prefetch(column.codes.data() + (std::size_t{slice_row} * width_bits(column.width) >> 3));
  } else {
    __builtin_prefetch(&column.presence[slice_row >> 6]);
    __builtin_prefetch(&column.presence_rank[slice_row >> 6]);
  }
}

}  // namespace

void properties(std::span<const Row> rows, std::vector<std::pair<KeyId, Value>>& out,
                std::vector<std::uint32_t>& ends) {
  out.clear();
  ends.clear();
  std::vector<std::pair<KeyId, Value>> of_tail;
  std::array<Field, kGroup> fields;
  for (; !rows.empty(); rows = rows.subspan(std::min(kGroup, rows.size()))) {
    const std::size_t count = std::min(kGroup, rows.size());
    for (std::size_t at = 0; at < count; ++at) {
      const Row& row = rows[at];
      fields[at].slice = row.chunk == nullptr ? nullptr : &row.chunk->slices[row.chunk->code(row.spine_row)];
      if (fields[at].slice != nullptr) fetch_slice(*fields[at].slice, *row.chunk, row.spine_row);
    }
    for (std::size_t at = 0; at < count; ++at) {
      const Slice* slice = fields[at].slice;
      if (slice == nullptr) continue;
      fields[at].slice_row = slice_row_of(*slice, *rows[at].chunk, rows[at].spine_row);
      for (const Column& column : slice->columns) fetch_column(column, fields[at].slice_row);
    }
    for (std::size_t at = 0; at < count; ++at) {
      const auto [slice, slice_row] = fields[at];
      if (slice == nullptr) {
        properties(rows[at], of_tail);
        out.insert(out.end(), of_tail.begin(), of_tail.end());
      } else {
        for (const Column& column : slice->columns) {
          if (column.has(slice_row)) out.emplace_back(column.key, Value{column.type, column.bits_at(slice_row)});
        }
      }
      ends.push_back(static_cast<std::uint32_t>(out.size()));
    }
  }
}

}  // namespace cdp
