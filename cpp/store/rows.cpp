// Rows of one profile over all layers and the tail, and fields of a row.
//
// A row lies under the home its profile had when its layer was built: some relative of today's. So every relative's place
// is looked up in every layer, and a row counts iff its origin's home today is the one asked for. Each row lies in one
// place only, so nothing is found twice.

#include <algorithm>
#include <tuple>

#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

constexpr std::size_t kCompareOrigins = 8;  // members compared one by one in the tail; more: through their homes

[[nodiscard]] bool wanted(std::span<const NameId> names, NameId name) {
  return names.empty() || std::binary_search(names.begin(), names.end(), name);
}

const Chunk* chunk_of(const Layer& layer, std::uint32_t local_id) {
  const auto after = std::upper_bound(layer.chunks.begin(), layer.chunks.end(), local_id,
                                      [](std::uint32_t id, const auto& chunk) { return id < chunk->first_id; });
  if (after == layer.chunks.begin()) return nullptr;
  const Chunk* chunk = std::prev(after)->get();
  return local_id < chunk->last_id ? chunk : nullptr;
}

// What is asked for, and where answers go.
struct Wanted {
  const Version& version;
  Origin home;
  std::span<const NameId> names;
  std::vector<Row>& out;
};

void add_chunk_rows(const Wanted& wanted_rows, const Chunk& chunk, std::uint32_t local_id, Origin place,
                    std::uint32_t layer_rank) {
  const Chunk::Rows rows = chunk.rows_of(local_id);
  if (rows.first == rows.last) return;
  const LinkView& links = *wanted_rows.version.links;
  if (chunk.foreign.empty() && place != wanted_rows.home && links.home(place) != wanted_rows.home) return;
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  for (std::uint32_t at = rows.first; at < rows.last; ++at) {
    const Origin origin = chunk.foreign.empty() ? place : chunk.foreign.at(at, place);
    if (!chunk.foreign.empty() && origin != wanted_rows.home && links.home(origin) != wanted_rows.home) continue;
    const NameId name = chunk.slices[chunk.code(at)].name;
    if (!wanted(wanted_rows.names, name)) continue;
    wanted_rows.out.push_back({start_ms + chunk.time[at], origin, name, layer_rank, &chunk, at, nullptr, 0});
  }
}

// Layers of the same partition and older than this one, over all shards: a rank that agrees with (partition, log order).
// Only for profiles with relatives in several shards; else the place in the shard's list is the same order.
std::uint32_t rank_of(const Version& version, const Layer& layer) {
  std::uint32_t rank = 0;
  for (const ShardLayers& shard : version.shards) {
    for (const auto& other : shard.layers) {
      rank += std::tie(other->partition, other->first_order) < std::tie(layer.partition, layer.first_order);
    }
  }
  return rank;
}

void add_layer_rows(const Wanted& wanted_rows, Origin place, bool many_shards) {
  const Placement& placement = wanted_rows.version.placement;
  const std::uint32_t local_id = placement.local_id(place);
  if (placement.shard(place) >= wanted_rows.version.shards.size()) return;
  std::uint32_t rank = 0;
  for (const auto& layer : wanted_rows.version.shards[placement.shard(place)].layers) {
    if (const Chunk* chunk = chunk_of(*layer, local_id)) {
      add_chunk_rows(wanted_rows, *chunk, local_id, place, many_shards ? rank_of(wanted_rows.version, *layer) : rank);
    }
    ++rank;
  }
}

constexpr std::size_t kScanStep = 64;

// Whether any of kScanStep origins is the member. Not inlined: alone the compiler turns it into vector compares.
[[gnu::noinline]] bool any_equal(const Origin* origins, Origin member) noexcept {
  std::uint32_t any = 0;
  for (std::size_t lane = 0; lane < kScanStep; ++lane) any |= origins[lane] == member ? ~0u : 0u;
  return any != 0;
}

// Calls found(index) for each origin of the span that is one of the members.
template <class Found>
void find_members(std::span<const Origin> origins, std::span<const Origin> members, Found found) {
  for (std::size_t first = 0; first < origins.size(); first += kScanStep) {
    const std::size_t last = std::min(first + kScanStep, origins.size());
    const auto any = [&](Origin member) { return any_equal(origins.data() + first, member); };
    if (last - first == kScanStep && std::none_of(members.begin(), members.end(), any)) continue;
    for (std::size_t at = first; at < last; ++at) {
      if (std::find(members.begin(), members.end(), origins[at]) != members.end()) found(at);
    }
  }
}

