// An identity lies once in an arena as (origin, kind number, varint length, value); its number indexes an array of
// pointers that never moves; a hash index leads from (kind, value) to it. The way back is a list through the identities
// of an origin: first and last by origin, the next by identity, so most origins cost 8 bytes and their identity 4.
//
// Memory with a value of 14 bytes: 21 in the arena, 8 of pointer, 4 of next, 8 of the origin, 10 to 12.5 of index = 54.
#include "store/identity_map.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "base/byte_arena.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/hash_index.hpp"
#include "base/segmented_array.hpp"

namespace cdp {

namespace {

constexpr std::size_t kGroup = 32;  // keys whose cache misses overlap
constexpr std::size_t kHeaderBytes = 6;
constexpr std::uint32_t kKindsMax = 65'535;

struct Stored {
  std::uint32_t origin;
  std::uint16_t kind;
  std::string_view value;
};

[[nodiscard]] Stored read(const char* at) noexcept {
  Stored stored{};
  std::memcpy(&stored.origin, at, 4);
  std::memcpy(&stored.kind, at + 4, 2);
  std::uint64_t size = 0;
  const char* bytes = get_varint(at + kHeaderBytes, size);
  stored.value = {bytes, static_cast<std::size_t>(size)};
  return stored;
}

struct Kind {
  const char* data;
  std::size_t size;
  [[nodiscard]] std::string_view text() const noexcept { return {data, size}; }
};

struct OriginList {  // numbers + 1, 0 = none
  std::atomic<std::uint32_t> first;
  std::uint32_t last;  // writer only
};

}  // namespace

struct IdentityMap::State {
  explicit State(std::uint64_t key) : hash_key(key) {}

  const std::uint64_t hash_key;
  ByteArena arena;
  SegmentedArray<Kind> kinds;
  std::uint32_t kind_count = 0;  // writer only: readers reach kinds through identities
  SegmentedArray<const char*> identities;
  SegmentedArray<std::atomic<std::uint32_t>> next;
  SegmentedArray<OriginList> lists;
  std::atomic<std::uint32_t> origin_count{0};
  std::atomic<std::uint32_t> count{0};
  std::atomic<std::size_t> arena_bytes{0};
  HashIndex index;

  [[nodiscard]] Origin find(const IdentityKey& key) const {
    Origin origin = kNoOrigin;
    static_cast<void>(index.find(key.hash, [&](std::uint32_t number) {
      const Stored stored = read(identities[number]);
      if (stored.value != key.value || kinds[stored.kind].text() != key.kind) return false;
      origin = Origin{stored.origin};
      return true;
    }));
    return origin;
  }

  [[nodiscard]] std::uint16_t kind_number(std::string_view kind) {
    for (std::uint32_t number = 0; number < kind_count; ++number) {
      if (kinds[number].text() == kind) return static_cast<std::uint16_t>(number);
    }
    if (kind_count == kKindsMax) throw Error(Family::kLimitExceeded, code::kInternal, "65,535 kinds of identities");
    char* at = arena.take(kind.size());
    if (!kind.empty()) std::memcpy(at, kind.data(), kind.size());
    kinds.make(kind_count) = {at, kind.size()};
    return static_cast<std::uint16_t>(kind_count++);
  }

  void chain(Origin origin, std::uint32_t number) {
    OriginList& list = lists.make(raw(origin));
    next.make(number).store(0, std::memory_order_relaxed);
    if (list.last == 0) {
      list.first.store(number + 1, std::memory_order_release);
    } else {
      next[list.last - 1].store(number + 1, std::memory_order_release);
    }
    list.last = number + 1;
    if (raw(origin) >= origin_count.load(std::memory_order_relaxed)) {
      origin_count.store(raw(origin) + 1, std::memory_order_release);
    }
  }
};

IdentityMap::IdentityMap(std::uint64_t hash_key) : state_(std::make_unique<State>(hash_key)) {}
IdentityMap::~IdentityMap() = default;

void IdentityMap::find(std::span<const IdentityKey> keys, std::span<Origin> out) const {
  const State& state = *state_;
  const auto guard = state.index.guard();
  std::array<std::uint32_t, kGroup> guess;
  for (std::size_t first = 0; first < keys.size(); first += kGroup) {
    const std::size_t count = std::min(kGroup, keys.size() - first);
    for (std::size_t i = 0; i < count; ++i) state.index.prefetch(keys[first + i].hash);
    for (std::size_t i = 0; i < count; ++i) {
      guess[i] = state.index.candidate(keys[first + i].hash);
      if (guess[i] != HashIndex::kMissing) __builtin_prefetch(&state.identities[guess[i]]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (guess[i] != HashIndex::kMissing) __builtin_prefetch(state.identities[guess[i]]);
    }
    for (std::size_t i = 0; i < count; ++i) out[first + i] = state.find(keys[first + i]);
  }
}

Origin IdentityMap::find(std::string_view kind, std::string_view value) const {
  const auto guard = state_->index.guard();
  return state_->find({kind, value, hash_identity(kind, value, state_->hash_key)});
}

void IdentityMap::insert(const IdentityKey& key, Origin origin) {
  State& state = *state_;
  const std::uint32_t number = state.count.load(std::memory_order_relaxed);
  if (number >= kNone - 1) throw Error(Family::kLimitExceeded, code::kInternal, "2^32 - 2 identities");
  const std::uint16_t kind = state.kind_number(key.kind);
  const std::uint32_t origin_bits = raw(origin);
  char* at = state.arena.take(kHeaderBytes + varint_size(key.value.size()) + key.value.size());
  std::memcpy(at, &origin_bits, 4);
  std::memcpy(at + 4, &kind, 2);
  char* bytes = put_varint(at + kHeaderBytes, key.value.size());
  if (!key.value.empty()) std::memcpy(bytes, key.value.data(), key.value.size());
  state.identities.make(number) = at;
  state.count.store(number + 1, std::memory_order_release);
  state.arena_bytes.store(state.arena.size_bytes(), std::memory_order_relaxed);
  state.chain(origin, number);
  state.index.insert(key.hash, number);
}

std::vector<IdentityEntry> IdentityMap::of(Origin origin, std::uint64_t count) const {
  const State& state = *state_;
  std::vector<IdentityEntry> entries;
  if (raw(origin) >= state.origin_count.load(std::memory_order_acquire)) return entries;
  const OriginList* list = state.lists.find(raw(origin));
  if (list == nullptr) return entries;
  std::uint32_t at = list->first.load(std::memory_order_acquire);
  while (at != 0 && at <= count) {
    const Stored stored = read(state.identities[at - 1]);
    entries.push_back({state.kinds[stored.kind].text(), stored.value});
    at = state.next[at - 1].load(std::memory_order_acquire);
  }
  return entries;
}

void IdentityMap::prefetch(Origin origin) const noexcept {
  if (raw(origin) < state_->origin_count.load(std::memory_order_acquire)) {
    __builtin_prefetch(state_->lists.find(raw(origin)));
  }
}

std::uint64_t IdentityMap::size() const noexcept { return state_->count.load(std::memory_order_acquire); }

std::size_t IdentityMap::size_bytes() const noexcept {
  const State& state = *state_;
  return state.arena_bytes.load(std::memory_order_relaxed) + size() * (sizeof(const char*) + 4) +
         state.origin_count.load(std::memory_order_relaxed) * sizeof(OriginList) + state.index.size_bytes();
}

}  // namespace cdp
