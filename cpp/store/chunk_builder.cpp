// Ordering, cutting and the spine.

#include "store/chunk_builder.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace cdp {
namespace {

constexpr unsigned kDigitBits = 11;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;
constexpr std::size_t kRadixRows = 256;  // fewer: the histograms cost more than a comparison sort

// One stable pass by the digit at `shift` of the upper halves.
void radix_pass(const std::vector<std::uint64_t>& from, std::vector<std::uint64_t>& to, unsigned shift) {
  std::vector<std::uint32_t> start(kDigits, 0);
  for (const std::uint64_t entry : from) ++start[(entry >> shift) & (kDigits - 1)];
  std::uint32_t sum = 0;
  for (std::uint32_t& count : start) sum += std::exchange(count, sum);
  for (const std::uint64_t entry : from) to[start[(entry >> shift) & (kDigits - 1)]++] = entry;
}

// Stable order by id: entries become (id − least id) << 32 | position in `rows`.
void order_by_id(std::span<const std::uint32_t> id, std::span<const std::uint32_t> rows,
                 std::vector<std::uint64_t>& entries, std::vector<std::uint64_t>& other) {
  std::uint32_t low = kNone, high = 0;
  for (const std::uint32_t row : rows) low = std::min(low, id[row]), high = std::max(high, id[row]);
  entries.resize(rows.size());
  for (std::size_t at = 0; at < rows.size(); ++at) entries[at] = std::uint64_t{id[rows[at]] - low} << 32 | at;
  if (rows.size() < kRadixRows) return std::sort(entries.begin(), entries.end());
  other.resize(entries.size());
  const auto bits = static_cast<unsigned>(std::bit_width(high - low));
  for (unsigned shift = 0; shift < bits; shift += kDigitBits) {
    radix_pass(entries, other, 32 + shift);
    entries.swap(other);
  }
}

// Sorts one profile's rows by (time, origin, place in log order). `entries` hold the place in their lower halves.
template <class KeyOf>
void order_profile(std::span<std::uint64_t> entries, KeyOf key_of) {
  const auto before = [&](std::uint64_t left, std::uint64_t right) {
    const std::uint64_t left_key = key_of(left), right_key = key_of(right);
    return left_key != right_key ? left_key < right_key : left < right;
  };
  if (entries.size() > 24) return std::sort(entries.begin(), entries.end(), before);
  for (std::size_t at = 1; at < entries.size(); ++at) {
    const std::uint64_t entry = entries[at];
    std::size_t hole = at;
    for (; hole > 0 && before(entry, entries[hole - 1]); --hole) entries[hole] = entries[hole - 1];
    entries[hole] = entry;
  }
}

template <class KeyOf>
void order_profiles(std::vector<std::uint64_t>& entries, KeyOf key_of) {
  const std::size_t count = entries.size();
  for (std::size_t first = 0, last; first < count; first = last) {
    const std::uint64_t id = entries[first] >> 32;
    last = first + 1;
    if (last == count || entries[last] >> 32 != id) continue;  // most profiles have one row in a run
    std::uint64_t key = key_of(entries[first]);
    bool sorted = true;
    for (; last < count && entries[last] >> 32 == id; ++last) {
      const std::uint64_t next = key_of(entries[last]);
      sorted &= key <= next;
      key = next;
    }
    if (!sorted) order_profile(std::span{entries}.subspan(first, last - first), key_of);
  }
}

template <class T>
std::vector<T> padded(std::size_t count) {
  return std::vector<T>(count + 64 / sizeof(T));
}

// Names that occur get codes in ascending order; `code_of` maps all names.
std::vector<NameId> compact_names(std::span<const std::uint16_t> row_names, std::span<const NameId> names,
                                  std::vector<std::uint16_t>& code_of) {
  code_of.assign(names.size(), 0);
  for (const std::uint16_t name : row_names) code_of[name] = 1;
  std::vector<NameId> used;
  for (std::size_t name = 0; name < names.size(); ++name) {
    if (code_of[name] == 0) continue;
    code_of[name] = static_cast<std::uint16_t>(used.size());
    used.push_back(names[name]);
  }
  return used;
}

template <class T>
void fill_profiles(const RowKeys& keys, std::span<const std::uint32_t> rows, std::uint32_t first_id,
                   std::vector<T>& out) {
  out = padded<T>(rows.size());
  for (std::size_t at = 0; at < rows.size(); ++at) out[at] = static_cast<T>(keys.id[rows[at]] - first_id);
}

template <class T>
void fill_codes(std::span<const std::uint16_t> row_names, std::span<const std::uint16_t> code_of, std::vector<T>& out) {
  out = padded<T>(row_names.size());
  for (std::size_t at = 0; at < row_names.size(); ++at) out[at] = static_cast<T>(code_of[row_names[at]]);
}

// Codes of the rows; returns the names of the slices.
std::vector<NameId> fill_names(const RowKeys& keys, std::span<const NameId> names, std::span<const std::uint32_t> rows,
                               Chunk& chunk) {
  std::vector<std::uint16_t> row_names(rows.size());
  for (std::size_t at = 0; at < rows.size(); ++at) row_names[at] = keys.name[rows[at]];
  std::vector<std::uint16_t> code_of;
  std::vector<NameId> used = compact_names(row_names, names, code_of);
  if (used.size() > 255) {
    fill_codes(row_names, code_of, chunk.code16);
  } else {
    fill_codes(row_names, code_of, chunk.code8);
  }
  return used;
}

void fill_times(const RowKeys& keys, std::span<const std::uint32_t> rows, Chunk& chunk) {
  chunk.time = padded<std::uint32_t>(rows.size());
  std::uint32_t low = kNone, high = 0;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const std::uint32_t time = keys.time[rows[at]];
    chunk.time[at] = time;
    low = std::min(low, time), high = std::max(high, time);
  }
  chunk.time_min = low;
  chunk.time_max = high;
}

