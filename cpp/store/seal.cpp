// Tail batches -> layers. One pass places the rows (shard, partition, local id, time), then each (shard, partition) is cut,
// its rows are laid chunk by chunk, and each chunk is ordered and built; column_gather.hpp says how columns are.

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include "base/huge_pages.hpp"
#include "base/pool.hpp"
#include "store/chunk_builder.hpp"
#include "store/column_gather.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

constexpr std::size_t kSharedRows = 64 << 10;  // fewer: one thread is done before another wakes

// What all rows share.
struct SealRun {
  std::vector<SealShape> shapes;  // of all batches
  std::vector<NameId> names;      // ascending
};

struct Bucket {
  std::uint32_t shard = 0;
  std::int32_t partition = 0;
  std::int64_t start_ms = 0;
  bool several_origins = false;  // some row's origin is not its profile's own
  std::uint64_t first_order = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t last_order = 0;
  HugeVector<PlacedRow> rows;  // in log order
};

// Layers of one partition are a tier: all have the orders of all.
void share_orders(std::span<Bucket* const> buckets) {
  std::map<std::int32_t, std::pair<std::uint64_t, std::uint64_t>> orders;
  for (const Bucket* bucket : buckets) {
    auto& [first, last] = orders.try_emplace(bucket->partition, bucket->first_order, bucket->last_order).first->second;
    first = std::min(first, bucket->first_order);
    last = std::max(last, bucket->last_order);
  }
  for (Bucket* bucket : buckets) std::tie(bucket->first_order, bucket->last_order) = orders.at(bucket->partition);
}

void collect_shapes(std::span<const std::shared_ptr<const TailBatch>> tail, SealRun& out) {
  for (const auto& batch : tail) {
    for (const std::uint32_t name : batch->shape_name) out.names.push_back(NameId{name});
  }
  std::sort(out.names.begin(), out.names.end());
  out.names.erase(std::unique(out.names.begin(), out.names.end()), out.names.end());
  for (const auto& batch : tail) {
    const EventColumns& events = batch->batch->events;
    for (std::size_t index = 0; index < events.shapes.size(); ++index) {
      const Shape& shape = events.shapes[index];
      const auto at = std::lower_bound(out.names.begin(), out.names.end(), NameId{batch->shape_name[index]});
      out.shapes.push_back({std::span{events.fields}.subspan(shape.first_field, shape.field_count),
                            batch->field_key.data() + shape.first_field, batch->string_id.data(),
                            static_cast<std::uint16_t>(at - out.names.begin())});
    }
  }
}

// Finds the bucket of a row; rows of a shard mostly stay in one partition.
class Buckets {
 public:
  Buckets(std::uint32_t shard_count, std::size_t row_count)
      : latest_(shard_count), shard_rows_(row_count / shard_count) {}
  Bucket& of(std::uint32_t shard, std::int64_t time_ms) {
    Latest& latest = latest_[shard];
    if (latest.bucket == kNone || time_ms < latest.start_ms || time_ms - latest.start_ms >= limits::kPartitionMs) {
      latest = find(shard, partition_of(time_ms));
    }
    return buckets_[latest.bucket];
  }
  // By (shard, partition).
  [[nodiscard]] std::vector<Bucket*> ordered() {
    std::vector<Bucket*> out;
    for (const auto& [place, index] : index_) out.push_back(&buckets_[index]);
    return out;
  }

 private:
  struct Latest {
    std::int64_t start_ms = 0;
    std::uint32_t bucket = kNone;
  };
  Latest find(std::uint32_t shard, std::int32_t partition) {
    const auto [at, fresh] = index_.try_emplace({shard, partition}, static_cast<std::uint32_t>(buckets_.size()));
    if (fresh) {
      buckets_.emplace_back();
      buckets_.back().shard = shard;
      buckets_.back().partition = partition;
      buckets_.back().start_ms = partition_start_ms(partition);
      if (latest_[shard].bucket == kNone) buckets_.back().rows.reserve(shard_rows_);  // mostly there is no other
    }
    return {partition_start_ms(partition), at->second};
  }

  std::map<std::pair<std::uint32_t, std::int32_t>, std::uint32_t> index_;
  std::vector<Bucket> buckets_;
  std::vector<Latest> latest_;
  std::size_t shard_rows_;
};

