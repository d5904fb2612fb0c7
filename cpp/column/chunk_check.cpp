#include "column/chunk_check.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>

namespace cdp {
namespace {

template <class T>
bool is_padded(const std::vector<T>& vector, std::size_t count) {
  return vector.size() * sizeof(T) >= count * sizeof(T) + 64;
}

template <class T>
bool is_one_filled(const std::vector<T>& left, const auto& right, bool left_wanted, std::size_t count) {
  return left_wanted ? is_padded(left, count) && right.empty() : left.empty() && is_padded(right, count);
}

std::string check_dictionary(const Column& column) {
  if (!is_dictionary_type(column.type)) return "a dictionary on a type that has none";
  if (std::adjacent_find(column.dictionary.begin(), column.dictionary.end(), std::greater_equal<>{}) !=
      column.dictionary.end()) {
    return "a dictionary that does not ascend";
  }
  for (std::uint32_t index = 0; index < column.value_count; ++index) {
    if (column.code_at(index) >= column.dictionary.size()) return "a code past the dictionary";
  }
  return {};
}

std::string check_presence(const Column& column) {
  if (column.dense()) return column.value_count == column.row_count ? "" : "a dense column that lacks values";
  const std::size_t words = (std::size_t{column.row_count} + 63) / 64;
  if (column.presence.size() != words || column.presence_rank.size() != words) return "presence of the wrong size";
  std::uint32_t rank = 0;
  for (std::size_t word = 0; word < words; ++word) {
    if (column.presence_rank[word] != rank) return "a wrong presence rank";
    rank += static_cast<std::uint32_t>(std::popcount(column.presence[word]));
  }
  if (rank != column.value_count) return "presence does not count the values";
  if (column.row_count % 64 != 0 && column.presence.back() >> (column.row_count % 64) != 0)
    return "presence past the rows";
  return {};
}

std::string check_column(const Column& column, const Slice& slice) {
  if (column.row_count != slice.row_count) return "a column with other rows than its slice";
  if (column.value_count == 0 || column.value_count > column.row_count) return "a column without values";
  const std::size_t bytes = (std::size_t{column.value_count} * width_bits(column.width) + 7) / 8;
  if (column.codes.size() != bytes + 8) return "codes of the wrong size";
  if (std::string problem = check_presence(column); !problem.empty()) return problem;
  return column.dictionary_coded ? check_dictionary(column) : "";
}

std::string check_slice(const Chunk& chunk, std::uint32_t code, std::vector<bool>& seen) {
  const Slice& slice = chunk.slices[code];
  if (slice.row_count == 0) return "an empty slice";
  if (!is_one_filled(slice.profile32, slice.profile16, chunk.wide_ids(), slice.row_count)) return "slice profiles";
  if (!is_one_filled(slice.posting32, slice.posting16, chunk.row_count > limits::kChunkRows, slice.row_count)) {
    return "slice postings";
  }
  if (!is_padded(slice.slot, slice.row_count)) return "slice slots";
  for (std::uint32_t row = 0; row < slice.row_count; ++row) {
    const std::uint32_t posting = slice.posting(row);
    if (posting >= chunk.row_count || seen[posting]) return "a posting that is no row of its own";
    if (row > 0 && slice.posting(row - 1) >= posting) return "postings that do not ascend";
    seen[posting] = true;
    if (chunk.code(posting) != code) return "a posting of another name";
    if (slice.profile(row) + chunk.first_id != chunk.local_id(posting)) return "a slice row of another profile";
    if (slice.slot[row] != chunk.time[posting] / limits::kSlotMs) return "a slot that is not the time's";
    if (slice.row_of(posting) != row) return "row_of does not find the row";
  }
  const auto not_below = [](const Column& left, const Column& right) {
    return std::tie(left.key, left.type) >= std::tie(right.key, right.type);
  };
  if (std::adjacent_find(slice.columns.begin(), slice.columns.end(), not_below) != slice.columns.end()) {
    return "columns out of order";
  }
  for (const Column& column : slice.columns) {
    if (std::string problem = check_column(column, slice); !problem.empty()) return problem;
  }
  return {};
}

std::string check_spine(const Chunk& chunk) {
  if (!is_padded(chunk.time, chunk.row_count)) return "times";
  if (!is_one_filled(chunk.code16, chunk.code8, chunk.slices.size() > 255, chunk.row_count)) return "codes";
  if (!is_one_filled(chunk.profile32, chunk.profile16, chunk.last_id - chunk.first_id > 65'536, chunk.row_count)) {
    return "profiles";
  }
  const ForeignOrigins& foreign = chunk.foreign;
  if (foreign.row.size() != foreign.origin.size()) return "origins";
  if (std::adjacent_find(foreign.row.begin(), foreign.row.end(), std::greater_equal<>()) != foreign.row.end())
    return "origins";
  if (!foreign.empty() && foreign.row.back() >= chunk.row_count) return "origins";
  std::uint32_t low = kNone, high = 0;
  for (std::uint32_t row = 0; row < chunk.row_count; ++row) {
    low = std::min(low, chunk.time[row]), high = std::max(high, chunk.time[row]);
    if (chunk.code(row) >= chunk.slices.size()) return "a code past the slices";
    if (row == 0) continue;
    const auto key = [&](std::uint32_t at) { return std::pair{chunk.local_id(at), chunk.time[at]}; };
    if (key(row - 1) > key(row)) return "a spine out of order";
  }
  return low == chunk.time_min && high == chunk.time_max ? "" : "time bounds";
}

std::string check_starts(const Chunk& chunk) {
  if (chunk.wide_ids()) return chunk.profile_start.empty() && chunk.start_profile.empty() ? "" : "starts of wide ids";
  if (chunk.profile_start.size() != (std::size_t{chunk.row_count} + 63) / 64) return "starts of the wrong size";
  std::size_t seen = 0;
  for (std::uint32_t row = 0; row < chunk.profile_start.size() * 64; ++row) {
    const bool marked = ((chunk.profile_start[row / 64] >> (row % 64)) & 1) != 0;
    const bool starts = row < chunk.row_count && (row == 0 || chunk.profile16[row] != chunk.profile16[row - 1]);
    if (marked != starts) return "a wrong start";
    if (!marked) continue;
    if (seen == chunk.start_profile.size() || chunk.start_profile[seen] != chunk.profile16[row])
      return "a start's profile";
    ++seen;
  }
  return seen == chunk.start_profile.size() ? "" : "profiles of no start";
}

std::string check_blocks(const Chunk& chunk) {
  if (chunk.first_id % limits::kBlockIds != 0 || chunk.last_id % limits::kBlockIds != 0)
    return "borders off the blocks";
  const std::uint32_t blocks = (chunk.last_id - chunk.first_id) / limits::kBlockIds;
  if (chunk.block_offset.size() != blocks + 1) return "block offsets of the wrong size";
  if (chunk.block_offset.front() != 0 || chunk.block_offset.back() != chunk.row_count) return "block offsets' ends";
  for (std::uint32_t block = 0; block < blocks; ++block) {
    if (chunk.block_offset[block] > chunk.block_offset[block + 1]) return "block offsets that do not ascend";
    for (std::uint32_t row = chunk.block_offset[block]; row < chunk.block_offset[block + 1]; ++row) {
      if ((chunk.local_id(row) - chunk.first_id) / limits::kBlockIds != block) return "a row in another block";
    }
  }
  return {};
}

}  // namespace

std::string check(const Chunk& chunk) {
  if (chunk.row_count == 0) return "an empty chunk";
  if (std::string problem = check_spine(chunk); !problem.empty()) return problem;
  if (std::string problem = check_starts(chunk); !problem.empty()) return problem;
  if (std::string problem = check_blocks(chunk); !problem.empty()) return problem;
  std::vector<bool> seen(chunk.row_count);
  for (std::uint32_t code = 0; code < chunk.slices.size(); ++code) {
    if (code > 0 && chunk.slices[code - 1].name >= chunk.slices[code].name) return "slices out of order";
    if (std::string problem = check_slice(chunk, code, seen); !problem.empty()) return problem;
  }
  return std::find(seen.begin(), seen.end(), false) == seen.end() ? "" : "a row of no slice";
}

}  // namespace cdp