// Block offsets of ids that ascend: a walk over the rows' blocks.
template <class T>
void fill_block_offsets(const std::vector<T>& ids, Chunk& chunk) {
  const std::uint32_t blocks = (chunk.last_id - chunk.first_id) / limits::kBlockIds;
  chunk.block_offset.resize(blocks + 1);
  std::uint32_t row = 0;
  for (std::uint32_t block = 0; block < blocks; ++block) {
    chunk.block_offset[block] = row;
    while (row < chunk.row_count && ids[row] / limits::kBlockIds == block) ++row;
  }
  chunk.block_offset[blocks] = row;
}

void fill_starts(Chunk& chunk) {
  const std::vector<std::uint16_t>& profile = chunk.profile16;
  chunk.profile_start.assign((std::size_t{chunk.row_count} + 63) / 64, 0);
  std::uint32_t starts = 0;
  for (std::uint32_t row = 0; row < chunk.row_count; ++row) {
    const bool first = row == 0 || profile[row] != profile[row - 1];
    chunk.profile_start[row / 64] |= std::uint64_t{first} << (row % 64);
    starts += first;
  }
  chunk.start_profile.reserve(starts);
  for (std::uint32_t word = 0; word < chunk.profile_start.size(); ++word) {
    for (std::uint64_t bits = chunk.profile_start[word]; bits != 0; bits &= bits - 1) {
      chunk.start_profile.push_back(profile[word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits))]);
    }
  }
}

// Rows whose origin is not that of their profile's number.
void fill_origins(const ChunkPlace& place, const RowKeys& keys, std::span<const std::uint32_t> rows, Chunk& chunk) {
  if (keys.origin.empty()) return;
  ForeignOrigins foreign;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const std::uint32_t row = rows[at];
    if (keys.origin[row] == raw(place.placement.origin(place.shard, keys.id[row]))) continue;
    foreign.row.push_back(static_cast<std::uint32_t>(at));
    foreign.origin.push_back(keys.origin[row]);
  }
  chunk.foreign = {{foreign.row.begin(), foreign.row.end()},
                   {foreign.origin.begin(), foreign.origin.end()}};  // no slack
}

template <class T>
void take(std::vector<T>& out, const std::vector<T>& spine, std::span<const std::uint32_t> postings) {
  out = padded<T>(postings.size());
  for (std::size_t at = 0; at < postings.size(); ++at) out[at] = spine[postings[at]];
}

template <class T>
void copy_postings(std::vector<T>& out, std::span<const std::uint32_t> postings) {
  out = padded<T>(postings.size());
  for (std::size_t at = 0; at < postings.size(); ++at) out[at] = static_cast<T>(postings[at]);
}

void fill_slice(const Chunk& chunk, std::span<const std::uint32_t> postings, Slice& slice) {
  slice.row_count = static_cast<std::uint32_t>(postings.size());
  if (chunk.wide_ids()) {
    take(slice.profile32, chunk.profile32, postings);
  } else {
    take(slice.profile16, chunk.profile16, postings);
  }
  slice.slot = padded<std::uint16_t>(postings.size());
  for (std::size_t at = 0; at < postings.size(); ++at) {
    slice.slot[at] = static_cast<std::uint16_t>(chunk.time[postings[at]] / static_cast<std::uint32_t>(limits::kSlotMs));
  }
  if (chunk.row_count > limits::kChunkRows) {
    copy_postings(slice.posting32, postings);
  } else {
    copy_postings(slice.posting16, postings);
  }
}

// Spine rows by code, stable: a counting sort of the codes.
template <class T>
void sort_by_code(const std::vector<T>& codes, std::size_t code_count, std::span<const std::uint32_t> rows,
                  std::vector<std::uint32_t>& postings, SliceRows& slices) {
  slices.first.assign(code_count + 1, 0);
  for (std::size_t row = 0; row < rows.size(); ++row) ++slices.first[codes[row] + 1u];
  for (std::size_t code = 0; code < code_count; ++code) slices.first[code + 1] += slices.first[code];
  std::vector<std::uint32_t> next(slices.first.begin(), slices.first.end() - 1);
  postings.resize(rows.size());
  slices.row.resize(rows.size());
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::uint32_t at = next[codes[row]]++;
    postings[at] = static_cast<std::uint32_t>(row);
    slices.row[at] = rows[row];
  }
}