void add_tail_rows(const Wanted& wanted_rows, const TailBatch& batch, std::span<const Origin> members,
                   std::uint32_t rank) {
  const EventColumns& events = batch.batch->events;
  const auto add = [&](std::size_t index) {
    const std::uint32_t event = batch.event[index];
    const NameId name{batch.shape_name[events.shape[event]]};
    if (!wanted(wanted_rows.names, name)) return;
    wanted_rows.out.push_back({events.time_ms[event], batch.origin[index], name, rank, nullptr, 0, &batch, event});
  };
  if (members.size() <= kCompareOrigins) return find_members(batch.origin, members, add);
  for (std::size_t index = 0; index < batch.origin.size(); ++index) {
    const Origin origin = batch.origin[index];
    if (origin < members.front() || origin > members.back()) continue;
    if (std::binary_search(members.begin(), members.end(), origin)) add(index);
  }
}

[[nodiscard]] bool before(const Row& left, const Row& right) noexcept {
  return std::tie(left.time_ms, left.origin, left.layer, left.spine_row, left.event) <
         std::tie(right.time_ms, right.origin, right.layer, right.spine_row, right.event);
}

Value tail_value(const TailBatch& batch, ValueType type, std::uint64_t bits) {
  return {type, is_dictionary_type(type) ? batch.string_id[bits] : bits};
}

}  // namespace

void rows_of(const Version& version, Origin home, std::span<const NameId> names, std::vector<Row>& out) {
  out.clear();
  const Wanted wanted_rows{version, home, names, out};
  const std::span<const Origin> relatives = version.links->relatives(home);
  const bool many_shards = std::any_of(relatives.begin(), relatives.end(), [&](Origin relative) {
    return version.placement.shard(relative) != version.placement.shard(home);
  });
  for (const Origin relative : relatives) add_layer_rows(wanted_rows, relative, many_shards);
  std::uint32_t rank = 0;
  for (const ShardLayers& shard : version.shards) rank += static_cast<std::uint32_t>(shard.layers.size());
  const std::span<const Origin> members = version.links->members(home);
  for (const auto& batch : version.tail) add_tail_rows(wanted_rows, *batch, members, rank++);
  if (!std::is_sorted(out.begin(), out.end(), before)) std::sort(out.begin(), out.end(), before);
}

Value property(const Row& row, KeyId key) {
  if (row.chunk == nullptr) {
    const TailBatch& batch = *row.batch;
    const EventColumns& events = batch.batch->events;
    const Shape& shape = events.shapes[events.shape[row.event]];
    for (std::uint32_t index = 0; index < shape.field_count; ++index) {
      const std::uint32_t field = shape.first_field + index;
      if (batch.field_key[field] != raw(key)) continue;
      return tail_value(batch, events.fields[field].type, events.values[events.first_value[row.event] + index]);
    }
    return {};
  }
  const Slice& slice = row.chunk->slices[row.chunk->code(row.spine_row)];
  auto column = std::lower_bound(slice.columns.begin(), slice.columns.end(), key,
                                 [](const Column& at, KeyId wanted_key) { return at.key < wanted_key; });
  if (column == slice.columns.end() || column->key != key) return {};
  const std::uint32_t slice_row = slice.row_of(row.spine_row);
  for (; column != slice.columns.end() && column->key == key; ++column) {
    if (column->has(slice_row)) return {column->type, column->bits_at(slice_row)};
  }
  return {};
}

void properties(const Row& row, std::vector<std::pair<KeyId, Value>>& out) {
  out.clear();
  if (row.chunk == nullptr) {
    const TailBatch& batch = *row.batch;
    const EventColumns& events = batch.batch->events;
    const Shape& shape = events.shapes[events.shape[row.event]];
    for (std::uint32_t index = 0; index < shape.field_count; ++index) {
      const std::uint32_t field = shape.first_field + index;
      const std::uint64_t bits = events.values[events.first_value[row.event] + index];
      out.emplace_back(KeyId{batch.field_key[field]}, tail_value(batch, events.fields[field].type, bits));
    }
    std::sort(out.begin(), out.end(), [](const auto& left, const auto& right) { return left.first < right.first; });
    return;
  }
  const Slice& slice = row.chunk->slices[row.chunk->code(row.spine_row)];
  const std::uint32_t slice_row = slice.row_of(row.spine_row);
  for (const Column& column : slice.columns) {
    if (column.has(slice_row)) out.emplace_back(column.key, Value{column.type, column.bits_at(slice_row)});
  }
}

}  // namespace cdp
