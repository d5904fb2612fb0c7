// The rows of a selector in one slice of a chunk: all of them, or those that pass its conditions.
#pragma once

#include <cstdint>

#include "query/condition.hpp"
#include "query/scratch.hpp"
#include "simd/primitives.hpp"

namespace cdp {

class EventRows {
 public:
  // `rows` null: the whole view.
  EventRows(const ChunkView& chunk, const SliceView& view, const std::uint32_t* rows, std::uint32_t count)
      : chunk_(&chunk.chunk()), view_(&view), rows_(rows), count_(count) {}
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] bool whole() const noexcept { return rows_ == nullptr; }
  [[nodiscard]] const SliceView& view() const noexcept { return *view_; }
  // Index into the view.
  [[nodiscard]] std::uint32_t row(std::uint32_t i) const noexcept { return rows_ == nullptr ? i : rows_[i]; }
  // Index into the task's arrays.
  [[nodiscard]] std::uint32_t profile(std::uint32_t i) const noexcept {
    return view_->profile[row(i)] + view_->id_offset;
  }
  [[nodiscard]] std::uint16_t slot(std::uint32_t i) const noexcept { return view_->slot[row(i)]; }
  [[nodiscard]] std::uint32_t spine_row(std::uint32_t i) const noexcept {  // of the chunk
    return view_->slice->posting(view_->first_row + row(i));
  }
  [[nodiscard]] std::uint32_t time(std::uint32_t i) const noexcept { return chunk_->time[spine_row(i)]; }

 private:
  const Chunk* chunk_;
  const SliceView* view_;
  const std::uint32_t* rows_;
  std::uint32_t count_;
};

// visit(EventRows) for every slice of the chunk that has rows of the selector.
template <class Visit>
void for_each_event(ChunkView& chunk, const BoundSelector& selector, Scratch& scratch, Visit&& visit) {
  const auto one = [&](const Slice& slice) {
    const auto view = chunk.slice(slice);
    if (!view) return;
    if (selector.where.empty()) return visit(EventRows(chunk, *view, nullptr, view->row_count));
    const auto rows = scratch.lease<std::uint32_t>(view->row_count + simd::kSlack);
    for (std::uint32_t i = 0; i < view->row_count; ++i) rows[i] = i;
    const std::uint32_t count = filter_rows(*view, selector.where, scratch, rows.data(), view->row_count);
    if (count != 0) visit(EventRows(chunk, *view, rows.data(), count));
  };
  if (selector.any) {
    for (const Slice& slice : chunk.chunk().slices) {
      if (selector.selects(slice.name)) one(slice);
    }
    return;
  }
  for (const NameId name : selector.names) {
    if (const Slice* slice = chunk.chunk().find(name)) one(*slice);
  }
}

}  // namespace cdp
