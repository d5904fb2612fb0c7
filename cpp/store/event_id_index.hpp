// The window of event ids already accepted: 16-byte key + day of receipt, ≤ 24 bytes an id. Apply only.
//
// An entry counts iff its receipt day > current day − window days, whether swept or not, so the answer never depends on
// when the sweep ran. Sub-tables of ≤ 1 MiB grow by a quarter, one at a time; keys are looked up in batches.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "codec/canonical_batch.hpp"

namespace cdp {

class EventIdIndex {
 public:
  // `hash_key`: the store's own; places depend on it, answers do not.
  explicit EventIdIndex(std::int32_t window_days, std::uint64_t hash_key = 0);
  ~EventIdIndex();
  // For each key (0,0 = no id: always fresh): 1 when unseen in the window, and then it is remembered; 0 for a duplicate,
  // also of an earlier key of the same span. `day` = received_ms / 86 400 000, 0 to 65,535 (year 2149). REQUIRES: sizes equal.
  void insert(std::span<const EventKey> keys, std::int32_t day, std::span<std::uint8_t> fresh);
  // Drops up to `limit` entries that no longer count; returns how many. Call between groups.
  std::size_t sweep(std::int32_t day, std::size_t limit);
  // Entries that count on `day`, sorted by key: for digest.
  [[nodiscard]] std::vector<std::pair<EventKey, std::int32_t>> live(std::int32_t day) const;
  [[nodiscard]] std::uint64_t size() const noexcept;
  [[nodiscard]] std::size_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cdp
