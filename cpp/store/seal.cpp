// Tail batches -> layers. One pass places the rows (shard, partition, local id, time), then each (shard, partition) is
// ordered, cut and built; columns are gathered through shapes: a row's values lie together in its batch, so a column is one
// tight loop over `values[first_value + field_of[shape]]`, with nothing hashed per value but dictionary codes.

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/pool.hpp"
#include "store/chunk_builder.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

constexpr std::size_t kSharedRows = 64 << 10;  // fewer: one thread is done before another wakes

constexpr std::size_t kFieldsAhead = 24;
constexpr std::size_t kLineValues = 8;

// A shape of one batch with its meanings in the store.
struct SealShape {
  std::span<const ShapeField> fields;
  const std::uint32_t* keys = nullptr;     // KeyId of each field
  const std::uint32_t* strings = nullptr;  // StringId of the batch's string indexes
  std::uint16_t name = 0;                  // index into the run's names
};

// Rows in log order; a bucket is a (shard, partition).
struct SealRows {
  struct Fields {
    const std::uint64_t* values = nullptr;
    std::uint32_t shape = 0;  // index into shapes
  };
  std::vector<std::uint32_t> id, time, origin;
  std::vector<std::uint16_t> name;
  std::vector<Fields> fields;
  std::vector<SealShape> shapes;  // of all batches
  std::vector<NameId> names;      // ascending
};

struct Bucket {
  std::uint32_t shard = 0;
  std::int32_t partition = 0;
  bool several_origins = false;  // some row's origin is not its profile's own
  std::uint64_t first_order = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t last_order = 0;
  std::vector<std::uint32_t> rows;
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

void collect_shapes(std::span<const std::shared_ptr<const TailBatch>> tail, SealRows& out) {
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
  explicit Buckets(std::uint32_t shard_count) : latest_(shard_count) {}
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
    }
    return {partition_start_ms(partition), at->second};
  }

  std::map<std::pair<std::uint32_t, std::int32_t>, std::uint32_t> index_;
  std::vector<Bucket> buckets_;
  std::vector<Latest> latest_;
};

void place_rows(std::span<const std::shared_ptr<const TailBatch>> tail, const Placement& placement,
                const LinkView& links, SealRows& out, Buckets& buckets) {
  std::size_t row_count = 0;
  for (const auto& batch : tail) row_count += batch->event.size();
  out.id.resize(row_count), out.time.resize(row_count), out.origin.resize(row_count);
  out.name.resize(row_count), out.fields.resize(row_count);
  const bool linked = links.last_change() != 0;
  std::uint32_t row = 0, first_shape = 0;
  for (const auto& batch : tail) {
    const EventColumns& events = batch->batch->events;
    for (std::size_t index = 0; index < batch->event.size(); ++index, ++row) {
      const std::uint32_t event = batch->event[index];
      const Origin origin = batch->origin[index];
      const Origin home = linked ? links.home(origin) : origin;
      Bucket& bucket = buckets.of(placement.shard(home), events.time_ms[event]);
      bucket.rows.push_back(row);
      bucket.several_origins |= home != origin;
      bucket.first_order = std::min(bucket.first_order, batch->first_order + index);
      bucket.last_order = batch->first_order + index;
      out.id[row] = placement.local_id(home);
      out.time[row] = static_cast<std::uint32_t>(events.time_ms[event] - partition_start_ms(bucket.partition));
      out.origin[row] = raw(origin);
      const std::uint32_t shape = first_shape + events.shape[event];
      out.name[row] = out.shapes[shape].name;
      out.fields[row] = {events.values.data() + events.first_value[event], shape};
    }
    first_shape += static_cast<std::uint32_t>(events.shapes.size());
  }
}

// Columns of one slice after the other; the buffers are kept.
class ColumnGather {
 public:
  explicit ColumnGather(const SealRows& rows) : rows_(rows), local_(rows.shapes.size(), kNone) {}

  void gather(std::span<const std::uint32_t> rows, std::vector<Column>& out) {
    find_shapes(rows);
    group_rows();
    find_fields();
    std::size_t columns = 0;
    for (std::size_t at = 0; at < fields_.size(); ++at)
      columns += at == 0 || fields_[at].column != fields_[at - 1].column;
    out.reserve(columns);
    for (std::size_t first = 0, last; first < fields_.size(); first = last) {
      for (last = first + 1; last < fields_.size() && fields_[last].column == fields_[first].column;) ++last;
      out.push_back(column_of({fields_.data() + first, last - first}));
    }
    for (const std::uint32_t shape : used_) local_[shape] = kNone;
  }

 private:
  struct Field {
    std::uint64_t column = 0;  // key << 8 | type
    std::uint32_t shape = 0;   // local
    std::uint32_t index = 0;
  };

