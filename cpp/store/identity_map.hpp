// Identities (kind, value) -> origin, and back. One writer (apply); readers may look up while it grows.
//
// Keys are looked up in batches behind prefetches: a random access costs ~160 ns alone, ~40 ns batched. Sub-tables of at
// most 1 MiB grow by a quarter, one at a time, so no insert ever waits for a large rehash.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "codec/normalise.hpp"

namespace cdp {

struct IdentityKey {
  std::string_view kind;
  std::string_view value;
  std::uint64_t hash = 0;  // hash_identity under the store's key
};

struct IdentityEntry {
  std::string_view kind;
  std::string_view value;
};

class IdentityMap {
 public:
  explicit IdentityMap(std::uint64_t hash_key);
  ~IdentityMap();

  // Origins of the keys as they are now, kNoOrigin where unseen. Writer or reader. REQUIRES: sizes equal.
  void find(std::span<const IdentityKey> keys, std::span<Origin> out) const;
  [[nodiscard]] Origin find(std::string_view kind, std::string_view value) const;
  // Makes the identity point to `origin` for ever. REQUIRES: unseen. Writer only.
  void insert(const IdentityKey& key, Origin origin);
  // Identities of an origin in order of first sight, of the first `count` that the map ever held: a version's own, while the map
  // runs ahead of it. Readers: strings live as long as the map.
  [[nodiscard]] std::vector<IdentityEntry> of(Origin origin, std::uint64_t count = UINT64_MAX) const;
  void prefetch(Origin origin) const noexcept;  // fetches where `of` begins
  [[nodiscard]] std::uint64_t size() const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Which kinds exist is codec's matter (decode needs them first): codec/normalise.hpp. Part of the store's definitions.
using IdentityKind = KindRule;
[[nodiscard]] inline std::span<const IdentityKind> default_identity_kinds() noexcept { return default_kind_rules(); }

}  // namespace cdp
