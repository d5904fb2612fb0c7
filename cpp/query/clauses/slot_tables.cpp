#include "query/clauses/slot_tables.hpp"

#include "query/local_date.hpp"

namespace cdp {
namespace {

constexpr std::uint8_t kDepends = 2;
constexpr std::int32_t kTwoDays = INT32_MIN;

std::uint32_t time_of(const Chunk& chunk, const SliceView& view, std::uint32_t row) noexcept {
  return chunk.time[view.slice->posting(view.first_row + row)];
}

}  // namespace

std::uint32_t SlotTimes::filter(const Chunk& chunk, const SliceView& view, std::uint32_t* rows,
                                std::uint32_t count) const {
  const auto& table = tables_.of(chunk.partition, [&](std::int64_t start_ms, auto& slots) {
    for (std::size_t slot = 0; slot < slots.size(); ++slot) {
      const std::int64_t from_ms = start_ms + static_cast<std::int64_t>(slot) * limits::kSlotMs;
      const bool steady = times_->is_steady(from_ms, from_ms + limits::kSlotMs);
      slots[slot] = steady ? static_cast<std::uint8_t>(times_->matches(from_ms) ? 1 : 0) : kDepends;
    }
  });
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t row = rows[i];
    std::uint8_t keep = table[view.slot[row]];
    if (keep == kDepends) [[unlikely]]
      keep = times_->matches(start_ms + time_of(chunk, view, row)) ? 1 : 0;
    rows[kept] = row;
    kept += keep;
  }
  return kept;
}

std::int32_t SlotDays::day_of(std::int64_t time_ms) const noexcept {
  return static_cast<std::int32_t>(local_day(*zone_, time_ms));
}

void SlotDays::read(const Chunk& chunk, const SliceView& view, const std::uint32_t* rows, std::uint32_t count,
                    std::int32_t* days) const {
  const auto& table = tables_.of(chunk.partition, [&](std::int64_t start_ms, auto& slots) {
    for (std::size_t slot = 0; slot < slots.size(); ++slot) {
      const std::int64_t from_ms = start_ms + static_cast<std::int64_t>(slot) * limits::kSlotMs;
      const std::int64_t last_ms = from_ms + limits::kSlotMs - 1;
      const bool is_one = next_transition_ms(*zone_, from_ms) > last_ms && day_of(from_ms) == day_of(last_ms);
      slots[slot] = is_one ? day_of(from_ms) : kTwoDays;
    }
  });
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  for (std::uint32_t i = 0; i < count; ++i) {
    days[i] = table[view.slot[rows[i]]];
    if (days[i] == kTwoDays) [[unlikely]]
      days[i] = day_of(start_ms + time_of(chunk, view, rows[i]));
  }
}

}  // namespace cdp
