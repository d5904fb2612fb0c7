// The state machine: a canonical batch in log order → origins, links, traits, dictionaries, the tail's new rows. A function
// of (state, batch) alone: no clock, no chance, no order of a hash table; replay gives the same state.
//
// Cost: ≤ 150 ns an event with one known identity and no event id. One thread at a time; readers see what `fill` gave to a
// version. Rules: docs/architecture.md, "Which origin".
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "codec/canonical_batch.hpp"
#include "column/dictionary.hpp"
#include "store/event_id_index.hpp"
#include "store/fact_store.hpp"
#include "store/group_store.hpp"
#include "store/identity_map.hpp"
#include "store/links.hpp"
#include "store/memory_part.hpp"
#include "store/profile_store.hpp"
#include "store/schema.hpp"
#include "store/version.hpp"

namespace cdp {

struct ApplyReject {
  std::uint32_t record = 0;  // ordinal in the canonical batch
  std::string_view code;
  std::string path, value, expected;
};

struct ApplyResult {
  std::shared_ptr<const TailBatch> tail;  // null when no event was accepted
  std::uint64_t last_sequence = 0;
  std::uint64_t accepted = 0;
  std::uint64_t duplicates = 0;
  std::vector<ApplyReject> rejects;  // ascending by record
};

class Applier {
 public:
  explicit Applier(std::uint64_t hash_key, std::int32_t dedupe_days = limits::kDedupeDays);
  ~Applier();
  Applier(const Applier&) = delete;
  Applier& operator=(const Applier&) = delete;

  // Applies every record of the batch, in order: a later one sees what earlier ones did. Appends to `touched` (may be null)
  // the origins whose answers may have changed, with repeats.
  ApplyResult apply(const std::shared_ptr<const CanonicalBatch>& batch, std::vector<Origin>* touched);
  // Sets what the state gives to the next version: watermark, origins, links, profiles, dictionaries, identities.
  void fill(Version& version);

  // Events of this name are rejected from here on, or no longer.
  void block(std::string_view name, bool blocked) { schema_.block(name, blocked); }
  [[nodiscard]] SchemaView schema() const;

  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return sequence_; }
  // Events that carried a lower-ranked identity of another profile: nothing was joined.
  [[nodiscard]] std::uint64_t identity_conflicts() const noexcept { return conflicts_; }
  [[nodiscard]] std::vector<std::pair<EventKey, std::int32_t>> live_event_ids() const;
  void memory(std::vector<MemoryPart>& parts) const;

 private:
  class Run;  // one batch on its way (apply.cpp)

  Dictionary names_;
  Dictionary keys_;
  Dictionary strings_;
  IdentityMap identities_;
  EventIdIndex event_ids_;
  Links links_;
  ProfileStore profiles_;
  std::array<FactStore, kFactTypes> facts_;  // by FactType
  GroupStore groups_;
  SchemaCounts schema_;
  std::int64_t received_ms_ = 0;  // the latest
  std::uint64_t sequence_ = 0;
  std::uint64_t order_ = 0;  // of the next accepted event
  std::uint64_t operation_order_ = 0;
  std::uint64_t conflicts_ = 0;
  std::uint32_t origin_count_ = 0;
  std::int32_t day_ = 0;  // of receipt, never decreasing
};

}  // namespace cdp
