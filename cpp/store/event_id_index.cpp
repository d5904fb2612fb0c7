// Buckets of 7 keys and their days, two cache lines each, in sub-tables of at most 1 MiB. The top bits of a keyed hash of
// the event id choose the sub-table, the bits below a bucket; a full bucket spills into the next. An id is looked for
// until a bucket that is not full, so nothing is removed in place: entries that no longer count go when their sub-table
// is rebuilt, by growth or by a sweep.
//
// A sub-table grows by a quarter at a load of 0.9 and is split in two at 1 MiB, alone, so no insert waits for more than one
// rebuild (57,344 ids, ~0.3 ms). Halves start at loads spread over 0.72 to 0.9: sub-tables then grow one after another
// instead of all at once, and together stay at ~22.7 bytes an id. Places are monotone in the hash: rebuilding walks forward.
#include "store/event_id_index.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/hash.hpp"

namespace cdp {

namespace {

constexpr std::uint32_t kBucketKeys = 7;
constexpr std::uint32_t kBucketsFirst = 2, kBucketsMax = (1u << 20) / 128;
constexpr std::uint32_t kDepthMax = 24;
constexpr std::size_t kGroup = 32;  // keys whose cache misses overlap
constexpr std::int32_t kDayMax = std::numeric_limits<std::uint16_t>::max();

struct alignas(64) Bucket {
  std::array<EventKey, kBucketKeys> keys;
  std::array<std::uint16_t, kBucketKeys> days;
  std::uint16_t count;
};
static_assert(sizeof(Bucket) == 128);

struct Table {
  Table(std::uint32_t depth_, std::uint32_t buckets_) : depth(depth_), buckets(buckets_) {}

  std::uint32_t depth;  // bits of the hash that all its entries share
  std::uint32_t count = 0;
  std::uint16_t oldest_day = std::numeric_limits<std::uint16_t>::max();
  std::vector<Bucket> buckets;