void fill_slices(Chunk& chunk, std::span<const NameId> names, std::span<const std::uint32_t> rows, SliceRows& slices) {
  std::vector<std::uint32_t> postings;
  if (chunk.code8.empty()) {
    sort_by_code(chunk.code16, names.size(), rows, postings, slices);
  } else {
    sort_by_code(chunk.code8, names.size(), rows, postings, slices);
  }
  chunk.slices.resize(names.size());
  for (std::size_t code = 0; code < names.size(); ++code) {
    chunk.slices[code].name = names[code];
    const std::size_t first = slices.first[code];
    fill_slice(chunk, std::span{postings}.subspan(first, slices.first[code + 1] - first), chunk.slices[code]);
  }
}

// Adds the cuts of one group of blocks that may share chunks.
void cut_group(std::span<const BlockRows> blocks, std::vector<ChunkCut>& cuts) {
  std::uint64_t total = 0;
  for (const BlockRows& block : blocks) total += block.row_count;
  const std::uint64_t parts = (total + limits::kChunkRows - 1) / limits::kChunkRows;
  const std::uint64_t target = (total + parts - 1) / parts;
  ChunkCut cut;
  for (const BlockRows& block : blocks) {
    const bool full = cut.row_count + block.row_count > limits::kChunkRows || cut.row_count >= target ||
                      block.block - cut.first_block >= kWideBlocks;
    if (cut.row_count > 0 && full) cuts.push_back(std::exchange(cut, {}));
    if (cut.row_count == 0) cut.first_block = block.block;
    cut.last_block = block.block + 1;
    cut.row_count += block.row_count;
  }
  cuts.push_back(cut);
}

}  // namespace

void RowOrder::order(const RowKeys& keys, std::vector<std::uint32_t>& rows) {
  order_by_id(keys.id, rows, entries_, other_);
  const std::uint32_t* source = rows.data();
  const auto row_of = [=](std::uint64_t entry) { return source[static_cast<std::uint32_t>(entry)]; };
  if (keys.origin.empty()) {
    order_profiles(entries_, [&](std::uint64_t entry) { return std::uint64_t{keys.time[row_of(entry)]}; });
  } else {
    order_profiles(entries_, [&](std::uint64_t entry) {
      const std::uint32_t row = row_of(entry);
      return std::uint64_t{keys.time[row]} << 32 | keys.origin[row];
    });
  }
  ordered_.resize(rows.size());
  for (std::size_t at = 0; at < rows.size(); ++at) ordered_[at] = row_of(entries_[at]);
  rows.swap(ordered_);
}

std::vector<ChunkCut> cut_chunks(std::span<const BlockRows> blocks) {
  constexpr std::uint32_t kStripeBlocks = limits::kStripeIds / limits::kBlockIds;
  std::uint64_t row_count = 0, stripe_count = 0;
  for (std::size_t at = 0; at < blocks.size(); ++at) {
    row_count += blocks[at].row_count;
    stripe_count += at == 0 || blocks[at].block / kStripeBlocks != blocks[at - 1].block / kStripeBlocks;
  }
  std::vector<ChunkCut> cuts;
  if (blocks.empty()) return cuts;
  const std::uint64_t average = row_count / stripe_count;
  const std::uint32_t group_blocks = average >= kStripedRows       ? kStripeBlocks
                                     : average >= kStripedRows / 4 ? 4 * kStripeBlocks
                                                                   : kNone;
  for (std::size_t first = 0, last; first < blocks.size(); first = last) {
    const std::uint32_t group = blocks[first].block / group_blocks;
    for (last = first + 1; last < blocks.size() && blocks[last].block / group_blocks == group;) ++last;
    cut_group(blocks.subspan(first, last - first), cuts);
  }
  return cuts;
}

Chunk build_chunk(const ChunkPlace& place, const ChunkCut& cut, const RowKeys& keys, std::span<const NameId> names,
                  std::span<const std::uint32_t> rows, SliceRows& slices) {
  Chunk chunk;
  chunk.first_id = cut.first_block * limits::kBlockIds;
  chunk.last_id = cut.last_block * limits::kBlockIds;
  chunk.row_count = static_cast<std::uint32_t>(rows.size());
  chunk.partition = place.partition;
  fill_times(keys, rows, chunk);
  if (chunk.last_id - chunk.first_id > 65'536) {
    fill_profiles(keys, rows, chunk.first_id, chunk.profile32);
    fill_block_offsets(chunk.profile32, chunk);
  } else {
    fill_profiles(keys, rows, chunk.first_id, chunk.profile16);
    fill_block_offsets(chunk.profile16, chunk);
    fill_starts(chunk);
  }
  const std::vector<NameId> used = fill_names(keys, names, rows, chunk);
  fill_origins(place, keys, rows, chunk);
  fill_slices(chunk, used, rows, slices);
  return chunk;
}

}  // namespace cdp
