// Rows of one profile over all layers and the tail, and fields of a row.
//
// A row lies under the home its profile had when its layer was built: some relative of today's. So every relative's place
// is looked up in every layer, and a row counts iff its origin's home today is the one asked for. Each row lies in one
// place only, so nothing is found twice.

#include <algorithm>
#include <array>
#include <tuple>

#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

constexpr std::size_t kCompareOrigins = 8;  // members compared one by one in the tail; more: through their homes

[[nodiscard]] bool wanted(std::span<const NameId> names, NameId name) {
  return names.empty() || std::binary_search(names.begin(), names.end(), name);
}

[[nodiscard]] bool is_expired(const Horizon* horizon, NameId name, std::int64_t time_ms) {
  return horizon != nullptr && !horizon->has(name, time_ms);
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
  RowCut cut;
  std::vector<Row>& out;
};

// A chunk in which rows of the profile may lie under one of its relatives. `first` to `last`: its rows, once found.
struct Place {
  const Chunk* chunk;
  Origin origin;
  std::uint32_t local_id;
  std::uint32_t rank;
  std::uint32_t first = 0, last = 0;
};

constexpr std::size_t kLanes = 8;        // places searched side by side
constexpr std::uint32_t kNearRows = 16;  // most profiles have few rows in a partition: their end is looked for in steps

template <class Id>
void find_end(const Id* ids, Place& place, std::uint32_t block_end) {
  const auto id = static_cast<Id>(place.local_id - place.chunk->first_id);
  const std::uint32_t near = std::min(block_end, place.first + kNearRows);
  place.last = place.first;
  while (place.last < near && ids[place.last] == id) ++place.last;
  if (place.last == near) {
    place.last = static_cast<std::uint32_t>(std::upper_bound(ids + near, ids + block_end, id) - ids);
  }
}

// Finds the rows of places side by side: one search after the other would wait for memory at every step of each.
void find_rows(std::span<Place> places) {
  struct Lane {
    std::uint32_t id, block_end, left;
  };
  std::array<Lane, kLanes> lanes;
  for (std::size_t lane = 0; lane < places.size(); ++lane) {
    Place& place = places[lane];
    const std::uint32_t id = place.local_id - place.chunk->first_id;
    const std::uint32_t* block = &place.chunk->block_offset[id / limits::kBlockIds];
    place.first = block[0];
    lanes[lane] = {id, block[1], block[1] - block[0]};
  }
  for (bool more = true; more;) {
    more = false;
    for (std::size_t lane = 0; lane < places.size(); ++lane) {
      const std::uint32_t left = lanes[lane].left;
      if (left == 0) continue;
      const Chunk& chunk = *places[lane].chunk;
      const std::uint32_t half = left / 2, middle = places[lane].first + half;
      const bool below = (chunk.wide_ids() ? chunk.profile32[middle] : chunk.profile16[middle]) < lanes[lane].id;
      places[lane].first += below ? half + 1 : 0;
      lanes[lane].left = half - static_cast<std::uint32_t>(below && left % 2 == 0);
      more |= lanes[lane].left != 0;
    }
  }
  for (std::size_t lane = 0; lane < places.size(); ++lane) {
    Place& place = places[lane];
    const Chunk& chunk = *place.chunk;
    if (chunk.wide_ids()) {
      find_end(chunk.profile32.data(), place, lanes[lane].block_end);
    } else {
      find_end(chunk.profile16.data(), place, lanes[lane].block_end);
    }
    if (place.first == place.last) continue;
    __builtin_prefetch(&chunk.time[place.first]);
    __builtin_prefetch(chunk.code8.empty() ? static_cast<const void*>(&chunk.code16[place.first])
                                           : static_cast<const void*>(&chunk.code8[place.first]));
  }
}

