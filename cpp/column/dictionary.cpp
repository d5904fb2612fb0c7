// A string lies once in an arena as (varint length, bytes); its number indexes an array of pointers that never moves; a
// hash index leads back. Memory: the string, 1 byte of length, 8 of pointer, 10 to 12.5 of index.
#include "column/dictionary.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>

#include "base/byte_arena.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/hash_index.hpp"
#include "base/ids.hpp"
#include "base/segmented_array.hpp"

namespace cdp {

namespace {

constexpr std::size_t kGroup = 32;  // strings whose cache misses overlap

[[nodiscard]] std::string_view read(const char* at) noexcept {
  std::uint64_t size = 0;
  const char* bytes = get_varint(at, size);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace

struct Dictionary::State {
  explicit State(std::uint64_t key) : hash_key(key) {}

  const std::uint64_t hash_key;
  std::mutex writing;
  ByteArena arena;
  SegmentedArray<const char*> strings;
  std::atomic<std::uint32_t> count{0};
  std::atomic<std::size_t> arena_bytes{0};
  HashIndex index;

  [[nodiscard]] std::uint32_t find(std::string_view text, std::uint64_t hash) const {
    return index.find(hash, [&](std::uint32_t id) { return read(strings[id]) == text; });
  }
  std::uint32_t intern(std::string_view text, std::uint64_t hash) {
    const std::uint32_t known = find(text, hash);
    return known != HashIndex::kMissing ? known : append(text, hash);
  }
  std::uint32_t append(std::string_view text, std::uint64_t hash) {
    const std::uint32_t id = count.load(std::memory_order_relaxed);
    if (id >= kNone - 1) throw Error(Family::kLimitExceeded, code::kInternal, "a dictionary holds 2^32 - 2 strings");
    char* at = arena.take(varint_size(text.size()) + text.size());
    char* bytes = put_varint(at, text.size());
    if (!text.empty()) std::memcpy(bytes, text.data(), text.size());
    strings.make(id) = at;
    count.store(id + 1, std::memory_order_release);
    arena_bytes.store(arena.size_bytes(), std::memory_order_relaxed);
    index.insert(hash, id);
    return id;
  }
};

Dictionary::Dictionary(std::uint64_t hash_key) : state_(std::make_unique<State>(hash_key)) {}
Dictionary::~Dictionary() = default;

std::uint32_t Dictionary::intern(std::string_view text) {
  const std::lock_guard lock(state_->writing);
  return state_->intern(text, hash_bytes(text, state_->hash_key));
}

void Dictionary::intern_all(std::span<const std::string_view> texts, std::span<std::uint32_t> out) {
  State& state = *state_;
  const std::lock_guard lock(state.writing);
  std::array<std::uint64_t, kGroup> hashes;
  std::array<std::uint32_t, kGroup> guess;
  for (std::size_t first = 0; first < texts.size(); first += kGroup) {
    const std::size_t count = std::min(kGroup, texts.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      hashes[i] = hash_bytes(texts[first + i], state.hash_key);
      state.index.prefetch(hashes[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      guess[i] = state.index.candidate(hashes[i]);
      if (guess[i] != HashIndex::kMissing) __builtin_prefetch(&state.strings[guess[i]]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (guess[i] != HashIndex::kMissing) __builtin_prefetch(state.strings[guess[i]]);
    }
    for (std::size_t i = 0; i < count; ++i) out[first + i] = state.intern(texts[first + i], hashes[i]);
  }
}

std::optional<std::uint32_t> Dictionary::find(std::string_view text) const {
  const auto guard = state_->index.guard();
  const std::uint32_t id = state_->find(text, hash_bytes(text, state_->hash_key));
  if (id == HashIndex::kMissing) return std::nullopt;
  return id;
}

std::string_view Dictionary::at(std::uint32_t id) const noexcept { return read(state_->strings[id]); }

void Dictionary::prefetch(std::uint32_t id, int step) const noexcept {
  const char* const& string = state_->strings[id];
  __builtin_prefetch(step == 0 ? static_cast<const void*>(&string) : string);
}

std::uint32_t Dictionary::size() const noexcept { return state_->count.load(std::memory_order_acquire); }

std::size_t Dictionary::size_bytes() const noexcept {
  return state_->arena_bytes.load(std::memory_order_relaxed) + size() * sizeof(const char*) +
         state_->index.size_bytes();
}

}  // namespace cdp