  // The shapes of these rows get numbers of their own: shape_ holds that of each row.
  void find_shapes(std::span<const std::uint32_t> rows) {
    used_.clear();
    shape_.resize(rows.size());
    values_.resize(rows.size());
    for (std::size_t at = 0; at < rows.size(); ++at) {
      if (at + kFieldsAhead < rows.size()) __builtin_prefetch(&rows_.fields[rows[at + kFieldsAhead]]);
      const SealRows::Fields& fields = rows_.fields[rows[at]];
      __builtin_prefetch(fields.values);
      __builtin_prefetch(fields.values + kLineValues - 1);  // mostly they reach into a second line
      values_[at] = fields.values;
      std::uint32_t& local = local_[fields.shape];
      if (local == kNone) {
        local = static_cast<std::uint32_t>(used_.size());
        used_.push_back(fields.shape);
      }
      shape_[at] = local;
    }
  }

  void find_fields() {
    fields_.clear();
    field_of_.assign(used_.size(), kNone);
    strings_.resize(used_.size());
    for (std::uint32_t local = 0; local < used_.size(); ++local) {
      const SealShape& shape = rows_.shapes[used_[local]];
      strings_[local] = shape.strings;
      for (std::uint32_t index = 0; index < shape.fields.size(); ++index) {
        const auto type = static_cast<std::uint64_t>(shape.fields[index].type);
        fields_.push_back({std::uint64_t{shape.keys[index]} << 8 | type, local, index});
      }
    }
    std::stable_sort(fields_.begin(), fields_.end(),
                     [](const Field& left, const Field& right) { return left.column < right.column; });
  }

  Column column_of(std::span<const Field> fields) {
    const KeyId key{static_cast<std::uint32_t>(fields.front().column >> 8)};
    const auto type = static_cast<ValueType>(fields.front().column & 0xFF);
    const bool strings = is_dictionary_type(type);
    const bool dense = fields.size() == used_.size();
    for (const Field& field : fields) field_of_[field.shape] = field.index;
    bits_.resize(shape_.size());
    present_.clear();
    std::size_t count = shape_.size();
    std::size_t rows_of_shapes = 0;
    for (const Field& field : fields) rows_of_shapes += shape_rows_[field.shape + 1] - shape_rows_[field.shape];
    if (rows_of_shapes * 8 < shape_.size()) {
      present_.assign((shape_.size() + 63) / 64, 0);
      count = take_rare(fields, strings);
    } else if (dense) {
      strings ? take_dense<true>() : take_dense<false>();
    } else {
      present_.assign((shape_.size() + 63) / 64, 0);
      count = strings ? take_sparse<true>() : take_sparse<false>();
    }
    for (const Field& field : fields) field_of_[field.shape] = kNone;
    return build_column(key, type, static_cast<std::uint32_t>(shape_.size()), std::span{bits_}.first(count), present_);
  }

  template <bool kStrings>
  void take_dense() {
    if (used_.size() == 1) return take_one_shape<kStrings>();
    for (std::size_t at = 0; at < shape_.size(); ++at) {
      const std::uint64_t bits = values_[at][field_of_[shape_[at]]];
      bits_[at] = kStrings ? strings_[shape_[at]][bits] : bits;
    }
  }

  template <bool kStrings>
  void take_one_shape() {
    const std::uint32_t field = field_of_.front();
    const std::uint32_t* strings = strings_.front();
    for (std::size_t at = 0; at < shape_.size(); ++at) {
      const std::uint64_t bits = values_[at][field];
      bits_[at] = kStrings ? strings[bits] : bits;
    }
  }

  template <bool kStrings>
  std::size_t take_sparse() {
    std::size_t count = 0;
    for (std::size_t at = 0; at < shape_.size(); ++at) {
      const std::uint32_t field = field_of_[shape_[at]];
      if (field == kNone) continue;
      present_[at >> 6] |= std::uint64_t{1} << (at & 63);
      const std::uint64_t bits = values_[at][field];
      bits_[count++] = kStrings ? strings_[shape_[at]][bits] : bits;
    }
    return count;
  }

  // Few rows have it: only those of its shapes are visited, so that many rare keys do not cost rows times keys.
  std::size_t take_rare(std::span<const Field> fields, bool strings) {
    visit_.clear();
    for (const Field& field : fields) {
      const std::uint32_t first = shape_rows_[field.shape], last = shape_rows_[field.shape + 1];
      visit_.insert(visit_.end(), by_shape_.begin() + first, by_shape_.begin() + last);
    }
    if (fields.size() > 1) std::sort(visit_.begin(), visit_.end());
    std::size_t count = 0;
    for (const std::uint32_t at : visit_) {
      present_[at >> 6] |= std::uint64_t{1} << (at & 63);
      const std::uint64_t bits = values_[at][field_of_[shape_[at]]];
      bits_[count++] = strings ? strings_[shape_[at]][bits] : bits;
    }
    return count;
  }

  // Rows grouped by shape: by_shape_[shape_rows_[s] .. shape_rows_[s + 1]), ascending.
  void group_rows() {
    shape_rows_.assign(used_.size() + 2, 0);
    for (const std::uint32_t shape : shape_) ++shape_rows_[shape + 2];
    for (std::size_t shape = 2; shape < shape_rows_.size(); ++shape) shape_rows_[shape] += shape_rows_[shape - 1];
    by_shape_.resize(shape_.size());
    for (std::uint32_t at = 0; at < shape_.size(); ++at) by_shape_[shape_rows_[shape_[at] + 1]++] = at;
  }

