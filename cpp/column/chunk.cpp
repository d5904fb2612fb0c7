// Searches in a chunk.

#include "column/chunk.hpp"

#include <algorithm>
#include <tuple>

namespace cdp {
namespace {

template <class T>
std::size_t bytes_of(const std::vector<T>& vector) {
  return vector.capacity() * sizeof(T);
}

// First index of [first, last) whose value is not below `value`.
template <class T>
std::uint32_t lower_row(const T* values, std::uint32_t first, std::uint32_t last, std::uint32_t value) {
  return static_cast<std::uint32_t>(std::lower_bound(values + first, values + last, value) - values);
}

template <class T>
Chunk::Rows equal_rows(const T* ids, std::uint32_t first, std::uint32_t last, std::uint32_t id) {
  first = lower_row(ids, first, last, id);
  std::uint32_t end = first;
  while (end < last && end - first < 16 && ids[end] == id) ++end;  // most profiles have few rows in a partition
  if (end - first == 16) end = static_cast<std::uint32_t>(std::upper_bound(ids + end, ids + last, id) - ids);
  return {first, end};
}

std::size_t size_of(const Slice& slice) {
  std::size_t size = bytes_of(slice.profile16) + bytes_of(slice.profile32) + bytes_of(slice.slot) +
                     bytes_of(slice.posting16) + bytes_of(slice.posting32);
  for (const Column& column : slice.columns) size += column.size_bytes();
  return size + (slice.columns.capacity() - slice.columns.size()) * sizeof(Column);
}

}  // namespace

const Column* Slice::find(KeyId key, ValueType type) const noexcept {
  const auto below = [](const Column& column, const std::pair<KeyId, ValueType>& wanted) {
    return std::tie(column.key, column.type) < std::tie(wanted.first, wanted.second);
  };
  const auto at = std::lower_bound(columns.begin(), columns.end(), std::pair{key, type}, below);
  return at != columns.end() && at->key == key && at->type == type ? &*at : nullptr;
}

std::uint32_t Slice::row_of(std::uint32_t spine_row) const noexcept {
  return posting16.empty() ? lower_row(posting32.data(), 0, row_count, spine_row)
                           : lower_row(posting16.data(), 0, row_count, spine_row);
}

const Slice* Chunk::find(NameId name) const noexcept {
  const auto at = std::lower_bound(slices.begin(), slices.end(), name,
                                   [](const Slice& slice, NameId wanted) { return slice.name < wanted; });
  return at != slices.end() && at->name == name ? &*at : nullptr;
}

Chunk::Rows Chunk::rows_of(std::uint32_t local_id) const noexcept {
  if (local_id < first_id || local_id >= last_id) return {};
  const std::uint32_t id = local_id - first_id;
  const std::uint32_t block = id / limits::kBlockIds;
  const std::uint32_t first = block_offset[block], last = block_offset[block + 1];
  return wide_ids() ? equal_rows(profile32.data(), first, last, id) : equal_rows(profile16.data(), first, last, id);
}

std::size_t Chunk::size_bytes() const noexcept {
  std::size_t size = sizeof(Chunk) + bytes_of(time) + bytes_of(code8) + bytes_of(code16) + bytes_of(profile16) +
                     bytes_of(profile32) + bytes_of(profile_start) + bytes_of(start_profile) + bytes_of(block_offset) +
                     bytes_of(foreign.row) + bytes_of(foreign.origin) + slices.capacity() * sizeof(Slice);
  for (const Slice& slice : slices) size += size_of(slice);
  return size;
}

}  // namespace cdp