  [[nodiscard]] std::uint32_t place(std::uint64_t hash) const noexcept {
    const std::uint64_t below = (hash << depth) >> 32;
    return static_cast<std::uint32_t>((below * buckets.size()) >> 32);
  }
  [[nodiscard]] bool full() const noexcept { return (count + 1) * 10ull > buckets.size() * kBucketKeys * 9ull; }
  void put(std::uint64_t hash, const EventKey& key, std::uint16_t day) noexcept {
    std::uint32_t at = place(hash);
    while (buckets[at].count == kBucketKeys) at = at + 1 == buckets.size() ? 0 : at + 1;
    put_into(buckets[at], key, day);
  }
  // REQUIRES: the first bucket from the key's place on that has room.
  void put_into(Bucket& bucket, const EventKey& key, std::uint16_t day) noexcept {
    bucket.keys[bucket.count] = key;
    bucket.days[bucket.count] = day;
    ++bucket.count;
    ++count;
    oldest_day = std::min(oldest_day, day);
  }
};

// Buckets for `count` entries at a load of 0.72, what growing by a quarter leaves, up to 0.9 by `turn` of 8.
[[nodiscard]] std::uint32_t buckets_for(std::uint32_t count, std::uint32_t turn = 0) noexcept {
  constexpr std::array<std::uint32_t, 8> kLoads{720, 740, 761, 783, 805, 828, 851, 875};
  return std::max(kBucketsFirst, static_cast<std::uint32_t>(count * 1'000ull / (kLoads[turn % 8] * kBucketKeys)) + 1);
}

void prefetch(const Bucket& bucket) noexcept {
  const auto* lines = reinterpret_cast<const char*>(&bucket);
  __builtin_prefetch(lines, 1);
  __builtin_prefetch(lines + 64, 1);
}

[[nodiscard]] std::uint16_t narrow_day(std::int32_t day) noexcept {
  return static_cast<std::uint16_t>(std::clamp(day, 0, kDayMax));
}

}  // namespace

struct EventIdIndex::State {
  State(std::int32_t days, std::uint64_t key) : window_days(days), hash_key(key) {
    tables.push_back(std::make_unique<Table>(0u, kBucketsFirst));
    directory.push_back(tables.front().get());
  }

  const std::int32_t window_days;
  const std::uint64_t hash_key;
  std::uint32_t depth = 0;        // of the directory
  std::vector<Table*> directory;  // 2^depth entries
  std::vector<std::unique_ptr<Table>> tables;
  std::uint64_t count = 0;
  std::size_t sweep_at = 0;

  [[nodiscard]] std::uint64_t hash(const EventKey& key) const noexcept {
    return detail::fold_multiply(key.low ^ hash_key ^ 0xA0761D6478BD642Full,
                                 key.high ^ (hash_key << 32 | hash_key >> 32) ^ 0xE7037ED1A0B428DBull);
  }
  [[nodiscard]] std::size_t entry(std::uint64_t hashed) const noexcept {
    return depth == 0 ? 0 : static_cast<std::size_t>(hashed >> (64 - depth));
  }
  [[nodiscard]] bool counts(std::uint16_t entry_day, std::int32_t day) const noexcept {
    return static_cast<std::int32_t>(entry_day) > day - window_days;
  }

  bool insert(const EventKey& key, std::uint64_t hashed, std::int32_t day);
  void grow(std::uint64_t hashed, std::int32_t day);
  void split(Table& table, std::uint64_t hashed);
  std::size_t rebuild(Table& table, std::int32_t day, std::size_t limit, bool spare);
};

bool EventIdIndex::State::insert(const EventKey& key, std::uint64_t hashed, std::int32_t day) {
  Table& table = *directory[entry(hashed)];
  std::uint32_t at = table.place(hashed);
  while (true) {
    Bucket& bucket = table.buckets[at];
    for (std::uint32_t index = 0; index < bucket.count; ++index) {
      if (bucket.keys[index] != key) continue;
      if (counts(bucket.days[index], day)) return false;
      bucket.days[index] = narrow_day(day);
      return true;
    }
    if (bucket.count < kBucketKeys) break;
    at = at + 1 == table.buckets.size() ? 0 : at + 1;
  }
  if (table.full()) [[unlikely]] {
    grow(hashed, day);
    directory[entry(hashed)]->put(hashed, key, narrow_day(day));
  } else {
    table.put_into(table.buckets[at], key, narrow_day(day));
  }
  ++count;
  return true;
}

// Copies what counts (and what is dead beyond `limit`) into fresh buckets; returns how many were dropped.
std::size_t EventIdIndex::State::rebuild(Table& table, std::int32_t day, std::size_t limit, bool spare) {
  std::uint32_t dead = 0;
  if (table.count > 0 && !counts(table.oldest_day, day)) {
    for (const Bucket& bucket : table.buckets) {
      for (std::uint32_t index = 0; index < bucket.count; ++index) dead += counts(bucket.days[index], day) ? 0u : 1u;
    }
  }
  const auto dropping = static_cast<std::uint32_t>(std::min<std::size_t>(dead, limit));
  Table fresh(table.depth, buckets_for(table.count - dropping + (spare ? 1 : 0)));
  std::uint32_t dropped = 0;
  for (const Bucket& bucket : table.buckets) {
    for (std::uint32_t index = 0; index < bucket.count; ++index) {
      if (dropped < dropping && !counts(bucket.days[index], day)) {
        ++dropped;
        continue;
      }
      fresh.put(hash(bucket.keys[index]), bucket.keys[index], bucket.days[index]);
    }
  }
  table = std::move(fresh);
  count -= dropped;
  return dropped;
}

void EventIdIndex::State::grow(std::uint64_t hashed, std::int32_t day) {
  Table& table = *directory[entry(hashed)];
  const bool may_drop = !counts(table.oldest_day, day);
  if (!may_drop && buckets_for(table.count + 1) > kBucketsMax && table.depth < kDepthMax) return split(table, hashed);
  static_cast<void>(rebuild(table, day, std::numeric_limits<std::size_t>::max(), true));
  if (table.buckets.size() > kBucketsMax && table.depth < kDepthMax) split(table, hashed);
}

void EventIdIndex::State::split(Table& table, std::uint64_t hashed) {
  if (table.depth == depth) {
    std::vector<Table*> wider(directory.size() * 2);
    for (std::size_t index = 0; index < wider.size(); ++index) wider[index] = directory[index / 2];
    directory = std::move(wider);
    ++depth;
  }
  std::uint32_t high_count = 0;
  const std::uint32_t shift = 63 - table.depth;
  for (const Bucket& bucket : table.buckets) {
    for (std::uint32_t index = 0; index < bucket.count; ++index) high_count += hash(bucket.keys[index]) >> shift & 1;
  }
  const auto turn = static_cast<std::uint32_t>(tables.size()) * 2;
  Table low(table.depth + 1, buckets_for(table.count - high_count + 1, turn * 5));
  auto high = std::make_unique<Table>(table.depth + 1, buckets_for(high_count + 1, turn * 5 + 3));
  for (const Bucket& bucket : table.buckets) {
    for (std::uint32_t index = 0; index < bucket.count; ++index) {
      const std::uint64_t hashed_key = hash(bucket.keys[index]);
      ((hashed_key >> shift & 1) != 0 ? *high : low).put(hashed_key, bucket.keys[index], bucket.days[index]);
    }
  }
  const std::size_t span = std::size_t{1} << (depth - table.depth);
  const std::size_t first = entry(hashed) / span * span;
  table = std::move(low);
  for (std::size_t index = span / 2; index < span; ++index) directory[first + index] = high.get();
  tables.push_back(std::move(high));
}

EventIdIndex::EventIdIndex(std::int32_t window_days, std::uint64_t hash_key)
    : state_(std::make_unique<State>(window_days, hash_key)) {}
EventIdIndex::~EventIdIndex() = default;

void EventIdIndex::insert(std::span<const EventKey> keys, std::int32_t day, std::span<std::uint8_t> fresh) {
  State& state = *state_;
  std::array<std::uint64_t, kGroup> hashes;
  for (std::size_t first = 0; first < keys.size(); first += kGroup) {
    const std::size_t count = std::min(kGroup, keys.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = state.hash(keys[first + i]);
      const Table& table = *state.directory[state.entry(hashes[i])];
      prefetch(table.buckets[table.place(hashes[i])]);
    }
    for (std::size_t i = 0; i < count; ++i) {  // nearly half of the buckets are full: their next ones, together too
      const Table& table = *state.directory[state.entry(hashes[i])];
      const std::uint32_t at = table.place(hashes[i]);
      if (table.buckets[at].count == kBucketKeys && at + 1 < table.buckets.size()) prefetch(table.buckets[at + 1]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      const EventKey& key = keys[first + i];
      const bool none = key.low == 0 && key.high == 0;
      fresh[first + i] = none || state.insert(key, hashes[i], day) ? 1 : 0;
    }
  }
}

std::size_t EventIdIndex::sweep(std::int32_t day, std::size_t limit) {
  State& state = *state_;
  std::size_t dropped = 0;
  for (std::size_t looked = 0; looked < state.tables.size() && dropped < limit; ++looked) {
    Table& table = *state.tables[state.sweep_at++ % state.tables.size()];
    if (table.count == 0 || state.counts(table.oldest_day, day)) continue;
    dropped += state.rebuild(table, day, limit - dropped, false);
  }
  return dropped;
}

std::vector<std::pair<EventKey, std::int32_t>> EventIdIndex::live(std::int32_t day) const {
  std::vector<std::pair<EventKey, std::int32_t>> entries;
  for (const auto& table : state_->tables) {
    for (const Bucket& bucket : table->buckets) {
      for (std::uint32_t index = 0; index < bucket.count; ++index) {
        if (state_->counts(bucket.days[index], day)) entries.emplace_back(bucket.keys[index], bucket.days[index]);
      }
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.first.high != b.first.high ? a.first.high < b.first.high : a.first.low < b.first.low;
  });
  return entries;
}

std::uint64_t EventIdIndex::size() const noexcept { return state_->count; }

std::size_t EventIdIndex::size_bytes() const noexcept {
  std::size_t bytes = state_->directory.size() * sizeof(Table*);
  for (const auto& table : state_->tables) bytes += sizeof(Table) + table->buckets.size() * sizeof(Bucket);
  return bytes;
}

}  // namespace cdp