void place_rows(std::span<const std::shared_ptr<const TailBatch>> tail, const Placement& placement,
                const LinkView& links, Buckets& buckets) {
  const bool linked = links.last_change() != 0;
  std::uint32_t first_shape = 0;
  for (const auto& batch : tail) {
    const EventColumns& events = batch->batch->events;
    for (std::size_t index = 0; index < batch->event.size(); ++index) {
      const std::uint32_t event = batch->event[index];
      const Origin origin = batch->origin[index];
      const Origin home = linked ? links.home(origin) : origin;
      Bucket& bucket = buckets.of(placement.shard(home), events.time_ms[event]);
      bucket.several_origins |= home != origin;
      bucket.first_order = std::min(bucket.first_order, batch->first_order + index);
      bucket.last_order = batch->first_order + index;
      bucket.rows.push_back({placement.local_id(home),
                             static_cast<std::uint32_t>(events.time_ms[event] - bucket.start_ms), raw(origin),
                             first_shape + events.shape[event], events.values.data() + events.first_value[event]});
    }
    first_shape += static_cast<std::uint32_t>(events.shapes.size());
  }
}

// A layer on its way: cut, its rows laid chunk by chunk in log order, then built chunk by chunk.
struct LayerPlan {
  Bucket* bucket = nullptr;
  std::vector<ChunkCut> cuts;
  std::vector<std::size_t> first_row;  // of each cut
  std::vector<std::shared_ptr<const Chunk>> chunks;
};

std::uint32_t block_of(const PlacedRow& row) noexcept { return row.id / limits::kBlockIds; }

// How many rows lie in which block, and in which cut a block came to lie.
class BlockTable {
 public:
  explicit BlockTable(std::span<const PlacedRow> rows) {
    std::uint32_t high = 0;
    for (const PlacedRow& row : rows) low_ = std::min(low_, block_of(row)), high = std::max(high, block_of(row));
    counts_.resize(high - low_ + 1);
    for (const PlacedRow& row : rows) ++counts_[block_of(row) - low_];
  }
  [[nodiscard]] std::vector<BlockRows> blocks() const {
    std::vector<BlockRows> out;
    for (std::uint32_t block = 0; block < counts_.size(); ++block) {
      if (counts_[block] != 0) out.push_back({low_ + block, counts_[block]});
    }
    return out;
  }
  void set_cuts(std::span<const ChunkCut> cuts) {
    for (std::uint32_t index = 0; index < cuts.size(); ++index) {
      const std::uint32_t last = std::min<std::uint32_t>(cuts[index].last_block - low_, counts_.size());
      for (std::uint32_t block = cuts[index].first_block - low_; block < last; ++block) counts_[block] = index;
    }
  }
  [[nodiscard]] std::uint32_t cut_of(const PlacedRow& row) const noexcept { return counts_[block_of(row) - low_]; }

 private:
  std::uint32_t low_ = kNone;
  std::vector<std::uint32_t> counts_;  // then the cuts
};

// Rows are brought to their chunks here, where each chunk's are written one behind the other, and into order there, where
// they lie in cache: ordering half a million rows at once cost more than twice that.
LayerPlan plan_layer(Bucket& bucket) {
  LayerPlan plan;
  plan.bucket = &bucket;
  BlockTable table(bucket.rows);
  plan.cuts = cut_chunks(table.blocks());
  plan.chunks.resize(plan.cuts.size());
  std::size_t first = 0;
  for (const ChunkCut& cut : plan.cuts) {
    plan.first_row.push_back(first);
    first += cut.row_count;
  }
  if (plan.cuts.size() == 1) return plan;
  table.set_cuts(plan.cuts);
  std::vector<std::size_t> next = plan.first_row;
  HugeVector<PlacedRow> rows(bucket.rows.size());
  for (const PlacedRow& row : bucket.rows) rows[next[table.cut_of(row)]++] = row;
  bucket.rows.swap(rows);
  return plan;
}

// Builds chunks one after the other; the buffers are kept.
class ChunkBuild {
 public:
  ChunkBuild(const SealRun& run, const Placement& placement) : run_(run), placement_(placement), gather_(run.shapes) {}