// Rows of a place that are wanted, from the end that the cut begins at.
void add_place_rows(const Wanted& wanted_rows, const Place& place) {
  const Chunk& chunk = *place.chunk;
  if (place.first == place.last) return;
  const LinkView& links = *wanted_rows.version.links;
  const Origin home = wanted_rows.home;
  if (chunk.foreign.empty() && place.origin != home && links.home(place.origin) != home) return;
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  const auto add = [&](std::uint32_t at) {
    if (start_ms + chunk.time[at] > wanted_rows.cut.now_ms) return false;
    const Origin origin = chunk.foreign.empty() ? place.origin : chunk.foreign.at(at, place.origin);
    if (!chunk.foreign.empty() && origin != home && links.home(origin) != home) return false;
    const NameId name = chunk.slices[chunk.code(at)].name;
    if (!wanted(wanted_rows.names, name)) return false;
    if (is_expired(wanted_rows.cut.horizon, name, start_ms + chunk.time[at])) return false;
    wanted_rows.out.push_back({start_ms + chunk.time[at], origin, name, place.rank, &chunk, at, nullptr, 0});
    return true;
  };
  std::uint64_t left = wanted_rows.cut.count;
  if (wanted_rows.cut.newest) {
    for (std::uint32_t at = place.last; at > place.first && left > 0; --at) left -= add(at - 1) ? 1u : 0u;
  } else {
    for (std::uint32_t at = place.first; at < place.last && left > 0; ++at) left -= add(at) ? 1u : 0u;
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

void add_places(const Wanted& wanted_rows, Origin origin, bool many_shards, std::vector<Place>& out) {
  const Version& version = wanted_rows.version;
  const std::uint32_t local_id = version.placement.local_id(origin);
  if (version.placement.shard(origin) >= version.shards.size()) return;
  std::uint32_t rank = 0;
  for (const auto& layer : version.shards[version.placement.shard(origin)].layers) {
    const Chunk* chunk = chunk_of(*layer, local_id);
    if (chunk != nullptr && partition_start_ms(chunk->partition) <= wanted_rows.cut.now_ms) {
      __builtin_prefetch(&chunk->block_offset[(local_id - chunk->first_id) / limits::kBlockIds]);
      out.push_back({chunk, origin, local_id, many_shards ? rank_of(version, *layer) : rank});
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
                   std::uint32_t rank, std::vector<Row>& out) {
  const EventColumns& events = batch.batch->events;
  const auto add = [&](std::size_t index) {
    const std::uint32_t event = batch.event[index];
    const NameId name{batch.shape_name[events.shape[event]]};
    if (!wanted(wanted_rows.names, name) || events.time_ms[event] > wanted_rows.cut.now_ms) return;
    if (is_expired(wanted_rows.cut.horizon, name, events.time_ms[event])) return;
    out.push_back({events.time_ms[event], batch.origin[index], name, rank, nullptr, 0, &batch, event});
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

// Every place of the profile, in the order of partitions in which they are looked at.
std::vector<Place> places_of(const Wanted& wanted_rows) {
  const Version& version = wanted_rows.version;
  const std::span<const Origin> relatives = version.links->relatives(wanted_rows.home);
  const bool many_shards = std::any_of(relatives.begin(), relatives.end(), [&](Origin relative) {
    return version.placement.shard(relative) != version.placement.shard(wanted_rows.home);
  });
  std::vector<Place> places;
  places.reserve(2 * kLanes);
  for (const Origin relative : relatives) add_places(wanted_rows, relative, many_shards, places);
  const auto earlier = [](const Place& left, const Place& right) {
    return left.chunk->partition < right.chunk->partition;
  };
  if (relatives.size() > 1) std::stable_sort(places.begin(), places.end(), earlier);
  if (wanted_rows.cut.newest) std::reverse(places.begin(), places.end());
  return places;
}

// Whether the rows taken so far, all of partitions before `next` in the order of looking, leave nothing to look for.
bool enough(const Wanted& wanted_rows, std::span<const Row> tail, std::int32_t next) {
  const RowCut& cut = wanted_rows.cut;
  if (cut.count == UINT64_MAX) return false;
  const auto nearer = [&](const Row& row) {
    return cut.newest ? row.time_ms >= partition_start_ms(next + 1) : row.time_ms < partition_start_ms(next);
  };
  const auto count = static_cast<std::uint64_t>(std::count_if(tail.begin(), tail.end(), nearer));
  return wanted_rows.out.size() + count >= cut.count;
}

// Whether the place is the first one looked at in its partition.
bool begins_partition(std::span<const Place> places, std::size_t index) {
  return index == 0 || places[index].chunk->partition != places[index - 1].chunk->partition;
}

Value tail_value(const TailBatch& batch, ValueType type, std::uint64_t bits) {
  return {type, is_dictionary_type(type) ? batch.string_id[bits] : bits};
}

}  // namespace

void add_chunk_rows(const LinkView& links, const Horizon* horizon, Origin home, std::span<const NameId> names,
                    const Chunk& chunk, Chunk::Rows rows, Origin place, std::uint32_t layer, std::vector<Row>& out) {
  if (rows.first == rows.last) return;
  if (chunk.foreign.empty() && place != home && links.home(place) != home) return;
  const std::int64_t start_ms = partition_start_ms(chunk.partition);
  for (std::uint32_t at = rows.first; at < rows.last; ++at) {
    const Origin origin = chunk.foreign.empty() ? place : chunk.foreign.at(at, place);
    if (!chunk.foreign.empty() && origin != home && links.home(origin) != home) continue;
    const NameId name = chunk.slices[chunk.code(at)].name;
    if (!wanted(names, name) || is_expired(horizon, name, start_ms + chunk.time[at])) continue;
    out.push_back({start_ms + chunk.time[at], origin, name, layer, &chunk, at, nullptr, 0});
  }
}

void order_events(std::vector<Row>& rows) {
  if (!std::is_sorted(rows.begin(), rows.end(), before)) std::sort(rows.begin(), rows.end(), before);
}

void rows_of(const Version& version, Origin home, std::span<const NameId> names, std::vector<Row>& out) {
  rows_of(version, home, names, RowCut{}, out);
}

void rows_of(const Version& version, Origin home, std::span<const NameId> names, const RowCut& cut,
             std::vector<Row>& out) {
  out.clear();
  if (cut.count == 0) return;
  const Wanted wanted_rows{version, home, names, cut, out};
  std::vector<Row> tail;
  std::uint32_t rank = 0;
  for (const ShardLayers& shard : version.shards) rank += static_cast<std::uint32_t>(shard.layers.size());
  const std::span<const Origin> members = version.links->members(home);
  for (const auto& batch : version.tail) add_tail_rows(wanted_rows, *batch, members, rank++, tail);

  std::vector<Place> places = places_of(wanted_rows);
  bool found_all = false;
  for (std::size_t first = 0; first < places.size() && !found_all; first += kLanes) {
    const std::span<Place> lanes(places.data() + first, std::min(kLanes, places.size() - first));
    if (begins_partition(places, first) && enough(wanted_rows, tail, lanes.front().chunk->partition)) break;
    find_rows(lanes);
    for (std::size_t lane = 0; lane < lanes.size() && !found_all; ++lane) {
      // Whole partitions: layers of one lie side by side in time.
      found_all =
          lane > 0 && begins_partition(places, first + lane) && enough(wanted_rows, tail, lanes[lane].chunk->partition);
      if (!found_all) add_place_rows(wanted_rows, lanes[lane]);
    }
  }
  if (cut.newest) std::reverse(out.begin(), out.end());
  out.insert(out.end(), tail.begin(), tail.end());
  order_events(out);
  if (out.size() <= cut.count) return;
  if (cut.newest) {
    out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(cut.count));
  } else {
    out.resize(cut.count);
  }
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
  const std::uint32_t slice_row = row.slice_row != kNone ? row.slice_row : slice.row_of(row.spine_row);
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
  const std::uint32_t slice_row = row.slice_row != kNone ? row.slice_row : slice.row_of(row.spine_row);
  for (const Column& column : slice.columns) {
    if (column.has(slice_row)) out.emplace_back(column.key, Value{column.type, column.bits_at(slice_row)});
  }
}

}  // namespace cdp
