#include "query/kinds/shared_buckets.hpp"

#include <cstring>

namespace cdp {
namespace {

constexpr std::size_t kByteSets = 64;  // 16 KiB each
// Costs against one row of the base that is joined (~1 ns): looking a profile up, and looking at a profile's last row.
constexpr std::uint64_t kLookUpCost = 60;
constexpr std::uint64_t kLastRowCost = 3;

// How many of the bytes, 0 or 1 each, are 1: eight a step, in counters of a byte that are emptied in time.
std::uint64_t count_ones(std::span<const std::uint8_t> bytes) noexcept {
  constexpr std::uint64_t kEven = 0x00FF00FF00FF00FF;
  std::uint64_t total = 0;
  std::size_t at = 0;
  while (bytes.size() - at >= 8) {
    const std::size_t steps = std::min<std::size_t>((bytes.size() - at) / 8, 255);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < steps; ++i, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + at, 8);
      sum += word;
    }
    total += (((sum & kEven) + ((sum >> 8) & kEven)) * 0x0001000100010001u) >> 48;
  }
  for (; at < bytes.size(); ++at) total += bytes[at];
  return total;
}

[[nodiscard]] bool counts(const SharedBuckets::BaseChunk& base, std::uint32_t row) noexcept {
  return base.wanted.empty() || base.wanted[base.chunk->code(row)] != 0;
}

}  // namespace

SharedBuckets::SharedBuckets(std::uint32_t buckets, std::span<const Place> places, std::uint32_t profiles,
                             Scratch& scratch)
    : set_(buckets, kNoSet), profiles_(profiles) {
  constexpr std::uint32_t kNobody = UINT32_MAX;
  struct Reached {
    std::uint32_t layer = kNobody;  // the first that reaches it
    const Place* base = nullptr;
    bool joined = false;  // by two bases, or from one twice
    bool many = false;    // by more than small layers
  };
  std::vector<Reached> reached(buckets);
  for (const Place& place : places) {
    for (std::uint32_t bucket = place.first_bucket; bucket <= place.last_bucket && bucket < buckets; ++bucket) {
      Reached& by = reached[bucket];
      if (by.layer == kNobody) by.layer = place.layer;
      by.many |= !place.small;
      const bool again = place.twice || place.small || by.layer != place.layer;
      if (place.base) {
        by.joined |= place.twice || (by.base != nullptr && by.base->layer != place.layer);
        by.base = &place;
      }
      if (!again || set_[bucket] != kNoSet) continue;
      set_[bucket] = static_cast<std::uint32_t>(bucket_.size());
      bucket_.push_back(bucket);
    }
  }
  for (const std::uint32_t bucket : bucket_)
    beside_.push_back(reached[bucket].base != nullptr && !reached[bucket].joined);
  std::size_t byte_sets = 0, word_sets = 0;
  for (std::size_t set = 0; set < bucket_.size(); ++set) {
    const bool bytes = reached[bucket_[set]].many && beside_[set] == 0 && byte_sets < kByteSets;
    place_.push_back({bytes, bytes ? byte_sets++ : word_sets++});
  }
  bytes_ = scratch.zeroed<std::uint8_t>(byte_sets * profiles_);
  words_ = scratch.zeroed<std::uint64_t>(word_sets * words());
}

void SharedBuckets::add_all(SharedBuckets& finer, std::span<const std::uint32_t> bucket_of) {
  for (const std::uint32_t from : finer.bucket_) {
    const std::uint32_t into = bucket_of[from];
    if (finer.is_bytes(from)) {
      for (std::uint32_t profile = 0; profile < profiles_; ++profile) {
        if (finer.bytes_of(from)[profile] != 0) add(into, profile);
      }
      continue;
    }
    const std::uint64_t* words_from = finer.words_of(from);
    for (std::uint32_t word = 0; word < words(); ++word) {
      if (!is_bytes(into)) {
        words_of(into)[word] |= words_from[word];
        continue;
      }
      for (std::uint64_t bits = words_from[word]; bits != 0; bits &= bits - 1)
        bytes_of(into)[word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits))] = 1;
    }
  }
}

void SharedBuckets::remove(std::uint32_t profile) noexcept {
  for (const std::uint32_t bucket : bucket_) {
    if (is_bytes(bucket)) {
      bytes_of(bucket)[profile] = 0;
    } else {
      words_of(bucket)[profile >> 6] &= ~(std::uint64_t{1} << (profile & 63));
    }
  }
}

std::uint64_t SharedBuckets::count(std::uint32_t set) const noexcept {
  if (place_[set].bytes) return count_ones({bytes_.data() + place_[set].at * profiles_, profiles_});
  std::uint64_t count = 0;
  for (std::size_t word = 0; word < words(); ++word)
    count += static_cast<std::uint64_t>(std::popcount(words_[place_[set].at * words() + word]));
  return count;
}

