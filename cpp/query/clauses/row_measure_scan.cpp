#include "query/clauses/row_measure_scan.hpp"

#include <algorithm>

namespace cdp {

DayScan::DayScan(const SlotDays& days, const Task& task, Scratch& scratch)
    : days_(days), scratch_(scratch), size_(task.size()) {
  std::int64_t first_ms = INT64_MAX, last_ms = INT64_MIN;
  for (const Chunk* chunk : task.chunks) {
    const std::int64_t start_ms = partition_start_ms(chunk->partition);
    first_ms = std::min(first_ms, start_ms + chunk->time_min);
    last_ms = std::max(last_ms, start_ms + chunk->time_max);
  }
  if (first_ms > last_ms) return;
  first_day_ = days.day_of(first_ms) - 2;  // clocks that were set back
  const auto count = static_cast<std::uint32_t>(days.day_of(last_ms) + 2 - first_day_ + 1);
  if (count > kDaysMost) return;
  words_ = (count + 63) / 64;
  bits_ = scratch.zeroed<std::uint64_t>(std::size_t{size_} * words_);
}

void DayScan::add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
  const auto days = scratch_.lease<std::int32_t>(count);
  days_.read(in.view.chunk(), view, rows, count, days.data());
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t profile = view.profile[rows[i]] + view.id_offset;
    const auto day = static_cast<std::uint32_t>(days[i] - first_day_);
    if (words_ != 0) {
      bits_[std::size_t{profile} * words_ + (day >> 6)] |= std::uint64_t{1} << (day & 63);
    } else {
      const std::uint64_t key = (std::uint64_t{profile} << 32) | day;
      if (listed_.empty() || listed_.back() != key) listed_.push_back(key);
    }
  }
}

void DayScan::group() {
  if (words_ != 0) return;
  counts_.resize(size_);
  std::sort(listed_.begin(), listed_.end());
  listed_.erase(std::unique(listed_.begin(), listed_.end()), listed_.end());
  for (const std::uint64_t key : listed_) ++counts_[key >> 32];
}

std::uint64_t DayScan::count(std::uint32_t profile) const noexcept {
  if (words_ == 0) return counts_[profile];
  std::uint64_t count = 0;
  for (std::uint32_t word = 0; word < words_; ++word)
    count += static_cast<std::uint64_t>(__builtin_popcountll(bits_[std::size_t{profile} * words_ + word]));
  return count;
}

RowMeasureScan::RowMeasureScan(const RowMeasure& measure, const Task& task, Scratch& scratch)
    : measure_(measure), scratch_(scratch) {
  using Type = RowMeasureSpec::Type;
  switch (measure.type()) {
    case Type::kDistinctDays: days_.emplace(measure.days(), task, scratch); break;
    case Type::kFirst:
    case Type::kFirstTime: edges_.emplace(EdgeRows::Edge::kFirst, task, scratch); break;
    case Type::kLast:
    case Type::kLastTime: edges_.emplace(EdgeRows::Edge::kLast, task, scratch); break;
  }
}

void RowMeasureScan::add(const FoundIn& in, const SliceView& view, const std::uint32_t* rows, std::uint32_t count) {
  if (days_) return days_->add(in, view, rows, count);
  if (!measure_.of_value() || !measure_.key()) return edges_->add(in, view, rows, count, nullptr);
  const auto kept = scratch_.lease<std::uint32_t>(count + simd::kSlack);
  std::copy_n(rows, count, kept.data());
  const auto marked = scratch_.zeroed<std::uint8_t>(view.row_count);
  const std::uint32_t passing = measure_.test().filter(view, *measure_.key(), scratch_, kept.data(), count);
  for (std::uint32_t i = 0; i < passing; ++i) marked[kept[i]] = 1;
  edges_->add(in, view, rows, count, marked.data());
}

bool RowMeasureScan::holds(std::uint32_t profile, std::int64_t now_ms) const {
  if (days_) return measure_.test().matches({ValueType::kInt, days_->count(profile)});
  std::int64_t until_ms = INT64_MAX;
  if (!measure_.of_value()) return measure_.time_holds(edges_->time_ms(profile), now_ms, until_ms);
  return measure_.key() ? edges_->is_marked(profile) : measure_.test().passes_missing();
}

}  // namespace cdp