  void build(LayerPlan& plan, std::size_t index) {
    const Bucket& bucket = *plan.bucket;
    const ChunkCut& cut = plan.cuts[index];
    const auto placed = std::span<const PlacedRow>{bucket.rows}.subspan(plan.first_row[index], cut.row_count);
    const RowKeys keys = keys_of(placed, bucket.several_origins);
    rows_.resize(placed.size());
    std::iota(rows_.begin(), rows_.end(), 0u);
    order_.order(keys, rows_);
    Chunk chunk = build_chunk({bucket.partition, bucket.shard, placement_}, cut, keys, run_.names, rows_, slices_);
    for (std::uint32_t code = 0; code < chunk.slices.size(); ++code) {
      gather_.gather(placed, slices_.of(code), chunk.slices[code].columns);
    }
    plan.chunks[index] = std::make_shared<const Chunk>(std::move(chunk));
  }

 private:
  RowKeys keys_of(std::span<const PlacedRow> placed, bool several_origins) {
    id_.resize(placed.size()), time_.resize(placed.size()), name_.resize(placed.size());
    for (std::size_t at = 0; at < placed.size(); ++at) {
      id_[at] = placed[at].id;
      time_[at] = placed[at].time;
      name_[at] = run_.shapes[placed[at].shape].name;
    }
    origin_.resize(several_origins ? placed.size() : 0);
    for (std::size_t at = 0; at < origin_.size(); ++at) origin_[at] = placed[at].origin;
    return {id_, time_, origin_, name_};
  }

  const SealRun& run_;
  const Placement& placement_;
  ColumnGather gather_;
  RowOrder order_;
  SliceRows slices_;
  std::vector<std::uint32_t> id_, time_, origin_, rows_;
  std::vector<std::uint16_t> name_;
};

std::shared_ptr<const Layer> layer_of(LayerPlan& plan, std::uint64_t homed_sequence) {
  auto layer = std::make_shared<Layer>();
  layer->partition = plan.bucket->partition;
  layer->row_count = plan.bucket->rows.size();
  layer->first_order = plan.bucket->first_order;
  layer->last_order = plan.bucket->last_order;
  layer->homed_sequence = homed_sequence;
  layer->chunks = std::move(plan.chunks);
  return layer;
}

// task(index, worker), by all of the pool or one behind the other.
template <class Task>
void run_all(Pool* pool, std::size_t count, unsigned threads, Task&& task) {
  if (pool != nullptr) return pool->run(count, threads, task);
  for (std::size_t index = 0; index < count; ++index) task(index, 0u);
}

}  // namespace

std::vector<SealedLayer> seal(std::span<const std::shared_ptr<const TailBatch>> tail, const Placement& placement,
                              const LinkView& links, Pool* pool) {
  std::size_t row_count = 0;
  for (const auto& batch : tail) row_count += batch->event.size();
  SealRun run;
  Buckets buckets(placement.shard_count, row_count);
  collect_shapes(tail, run);
  place_rows(tail, placement, links, buckets);
  const std::vector<Bucket*> ordered = buckets.ordered();
  share_orders(ordered);
  const unsigned threads = pool == nullptr || row_count < kSharedRows ? 1 : pool->helpers() + 1;
  std::vector<LayerPlan> plans(ordered.size());
  run_all(pool, plans.size(), threads,
          [&](std::size_t index, unsigned) { plans[index] = plan_layer(*ordered[index]); });
  std::vector<std::pair<std::size_t, std::size_t>> chunks;  // (plan, cut)
  for (std::size_t plan = 0; plan < plans.size(); ++plan) {
    for (std::size_t cut = 0; cut < plans[plan].cuts.size(); ++cut) chunks.emplace_back(plan, cut);
  }
  std::vector<std::optional<ChunkBuild>> builds(threads);
  run_all(pool, chunks.size(), threads, [&](std::size_t index, unsigned worker) {
    if (!builds[worker]) builds[worker].emplace(run, placement);
    const auto [plan, cut] = chunks[index];
    builds[worker]->build(plans[plan], cut);
  });
  std::vector<SealedLayer> out;
  for (LayerPlan& plan : plans) out.push_back({plan.bucket->shard, layer_of(plan, links.last_change())});
  return out;
}

}  // namespace cdp