void SharedBuckets::take_out(const PartitionBuckets& buckets, std::span<const BaseChunk> base, std::uint32_t first_id) {
  if (buckets.returns()) return;  // all joined
  std::uint32_t time_max = 0;
  std::uint64_t rows = 0, starts = 0;
  for (const BaseChunk& each : base) {
    time_max = std::max(time_max, each.chunk->time_max);
    rows += each.chunk->row_count;
    starts += each.chunk->start_profile.size();
  }
  std::vector<Beside> by_look_up, by_last_row;
  std::uint64_t look_ups = 0;
  for (std::uint32_t local = 0; local < buckets.bucket_count; ++local) {
    const std::uint32_t bucket = buckets.first_bucket + local;
    if (bucket >= set_.size() || set_[bucket] == kNoSet || beside_[set_[bucket]] == 0) continue;
    Beside set{bucket, buckets.low, buckets.high, count(set_[bucket])};
    if (set.profiles == 0) continue;
    if (local > 0) set.low = std::max(set.low, buckets.border[local - 1]);
    if (local + 1 < buckets.bucket_count) set.high = std::min(set.high, buckets.border[local] - 1);
    const bool newest = time_max <= set.high && set.profiles * kLookUpCost > starts * kLastRowCost;
    (newest ? by_last_row : by_look_up).push_back(set);
    if (!newest) look_ups += set.profiles;
  }
  if (look_ups * kLookUpCost > rows) {
    for (const Beside& set : by_look_up) beside_[set_[set.bucket]] = 0;
    by_look_up.clear();
  }
  for (const BaseChunk& each : base) {
    if (!by_look_up.empty()) look_up(by_look_up, each, first_id);
    if (!by_last_row.empty()) look_at_last_rows(by_last_row, each, first_id);
  }
}

void SharedBuckets::look_up(std::span<const Beside> sets, const BaseChunk& base, std::uint32_t first_id) {
  const Chunk& chunk = *base.chunk;
  const std::uint32_t first_word = (chunk.first_id - first_id) / 64, last_word = (chunk.last_id - first_id) / 64;
  const auto is_in = [&](const Beside& set, Chunk::Rows rows) {
    const std::uint32_t* time = chunk.time.data();
    auto row = static_cast<std::uint32_t>(std::lower_bound(time + rows.first, time + rows.last, set.low) - time);
    while (row < rows.last && time[row] <= set.high && !counts(base, row)) ++row;
    return row < rows.last && time[row] <= set.high;
  };
  for (std::uint32_t word = first_word; word < last_word; ++word) {
    std::uint64_t any = 0;
    for (const Beside& set : sets) any |= words_of(set.bucket)[word];
    for (; any != 0; any &= any - 1) {
      const auto bit = static_cast<std::uint32_t>(std::countr_zero(any));
      const Chunk::Rows rows = chunk.rows_of(first_id + word * 64 + bit);
      for (const Beside& set : sets) {
        std::uint64_t& bits = words_of(set.bucket)[word];
        if (((bits >> bit) & 1) != 0 && is_in(set, rows)) bits &= ~(std::uint64_t{1} << bit);
      }
    }
  }
}

// No row of the base lies behind these buckets: a profile has rows in one just when its last row that counts does.
void SharedBuckets::look_at_last_rows(std::span<const Beside> sets, const BaseChunk& base, std::uint32_t first_id) {
  const Chunk& chunk = *base.chunk;
  const std::uint32_t offset = chunk.first_id - first_id;
  std::uint32_t low_least = UINT32_MAX;
  std::vector<std::pair<std::uint32_t, std::uint64_t*>> lows;
  for (const Beside& set : sets) {
    lows.emplace_back(set.low, words_of(set.bucket));
    low_least = std::min(low_least, set.low);
  }
  const auto take = [&](std::uint32_t number, std::uint32_t first, std::uint32_t end) {
    while (end > first && !counts(base, end - 1)) --end;
    if (end == first) return;
    const std::uint32_t time = chunk.time[end - 1];
    if (time < low_least) return;
    const std::uint32_t profile = chunk.start_profile[number] + offset;
    for (const auto& [low, words] : lows) words[profile >> 6] &= ~(std::uint64_t{time >= low} << (profile & 63));
  };
  std::uint32_t number = 0, first = 0;
  for (std::uint32_t word = 0; word * 64 < chunk.row_count; ++word) {
    for (std::uint64_t bits = chunk.profile_start[word]; bits != 0; bits &= bits - 1) {
      const std::uint32_t row = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
      if (row == 0) continue;
      if (row >= chunk.row_count) break;
      take(number++, first, row);
      first = row;
    }
  }
  take(number, first, chunk.row_count);
}

}  // namespace cdp
