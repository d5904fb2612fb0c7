#include "query/kinds/bucket_plan.hpp"

#include <algorithm>
#include <span>

namespace cdp {
namespace {

// The rule of borders: their count when few, a division when they are equally far apart and the last bucket, that ends at
// `end`, is no longer: a day of 26 hours may end with the partition.
std::optional<simd::BucketRule> rule_of(const PartitionBuckets& buckets, std::int64_t end) {
  simd::BucketRule rule;
  rule.low = buckets.low;
  rule.high = buckets.high;
  const std::vector<std::uint32_t>& border = buckets.border;
  if (buckets.bucket_count > simd::kBucketsMax) return std::nullopt;
  if (border.size() <= simd::BucketRule::kBorders) {
    rule.border.fill(UINT32_MAX);
    std::copy(border.begin(), border.end(), rule.border.begin());
    rule.border_count = static_cast<std::uint32_t>(border.size());
    return rule;
  }
  const std::uint32_t length = border[1] - border[0];
  for (std::size_t i = 1; i < border.size(); ++i) {
    if (border[i] - border[i - 1] != length) return std::nullopt;
  }
  if (length % 2 != 0 || border[0] > length || end - border.back() > length) return std::nullopt;
  simd::BucketRule equal = simd::BucketRule::equal(length, length - border[0]);
  equal.low = rule.low;
  equal.high = rule.high;
  return equal;
}

// Where the query's first bucket begins inside the partition, equal buckets are laid on to the front, so that one division
// still numbers them; no row lies in those, and `first_bucket` wraps below zero. `first`: rows begin there. Not where the
// first bucket is longer than the others, as a day of 25 hours is: its rows would lie in front of it.
void lay_to_front(PartitionBuckets& buckets, std::uint32_t first) {
  std::vector<std::uint32_t>& border = buckets.border;
  if (border.size() <= simd::BucketRule::kBorders) return;
  const std::uint32_t length = border[1] - border[0];
  if (border[0] - first > length) return;
  const std::uint32_t more = (border[0] - 1) / length;
  if (border.size() + more >= simd::kBucketsMax) return;
  std::vector<std::uint32_t> front(more);
  for (std::uint32_t i = 0; i < more; ++i) front[i] = border[0] - (more - i) * length;
  border.insert(border.begin(), front.begin(), front.end());
  buckets.first_bucket -= more;
}

bool on_slots(const PartitionBuckets& buckets) {
  constexpr auto kSlot = static_cast<std::uint32_t>(limits::kSlotMs);
  constexpr auto kLast = static_cast<std::uint32_t>(limits::kPartitionMs - 1);
  if (buckets.low > buckets.high) return true;
  const bool ends = buckets.low % kSlot == 0 && (buckets.high >= kLast || (buckets.high + 1) % kSlot == 0);
  return ends &&
         std::all_of(buckets.border.begin(), buckets.border.end(), [](std::uint32_t at) { return at % kSlot == 0; });
}

}  // namespace

std::uint16_t PartitionBuckets::bucket(std::uint32_t time) const noexcept {
  if (time < low || time > high) return kOutside;
  const auto piece = static_cast<std::size_t>(std::upper_bound(border.begin(), border.end(), time) - border.begin());
  return returns() ? piece_bucket[piece] : static_cast<std::uint16_t>(piece);
}

std::optional<std::pair<std::uint32_t, std::uint32_t>> PartitionBuckets::touched(
    std::uint32_t time_min, std::uint32_t time_max) const noexcept {
  const std::uint32_t first = std::max(time_min, low), last = std::min(time_max, high);
  if (first > last) return std::nullopt;
  if (!returns()) return std::pair<std::uint32_t, std::uint32_t>{bucket(first), bucket(last)};
  const auto piece = [&](std::uint32_t time) {
    return std::upper_bound(border.begin(), border.end(), time) - border.begin() + piece_bucket.begin();
  };
  const auto [least, greatest] = std::minmax_element(piece(first), piece(last) + 1);
  return std::pair<std::uint32_t, std::uint32_t>{*least, *greatest};
}

namespace {
// From the earliest to the latest time of rows, those past the horizon (null: none) left out.
TimeRange extent_of(const Version& version, const Horizon* horizon) {
  std::int64_t first = INT64_MAX, last = INT64_MIN;
  const auto add = [&](std::int64_t from_ms, std::int64_t to_ms) {
    first = std::min(first, from_ms);
    last = std::max(last, to_ms);
  };
  for (const ShardLayers& shard : version.shards) {
    for (const auto& layer : shard.layers) {
      const std::int64_t start = partition_start_ms(layer->partition);
      for (const auto& chunk : layer->chunks) {
        if (chunk->row_count == 0) continue;
        const Expired how = horizon != nullptr ? expired(*chunk, *horizon) : Expired::kNone;
        if (how == Expired::kNone) add(start + chunk->time_min, start + chunk->time_max);
        if (how != Expired::kSome) continue;
        for (std::uint32_t row = 0; row < chunk->row_count; ++row) {
          const std::int64_t time = start + chunk->time[row];
          if (horizon->has(chunk->slices[chunk->code(row)].name, time)) add(time, time);
        }
      }
    }
  }
  for (const auto& tail : version.tail) {
    const EventColumns& events = tail->batch->events;
    for (const std::uint32_t event : tail->event) {
      const std::int64_t time = events.time_ms[event];
      if (horizon == nullptr || horizon->has(NameId{tail->shape_name[events.shape[event]]}, time)) add(time, time);
    }
  }
  return first <= last ? TimeRange{first, last + 1} : TimeRange{0, 0};
}
}  // namespace

TimeRange extent_of(const Version& version) { return extent_of(version, nullptr); }

TimeRange kept_extent_of(const Version& version) {
  const std::optional<Horizon> horizon = horizon_of(version, version.tick_ms);
  return extent_of(version, horizon ? &*horizon : nullptr);
}

std::optional<std::pair<std::int64_t, std::int64_t>> BucketPlan::cut_to(const TimeRange& extent,
                                                                        const TimeRange& rows) {
  const std::int64_t first_ms = std::max(rows.start_ms, extent.start_ms);
  const std::int64_t last_ms = std::min(rows.end_ms, extent.end_ms) - 1;
  if (first_ms > last_ms) {
    rows_ = {0, 0};
    return std::nullopt;
  }
  // An end behind which no row lies cuts nothing: then slots stay whole.
  rows_ = {rows.start_ms <= extent.start_ms ? INT64_MIN : rows.start_ms,
           rows.end_ms >= extent.end_ms ? INT64_MAX : rows.end_ms};
  return std::pair(first_ms, last_ms);
}

BucketPlan::BucketPlan(const Version& version, const Zone& zone, int week_start, const std::optional<Unit>& unit,
                       const TimeRange& rows, std::int64_t origin_ms) {
  const auto between = cut_to(extent_of(version), rows);
  if (!between) {
    starts_ = {0};
    pieces_ = {{0, 0}};
    return;
  }
  const auto [first_ms, last_ms] = *between;
  if (unit) {
    const Calendar calendar(zone, *unit, week_start, origin_ms);
    const Buckets buckets(calendar, first_ms, last_ms);
    starts_ = buckets.starts();
    pieces_ = buckets.pieces();
    for (const std::int64_t start : starts_) ends_.push_back(calendar.start_after(start, 1));
    if (!zone.is_fixed() && !unit->is_of_clock()) {
      for (const std::int64_t start : starts_) steps_.push_back(calendar.distance(starts_.front(), start));
    }
  } else {
    starts_ = {first_ms};
    pieces_ = {{first_ms, 0}};
  }
  lay_all(first_ms, last_ms);
}

BucketPlan::BucketPlan(const TimeRange& extent, const Zone& zone, std::span<const std::int64_t> shown_starts,
                       const TimeRange& rows) {
  const auto between = cut_to(extent, rows);
  if (!between) {
    pieces_ = {{0, 0}};
    return;
  }
  const auto [first_ms, last_ms] = *between;
  const auto begin = [&](std::int64_t at_ms, std::size_t bucket) {
    const auto number = static_cast<std::uint32_t>(bucket);
    if (pieces_.empty() || pieces_.back().bucket != number) pieces_.push_back({at_ms, number});
  };
  const std::vector<ZoneTransition>& offsets = zone.transitions();
  const auto later = [](std::int64_t at_ms, const ZoneTransition& each) { return at_ms < each.utc_ms; };
  auto next = std::upper_bound(offsets.begin() + 1, offsets.end(), first_ms, later);
  for (std::int64_t at_ms = first_ms; at_ms <= last_ms; ++next) {
    const std::int64_t offset_ms = std::prev(next)->offset_ms;
    const std::int64_t end_ms = next == offsets.end() ? last_ms + 1 : std::min(next->utc_ms, last_ms + 1);
    const auto behind = std::upper_bound(shown_starts.begin() + 1, shown_starts.end(), at_ms + offset_ms);
    auto bucket = static_cast<std::size_t>(behind - shown_starts.begin()) - 1;
    begin(at_ms, bucket);
    while (++bucket < shown_starts.size() && shown_starts[bucket] - offset_ms < end_ms)
      begin(shown_starts[bucket] - offset_ms, bucket);
    at_ms = end_ms;
  }
  lay_all(first_ms, last_ms);
}

void BucketPlan::lay_all(std::int64_t first_ms, std::int64_t last_ms) {
  const auto not_later = [](const Buckets::Piece& left, const Buckets::Piece& right) {
    return left.bucket >= right.bucket;
  };
  returns_ = std::ranges::adjacent_find(pieces_, not_later) != pieces_.end();
  first_partition_ = partition_of(first_ms);
  const std::int32_t last = partition_of(last_ms);
  for (std::int32_t partition = first_partition_; partition <= last; ++partition) partitions_.push_back(lay(partition));
}

namespace {
bool starts_later(std::int64_t time_ms, const Buckets::Piece& piece) noexcept { return time_ms < piece.first_ms; }

// Numbers the buckets of the pieces from the least of them.
void number_pieces(std::span<const Buckets::Piece> pieces, PartitionBuckets& out) {
  const auto by_bucket = [](const Buckets::Piece& left, const Buckets::Piece& right) {
    return left.bucket < right.bucket;
  };
  const auto [least, greatest] = std::minmax_element(pieces.begin(), pieces.end(), by_bucket);
  out.first_bucket = least->bucket;
  out.bucket_count = greatest->bucket - least->bucket + 1;
  bool in_order = true;
  for (std::size_t i = 0; i < pieces.size(); ++i) in_order &= pieces[i].bucket == out.first_bucket + i;
  if (in_order) return;
  for (const Buckets::Piece& piece : pieces)
    out.piece_bucket.push_back(static_cast<std::uint16_t>(piece.bucket - out.first_bucket));
}
}  // namespace

std::size_t BucketPlan::size_bytes() const noexcept {
  std::size_t bytes = (starts_.size() + ends_.size() + steps_.size()) * 8 + pieces_.size() * sizeof(Buckets::Piece);
  for (const PartitionBuckets& each : partitions_) {
    bytes += sizeof(PartitionBuckets) + each.border.size() * 4 + each.piece_bucket.size() * 2 +
             each.slot_bucket.size() * 2 + each.slot_byte.size();
  }
  return bytes;
}

std::optional<std::uint32_t> BucketPlan::bucket_of(std::int64_t time_ms) const noexcept {
  if (!rows_.contains(time_ms)) return std::nullopt;
  return (std::upper_bound(pieces_.begin() + 1, pieces_.end(), time_ms, starts_later) - 1)->bucket;
}

namespace {
// The same by slots, however few. REQUIRES: borders and range on slots.
std::optional<simd::SlotRule> slot_rule_of(const PartitionBuckets& buckets, std::int64_t end) {
  const std::vector<std::uint32_t>& border = buckets.border;
  constexpr auto kSlot = static_cast<std::uint32_t>(limits::kSlotMs);
  if (border.empty() || buckets.low > buckets.high) return std::nullopt;
  // Of a single border both sides are as long as they like.
  const std::uint32_t length =
      (border.size() > 1 ? border[1] - border[0] : static_cast<std::uint32_t>(limits::kPartitionMs)) / kSlot;
  for (std::size_t i = 1; i < border.size(); ++i) {
    if (border[i] - border[i - 1] != length * kSlot) return std::nullopt;
  }
  if (length < 2 || border[0] > length * kSlot || end - border.back() > std::int64_t{length} * kSlot)
    return std::nullopt;
  simd::SlotRule rule = simd::SlotRule::equal(length, length - border[0] / kSlot);
  const auto slot_of = [](std::uint32_t time) { return static_cast<std::uint16_t>(std::min(time / kSlot, 65'535u)); };
  rule.low = slot_of(buckets.low);
  rule.high = slot_of(buckets.high);
  return rule;
}
}  // namespace

PartitionBuckets BucketPlan::lay(std::int32_t partition) const {
  PartitionBuckets out;
  const std::int64_t start = partition_start_ms(partition);
  const std::int64_t behind = start + limits::kPartitionMs;
  out.low = static_cast<std::uint32_t>(std::clamp(rows_.start_ms, start, behind) - start);
  const std::int64_t end = std::clamp(rows_.end_ms, start, behind) - start;
  out.high = end == limits::kPartitionMs ? UINT32_MAX : static_cast<std::uint32_t>(end - 1);  // end > 0: rows are near
  const auto first = std::upper_bound(pieces_.begin() + 1, pieces_.end(), start, starts_later);
  auto last = first;
  for (; last != pieces_.end() && last->first_ms < behind; ++last)
    out.border.push_back(static_cast<std::uint32_t>(last->first_ms - start));
  number_pieces(std::span(first - 1, last), out);
  // Where the last bucket ends in the partition.
  const bool ends_inside = last == pieces_.end() && !ends_.empty() && ends_.back() < behind;
  const std::int64_t last_end = (ends_inside ? ends_.back() : behind) - start;
  if (!out.returns()) {
    lay_to_front(out, static_cast<std::uint32_t>(std::max((first - 1)->first_ms, start) - start));
    out.bucket_count = static_cast<std::uint32_t>(out.border.size()) + 1;
    if (const auto rule = rule_of(out, last_end)) {
      out.by_bytes = true;
      out.rule = *rule;
    }
  }
  out.by_slot = on_slots(out);
  if (!out.by_slot) return out;
  out.slot_bucket.resize(limits::kSlotsPerPartition);
  std::uint32_t piece = 0;
  for (std::uint32_t slot = 0; slot < limits::kSlotsPerPartition; ++slot) {
    const auto time = static_cast<std::uint32_t>(slot * limits::kSlotMs);
    while (piece < out.border.size() && out.border[piece] <= time) ++piece;
    const bool inside = time >= out.low && time <= out.high;
    const auto bucket = out.returns() ? out.piece_bucket[piece] : static_cast<std::uint16_t>(piece);
    out.slot_bucket[slot] = inside ? bucket : PartitionBuckets::kOutside;
  }
  if (!out.by_bytes) return out;
  out.slot_byte.resize(limits::kSlotsPerPartition);
  for (std::uint32_t slot = 0; slot < limits::kSlotsPerPartition; ++slot) {
    const std::uint16_t of_slot = out.slot_bucket[slot];
    out.slot_byte[slot] =
        of_slot == PartitionBuckets::kOutside ? simd::kOutsideBucket : static_cast<std::uint8_t>(of_slot);
  }
  out.slot_rule = slot_rule_of(out, last_end);
  return out;
}

}  // namespace cdp