  const SealRows& rows_;
  std::vector<std::uint32_t> local_;  // of every shape of the run: its number in this slice
  std::vector<std::uint32_t> used_, shape_, field_of_, shape_rows_, by_shape_, visit_;
  std::vector<const std::uint64_t*> values_;
  std::vector<const std::uint32_t*> strings_;
  std::vector<Field> fields_;
  std::vector<std::uint64_t> bits_, present_;
};

std::vector<BlockRows> count_blocks(const RowKeys& keys, std::span<const std::uint32_t> rows) {
  std::vector<BlockRows> blocks;
  for (const std::uint32_t row : rows) {
    const std::uint32_t block = keys.id[row] / limits::kBlockIds;
    if (blocks.empty() || blocks.back().block != block) blocks.push_back({block, 0});
    ++blocks.back().row_count;
  }
  return blocks;
}

// A layer on its way: ordered and cut, then built chunk by chunk.
struct LayerPlan {
  Bucket* bucket = nullptr;
  RowKeys keys;
  std::vector<ChunkCut> cuts;
  std::vector<std::size_t> first_row;  // of each cut, in the bucket
  std::vector<std::shared_ptr<const Chunk>> chunks;
};

LayerPlan plan_layer(Bucket& bucket, const SealRows& rows) {
  LayerPlan plan;
  plan.bucket = &bucket;
  plan.keys = {rows.id, rows.time, {}, rows.name};
  if (bucket.several_origins) plan.keys.origin = rows.origin;
  order_rows(plan.keys, bucket.rows);
  plan.cuts = cut_chunks(count_blocks(plan.keys, bucket.rows));
  plan.chunks.resize(plan.cuts.size());
  std::size_t first = 0;
  for (const ChunkCut& cut : plan.cuts) {
    plan.first_row.push_back(first);
    first += cut.row_count;
  }
  return plan;
}

void build(LayerPlan& plan, std::size_t index, const SealRows& rows, const Placement& placement, ColumnGather& gather,
           SliceRows& slices) {
  const ChunkCut& cut = plan.cuts[index];
  const ChunkPlace place{plan.bucket->partition, plan.bucket->shard, placement};
  const auto chunk_rows =
      std::span<const std::uint32_t>{plan.bucket->rows}.subspan(plan.first_row[index], cut.row_count);
  Chunk chunk = build_chunk(place, cut, plan.keys, rows.names, chunk_rows, slices);
  for (std::uint32_t code = 0; code < chunk.slices.size(); ++code) {
    gather.gather(slices.of(code), chunk.slices[code].columns);
  }
  plan.chunks[index] = std::make_shared<const Chunk>(std::move(chunk));
}

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

// What a thread needs to build chunks; the buffers are kept.
struct Builder {
  explicit Builder(const SealRows& rows) : gather(rows) {}
  ColumnGather gather;
  SliceRows slices;
};

// task(index, worker), by all of the pool or one behind the other.
template <class Task>
void run_all(Pool* pool, std::size_t count, unsigned threads, Task&& task) {
  if (pool != nullptr) return pool->run(count, threads, task);
  for (std::size_t index = 0; index < count; ++index) task(index, 0u);
}

}  // namespace

std::vector<SealedLayer> seal(std::span<const std::shared_ptr<const TailBatch>> tail, const Placement& placement,
                              const LinkView& links, Pool* pool) {
  SealRows rows;
  Buckets buckets(placement.shard_count);
  collect_shapes(tail, rows);
  place_rows(tail, placement, links, rows, buckets);
  const std::vector<Bucket*> ordered = buckets.ordered();
  share_orders(ordered);
  const unsigned threads = pool == nullptr || rows.id.size() < kSharedRows ? 1 : pool->helpers() + 1;
  std::vector<LayerPlan> plans(ordered.size());
  run_all(pool, plans.size(), threads,
          [&](std::size_t index, unsigned) { plans[index] = plan_layer(*ordered[index], rows); });
  std::vector<std::pair<std::size_t, std::size_t>> chunks;  // (plan, cut)
  for (std::size_t plan = 0; plan < plans.size(); ++plan) {
    for (std::size_t cut = 0; cut < plans[plan].cuts.size(); ++cut) chunks.emplace_back(plan, cut);
  }
  std::vector<std::optional<Builder>> builders(threads);
  run_all(pool, chunks.size(), threads, [&](std::size_t index, unsigned worker) {
    if (!builders[worker]) builders[worker].emplace(rows);
    const auto [plan, cut] = chunks[index];
    build(plans[plan], cut, rows, placement, builders[worker]->gather, builders[worker]->slices);
  });
  std::vector<SealedLayer> out;
  for (LayerPlan& plan : plans) out.push_back({plan.bucket->shard, layer_of(plan, links.last_change())});
  return out;
}

}  // namespace cdp
