#include "query/scan.hpp"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cdp {

ChunkView::ChunkView(const Chunk& chunk, const Task& task, Scratch& scratch)
    : chunk_(&chunk),
      task_(&task),
      scratch_(&scratch),
      inside_(chunk.first_id >= task.first_id && chunk.last_id <= task.last_id && chunk.profile32.empty()) {
  const std::uint32_t first = std::max(chunk.first_id, task.first_id), last = std::min(chunk.last_id, task.last_id);
  if (first >= last) return;
  first_row_ = chunk.block_offset[(first - chunk.first_id) / limits::kBlockIds];
  last_row_ = chunk.block_offset[(last - chunk.first_id + limits::kBlockIds - 1) / limits::kBlockIds];
}

ChunkView::Ids ChunkView::ids(const std::vector<std::uint16_t>& narrow, const std::vector<std::uint32_t>& wide,
                              std::uint32_t first, std::uint32_t last) {
  if (inside_) return {narrow.data() + first, chunk_->first_id - task_->first_id};
  Scratch::Lease<std::uint16_t> copy = scratch_->lease<std::uint16_t>(last - first);
  const std::uint32_t offset = chunk_->first_id - task_->first_id;  // modulo 2^32: the sum is an index
  for (std::uint32_t row = first; row < last; ++row) {
    copy[row - first] = static_cast<std::uint16_t>((narrow.empty() ? wide[row] : narrow[row]) + offset);
  }
  return {copies_.emplace_back(std::move(copy)).data(), 0};
}

SpineView ChunkView::spine() {
  SpineView view;
  view.time = std::span(chunk_->time).subspan(first_row_, last_row_ - first_row_);
  if (!chunk_->code8.empty()) view.code8 = chunk_->code8.data() + first_row_;
  if (!chunk_->code16.empty()) view.code16 = chunk_->code16.data() + first_row_;
  const Ids rows = ids(chunk_->profile16, chunk_->profile32, first_row_, last_row_);
  view.profile = rows.profile;
  view.id_offset = rows.offset;
  view.first_row = first_row_;
  if (inside_) {
    view.profile_start = chunk_->profile_start.data();
    view.start_profile = chunk_->start_profile.data();
  }
  return view;
}

namespace {
// First slice row whose posting is ≥ spine_row.
std::uint32_t lower_row(const Slice& slice, std::uint32_t spine_row) {
  std::uint32_t low = 0, high = slice.row_count;
  while (low < high) {
    const std::uint32_t middle = (low + high) / 2;
    if (slice.posting(middle) < spine_row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
}  // namespace

std::optional<SliceView> ChunkView::slice(NameId name) {
  const Slice* found = chunk_->find(name);
  if (found == nullptr) return std::nullopt;
  return slice(*found);
}

std::optional<SliceView> ChunkView::slice(const Slice& slice) {
  const std::uint32_t first = inside_ ? 0 : lower_row(slice, first_row_);
  const std::uint32_t last = inside_ ? slice.row_count : lower_row(slice, last_row_);
  if (first == last) return std::nullopt;
  const Ids rows = ids(slice.profile16, slice.profile32, first, last);
  return SliceView{&slice, rows.profile, slice.slot.data() + first, rows.offset, first, last - first, task_};
}

bool ChunkView::crosses(const TimeRange& range) const noexcept {
  return start_ms() + chunk_->time_min < range.start_ms || start_ms() + chunk_->time_max >= range.end_ms;
}

bool ChunkView::outside(const TimeRange& range) const noexcept {
  const std::int64_t first_ms = start_ms() + chunk_->time_min, last_ms = start_ms() + chunk_->time_max;
  return range.empty() || last_ms < range.start_ms || first_ms >= range.end_ms;
}

namespace {

// Indexes i with slot[i] in [low, high], ascending. REQUIRES: low ≤ high.
std::uint32_t select_slots(const std::uint16_t* slot, std::uint32_t count, std::uint16_t low, std::uint16_t high,
                           std::uint32_t* out) {
  const auto span = static_cast<std::uint16_t>(high - low);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    out[kept] = i;
    kept += static_cast<std::uint16_t>(slot[i] - low) <= span ? 1 : 0;
  }
  return kept;
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw"))) std::uint32_t select_slots_avx512(const std::uint16_t* slot,
                                                                              std::uint32_t count, std::uint16_t low,
                                                                              std::uint16_t high, std::uint32_t* out) {
  const __m512i lows = _mm512_set1_epi16(static_cast<short>(low));
  const __m512i spans = _mm512_set1_epi16(static_cast<short>(high - low));
  __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i sixteen = _mm512_set1_epi32(16);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; i += 32) {
    const std::uint32_t left = count - i;
    const __mmask32 valid = left >= 32 ? ~__mmask32{0} : (__mmask32{1} << left) - 1;
    const __m512i slots = _mm512_maskz_loadu_epi16(valid, slot + i);
    const __mmask32 keep = _mm512_mask_cmple_epu16_mask(valid, _mm512_sub_epi16(slots, lows), spans);
    const auto first = static_cast<__mmask16>(keep), second = static_cast<__mmask16>(keep >> 16);
    _mm512_storeu_si512(out + kept, _mm512_maskz_compress_epi32(first, index));
    kept += static_cast<std::uint32_t>(__builtin_popcount(first));
    index = _mm512_add_epi32(index, sixteen);
    // The second store needs room only where rows are left: kept ≤ i + 16 ≤ count + 15.
    if (second != 0) _mm512_storeu_si512(out + kept, _mm512_maskz_compress_epi32(second, index));
    kept += static_cast<std::uint32_t>(__builtin_popcount(second));
    index = _mm512_add_epi32(index, sixteen);
  }
  return kept;
}
#endif

using SelectSlots = std::uint32_t (*)(const std::uint16_t*, std::uint32_t, std::uint16_t, std::uint16_t,
                                      std::uint32_t*);
SelectSlots choose_select_slots() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw")) return select_slots_avx512;
#endif
  return select_slots;
}

}  // namespace

std::uint32_t select_rows(const ChunkView& chunk, const SliceView& slice, const TimeRange& range, std::uint32_t* out) {
  if (chunk.outside(range)) return 0;
  if (!chunk.crosses(range)) {
    for (std::uint32_t i = 0; i < slice.row_count; ++i) out[i] = i;
    return slice.row_count;
  }
  static const SelectSlots select = choose_select_slots();
  const auto [start, end] = local_range(range, chunk.start_ms());
  if (start >= end) return 0;
  const auto low = static_cast<std::uint16_t>(start / limits::kSlotMs);
  const auto high = static_cast<std::uint16_t>((end - 1) / limits::kSlotMs);
  const std::uint32_t selected = select(slice.slot, slice.row_count, low, high, out);
  if (start % limits::kSlotMs == 0 && end % limits::kSlotMs == 0) return selected;
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < selected; ++i) {
    const std::uint32_t row = out[i];
    out[kept] = row;
    bool inside = true;
    if (slice.slot[row] == low || slice.slot[row] == high) {
      const std::uint32_t time = chunk.chunk().time[slice.slice->posting(slice.first_row + row)];
      inside = time >= start && time < end;
    }
    kept += inside ? 1 : 0;
  }
  return kept;
}

}  // namespace cdp
