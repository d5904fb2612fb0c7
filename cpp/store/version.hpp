// An immutable picture of the store at one watermark. Queries pin one and see nothing else; apply publishes the next.
//
// Rows live in layers (sealed, chunked) and in the tail (batches as they came, in log order). Order of the same
// partition: layers[] is in log order, oldest first, the tail is newest. Rows are placed under `local_id(home)`, where
// home is the profile of the row's origin when the layer was built; `split` names the profiles whose links changed
// since (or whose origins several layers place differently): fast kernels leave them out, `rows()` gathers them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "codec/canonical_batch.hpp"
#include "column/chunk.hpp"

namespace cdp {

class FactView;     // store/fact_store.hpp: immutable facts of one type
class GroupStore;   // store/group_store.hpp: append-only, readable while it grows
class Dictionary;   // column/dictionary.hpp: append-only, readable while it grows
class IdentityMap;  // store/identity_map.hpp
class LinkView;     // store/links.hpp: immutable components
class ProfileView;  // store/profile_store.hpp: immutable trait pages and histories
class Retention;    // store/retention.hpp: immutable rules

// Placement. Origins spread round-robin over the shards, so local ids are dense in origin order without a table and no
// choice of identities can overload one shard (what the design wanted of a keyed hash).
struct Placement {
  std::uint32_t shard_count = 1;  // 1, 4 or 16
  [[nodiscard]] std::uint32_t shard(Origin origin) const noexcept { return raw(origin) & (shard_count - 1); }
  [[nodiscard]] std::uint32_t local_id(Origin origin) const noexcept {
    return raw(origin) >> __builtin_ctz(shard_count);
  }
  [[nodiscard]] Origin origin(std::uint32_t shard, std::uint32_t local_id) const noexcept {
    return Origin{(local_id << __builtin_ctz(shard_count)) | shard};
  }
};

// A sealed set of rows of one shard and partition. Layers of a partition with the same orders are a tier
// (store/event_store.hpp).
struct Layer {
  std::int32_t partition = 0;
  std::uint64_t row_count = 0;
  std::uint64_t first_order = 0;  // log order of the rows of its tier: tiers of a partition never interleave
  std::uint64_t last_order = 0;
  std::uint64_t homed_sequence = 0;                  // links up to this sequence were known when it was built
  std::vector<std::shared_ptr<const Chunk>> chunks;  // ascending first_id, disjoint
};

struct ShardLayers {
  std::vector<std::shared_ptr<const Layer>> layers;  // by (partition, first_order)
};

// One batch of the tail behind apply: which rows were accepted and what its local indexes mean in the store.
struct TailBatch {
  std::shared_ptr<const CanonicalBatch> batch;
  std::uint64_t first_order = 0;          // log order of its first accepted event
  std::vector<std::uint32_t> event;       // accepted events: index into batch->events, in log order
  std::vector<Origin> origin;             // of each accepted event
  std::vector<std::uint32_t> string_id;   // batch string index -> StringId; kNone where the string is no value
  std::vector<std::uint32_t> shape_name;  // shape -> NameId
  std::vector<std::uint32_t> field_key;   // field -> KeyId
};

struct ScanPlan;       // query/scan_plan.hpp
struct NamedSegments;  // query/segments.hpp

// What queries derive from a version once and share: the tail as chunks, the slow profiles. All copies of a version share a
// shelf with the newest plan made of any of them, and a new plan takes over from it what still holds. Under locks of its own.
class ScanPlanSlot {
 public:
  ScanPlanSlot() = default;
  ScanPlanSlot(const ScanPlanSlot& other) : shelf_(other.shelf_) {}
  ScanPlanSlot& operator=(const ScanPlanSlot& other) {
    if (this == &other) return *this;
    const std::lock_guard lock(mutex_);
    plan_.reset();
    shelf_ = other.shelf_;
    return *this;
  }
  [[nodiscard]] std::shared_ptr<const ScanPlan> get() const {  // of this very version, or null
    const std::lock_guard lock(mutex_);
    return plan_;
  }
  [[nodiscard]] std::shared_ptr<const ScanPlan> newest() const {  // of any copy, or null
    const std::lock_guard lock(shelf_->mutex);
    return shelf_->newest;
  }
  // `watermark`: of this version. A reader of an old version does not push a newer plan off the shelf.
  void set(const std::shared_ptr<const ScanPlan>& plan, std::uint64_t watermark) const {
    {
      const std::lock_guard lock(mutex_);
      plan_ = plan;
    }
    const std::lock_guard lock(shelf_->mutex);
    if (shelf_->newest != nullptr && watermark < shelf_->watermark) return;
    shelf_->newest = plan;
    shelf_->watermark = watermark;
  }
  // Held while the plan is made, so that it is made once.
  [[nodiscard]] std::unique_lock<std::mutex> making() const { return std::unique_lock(making_); }

 private:
  struct Shelf {
    std::mutex mutex;
    std::shared_ptr<const ScanPlan> newest;
    std::uint64_t watermark = 0;
  };
  mutable std::mutex mutex_;
  mutable std::mutex making_;
  mutable std::shared_ptr<const ScanPlan> plan_;
  std::shared_ptr<Shelf> shelf_ = std::make_shared<Shelf>();
};

struct Version {
  std::uint64_t watermark = 0;  // highest record sequence applied
  std::int64_t tick_ms = 0;     // engine time: the last tick or received time
  std::uint32_t origin_count = 0;
  std::uint64_t identity_count = 0;  // of `identities`: it runs ahead
  std::uint64_t event_count = 0;     // rows visible, tail included
  Placement placement;
  std::vector<ShardLayers> shards;
  std::vector<std::shared_ptr<const TailBatch>> tail;
  std::shared_ptr<const LinkView> links;
  std::shared_ptr<const ProfileView> profiles;
  std::array<std::shared_ptr<const FactView>, kFactTypes> facts;  // by FactType
  const Dictionary* names = nullptr;                              // NameId; all owned by the engine, append-only
  const Dictionary* keys = nullptr;                               // KeyId
  Dictionary* strings = nullptr;  // StringId: string, list and item values; a question may intern what it takes apart
  const IdentityMap* identities = nullptr;
  const GroupStore* groups = nullptr;  // of which the first `group_count` are there
  std::uint32_t group_count = 0;
  std::shared_ptr<const ProfileView> group_traits;  // by the group's number
  std::shared_ptr<const Retention> retention;       // null: rows stay for ever
  std::shared_ptr<const NamedSegments> segments;    // live ones, for predicates that name them; null: none
  ScanPlanSlot scan_plan;
};

using VersionPtr = std::shared_ptr<const Version>;

}  // namespace cdp
