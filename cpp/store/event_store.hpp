// Turns the tail into layers and layers into fewer layers. Pure functions over immutable inputs: the engine decides when,
// on which thread, and publishes the result.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "store/retention.hpp"
#include "store/version.hpp"

namespace cdp {

class Pool;  // base/pool.hpp

// The rows of these tail batches as sealed layers, one a (shard, partition) that has rows, every layer with
// homed_sequence = links.last_change(); those of one partition are a tier. Cost: ~60-90 ns a row with 6 properties.
// Deterministic. `pool` may be null; else its helpers take part: not from inside a task of it.
struct SealedLayer {
  std::uint32_t shard = 0;
  std::shared_ptr<const Layer> layer;
};
[[nodiscard]] std::vector<SealedLayer> seal(std::span<const std::shared_ptr<const TailBatch>> tail,
                                            const Placement& placement, const LinkView& links, Pool* pool = nullptr);

// The layers of one partition and stretch of the log, by shard; null where a shard has no rows. Rows of an origin lie in one
// place of a tier, so tiers tell which of its rows came first; a shard merged by itself would lose that when profiles part
// and join again. So a tier is sealed, merged and replaced whole.
struct Tier {
  std::vector<std::shared_ptr<const Layer>> shards;
};
[[nodiscard]] std::uint64_t rows_of_tier(const Tier& tier) noexcept;

// One tier out of adjacent tiers (oldest first) of one partition: rows in order, homed by `links` (rows whose home moved
// since their layer was built move with it, also to another shard). A shard in which no row moves and that has one layer
// keeps its chunks: only homed_sequence is brought up to date.
// Rows past the horizon (null: none) are left out. REQUIRES: tiers not empty, adjacent, one partition. Cost: ~50-110 ns a row.
[[nodiscard]] Tier merge_tiers(std::span<const Tier> tiers, const Placement& placement, const LinkView& links,
                               const Horizon* horizon = nullptr);

// Which adjacent tiers to merge next: by rows, fan-in kMergeFanIn; empty when nothing is worth it.
// A tier comes first of which over 2 % is past retention at engine time (any, when draining), then
// a partition with rows misplaced by links, whole, when split profiles own over 2 % of its rows (or when
// `drain_split` asks for it). `look_for_split`: false leaves that search out, which costs as much as many merges when it is
// made at each look. `in_bulk`: rows come so fast that each merge takes from them: four times as many tiers may wait, and
// quiet partitions do.
[[nodiscard]] std::vector<Tier> choose_merge(const Version& version, bool drain_split = false,
                                             bool look_for_split = true, bool in_bulk = false);

// Origins whose rows may lie under another profile than theirs: they are read one by one until a merge brings them home.
[[nodiscard]] std::size_t count_split(const Version& version);

// A row anywhere in a version, and its fields. Used by everything that is not a fast kernel.
struct Row {
  std::int64_t time_ms = 0;
  Origin origin{};
  NameId name{};
  std::uint32_t layer = 0;       // rank of its layer in (partition, log order); tail batches come last
  const Chunk* chunk = nullptr;  // null: a tail row
  std::uint32_t spine_row = 0;   // in the chunk
  const TailBatch* batch = nullptr;
  std::uint32_t event = 0;          // index into batch->event
  std::uint32_t slice_row = kNone;  // in the chunk's slice of its name, where that is known already
};

// Every row of the profile whose home this is, over all layers and the tail, in event order (time, origin, log order),
// restricted to names in `names` when not empty (ascending). Always right; ~1 us a layer plus ~20 ns a row.
void rows_of(const Version& version, Origin home, std::span<const NameId> names, std::vector<Row>& out);

// The part of a profile's rows that is wanted: at most `count` of those up to `now_ms`, from the old end or the new one.
struct RowCut {
  std::int64_t now_ms = INT64_MAX;
  std::uint64_t count = UINT64_MAX;
  bool newest = false;
  const Horizon* horizon = nullptr;  // rows past it are not there; null: all are
};
// As above, in event order, cut. Partitions beyond the cut are not looked at.
void rows_of(const Version& version, Origin home, std::span<const NameId> names, const RowCut& cut,
             std::vector<Row>& out);
// Adds those of a chunk's rows under `place` that belong to the profile `home`; `layer` becomes theirs.
// REQUIRES: names ascend; rows = chunk.rows_of(place's local id). `horizon` may be null.
void add_chunk_rows(const LinkView& links, const Horizon* horizon, Origin home, std::span<const NameId> names,
                    const Chunk& chunk, Chunk::Rows rows, Origin place, std::uint32_t layer, std::vector<Row>& out);
// Brings rows of one profile into event order (time, origin, log order).
void order_events(std::vector<Row>& rows);

// Value of a property of a row: null type when absent. Dictionary types give a StringId.
[[nodiscard]] Value property(const Row& row, KeyId key);
// All properties of a row, in key order.
void properties(const Row& row, std::vector<std::pair<KeyId, Value>>& out);
// The same of many rows, one behind the other, `ends[i]` where those of rows[i] end. Their cache misses overlap: ~0.3 us a
// row of 5 properties that lies in cold memory, a third of one by one.
void properties(std::span<const Row> rows, std::vector<std::pair<KeyId, Value>>& out, std::vector<std::uint32_t>& ends);

}  // namespace cdp
