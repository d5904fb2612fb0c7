// Which layers to merge next. Rules, in this order, for each (shard, partition):
//
// 1. Misplaced rows: over 2 % of the rows lie under profiles whose links changed since (or any, when draining): the whole
//    partition. A layer that has none but knows only old links is taken alone: its merge keeps the chunks and only notes
//    that it is up to date (draining, or when over kStaleOrigins origins changed since).
// 2. Over kMergeFanIn layers behind the first: the newest ones, at least kStretchMin, and older ones as long as each has no
//    more rows than all newer together. Measured over a partition of 5 M rows filled by seals of 16 k: each row is merged
//    2.8 times, 6 layers on average, never over 9. Tiers of 8 (16 k, 128 k, 1 M) merged rows less often but left up to 22.
// 3. A partition that is no more the newest and got nothing for kQuietRows events: whole, when that rewrites at most
//    kWorthwhile rows for each row that is not in the largest layer yet. Fewer stay beside it: kernels read them as well.
// 4. Nothing else to do, and links of many origins changed since the oldest layer was built (each slow profile costs a query
//    about a microsecond; 5,000 of 20 M rows): any partition with misplaced rows, whole.

#include <algorithm>

#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

using LayerSpan = std::span<const std::shared_ptr<const Layer>>;

constexpr std::size_t kStretchMin = 3;
constexpr std::uint64_t kQuietRows = 16 * limits::kTailRows;
constexpr std::uint64_t kWorthwhile = 8;
constexpr std::size_t kStaleOrigins = 1'024;
constexpr std::uint64_t kRowsPerStaleOrigin = 4'096;
constexpr std::size_t kSampleOrigins = 256;  // looked up per layer to estimate the share of misplaced rows

struct Partition {
  std::uint32_t shard = 0;
  LayerSpan layers;
  bool newest = false;  // of its shard
};

std::vector<Partition> partitions_of(const Version& version) {
  std::vector<Partition> out;
  for (std::uint32_t shard = 0; shard < version.shards.size(); ++shard) {
    const LayerSpan layers = version.shards[shard].layers;
    for (std::size_t first = 0, last; first < layers.size(); first = last) {
      for (last = first + 1; last < layers.size() && layers[last]->partition == layers[first]->partition;) ++last;
      out.push_back({shard, layers.subspan(first, last - first), last == layers.size()});
    }
  }
  return out;
}

MergeChoice choice_of(const Partition& partition, std::size_t first, std::size_t last) {
  return {partition.shard,
          {partition.layers.begin() + static_cast<std::ptrdiff_t>(first),
           partition.layers.begin() + static_cast<std::ptrdiff_t>(last)}};
}

std::uint64_t rows_of_layers(LayerSpan layers) {
  std::uint64_t rows = 0;
  for (const auto& layer : layers) rows += layer->row_count;
  return rows;
}

// --- rule 1

struct Stale {
  std::vector<Origin> changed;  // since the oldest links that a layer knows
  std::uint64_t homed_least = 0;
  std::size_t stride = 1;  // every stride-th is looked up
};

struct SplitRows {
  std::uint64_t rows = 0;       // under ids of changed profiles
  std::uint64_t misplaced = 0;  // of them, rows that a merge would move
};

const Chunk* chunk_of(const Layer& layer, std::uint32_t local_id) {
  const auto after = std::upper_bound(layer.chunks.begin(), layer.chunks.end(), local_id,
                                      [](std::uint32_t id, const auto& chunk) { return id < chunk->first_id; });
  return after == layer.chunks.begin() ? nullptr : std::prev(after)->get();
}

void count_split(const Version& version, std::uint32_t shard, const Layer& layer, const Stale& stale, SplitRows& out) {
  const Placement& placement = version.placement;
  for (std::size_t at = 0; at < stale.changed.size(); at += stale.stride) {
    const Origin place = stale.changed[at];
    if (placement.shard(place) != shard) continue;
    const Chunk* chunk = chunk_of(layer, placement.local_id(place));
    if (chunk == nullptr) continue;
    const Chunk::Rows rows = chunk->rows_of(placement.local_id(place));
    out.rows += (rows.last - rows.first) * stale.stride;
    for (std::uint32_t row = rows.first; row < rows.last; ++row) {
      const Origin home = version.links->home(chunk->foreign.at(row, place));
      out.misplaced += home != place && placement.shard(home) == shard;
    }
  }
}

// `any`: however few rows are misplaced. `drain`: every layer is to be brought up to date.
MergeChoice choose_split(const Version& version, std::span<const Partition> partitions, const Stale& stale, bool any,
                         bool drain) {
  const std::uint64_t now = version.links->last_change();
  const bool may_note = version.placement.shard_count == 1 && (drain || stale.changed.size() > kStaleOrigins);
  MergeChoice note;
  for (const Partition& partition : partitions) {
    SplitRows split;
    for (std::size_t at = 0; at < partition.layers.size(); ++at) {
      const Layer& layer = *partition.layers[at];
      if (layer.homed_sequence >= now) continue;
      SplitRows own;
      count_split(version, partition.shard, layer, stale, own);
      split.rows += own.rows, split.misplaced += own.misplaced;
      const bool stands_out = drain || layer.homed_sequence == stale.homed_least;
      if (may_note && own.misplaced == 0 && stands_out && note.layers.empty()) note = choice_of(partition, at, at + 1);
    }
    const bool many = split.rows * 50 > rows_of_layers(partition.layers);
    if (split.misplaced > 0 && (any || many)) return choice_of(partition, 0, partition.layers.size());
  }
  return note;
}

// --- rules 2 and 3

MergeChoice choose_stretch(const Partition& partition) {
  const LayerSpan layers = partition.layers;
  if (layers.size() <= limits::kMergeFanIn + 1) return {};
  std::size_t first = layers.size() - kStretchMin;
  std::uint64_t rows = rows_of_layers(layers.subspan(first));
  for (; first > 0 && layers[first - 1]->row_count <= rows; --first) rows += layers[first - 1]->row_count;
  return choice_of(partition, first, layers.size());
}

MergeChoice choose_whole(const Partition& partition, std::uint64_t newest_order) {
  if (partition.newest || partition.layers.size() < 2) return {};
  std::uint64_t largest = 0, latest = 0;
  for (const auto& layer : partition.layers) {
    largest = std::max(largest, layer->row_count);
    latest = std::max(latest, layer->last_order);
  }
  const bool worthwhile = (rows_of_layers(partition.layers) - largest) * kWorthwhile >= largest;
  return worthwhile && latest + kQuietRows < newest_order ? choice_of(partition, 0, partition.layers.size())
                                                          : MergeChoice{};
}

std::uint64_t newest_order_of(const Version& version) {
  std::uint64_t order = 0;
  for (const ShardLayers& shard : version.shards) {
    for (const auto& layer : shard.layers) order = std::max(order, layer->last_order);
  }
  for (const auto& batch : version.tail)
    order = std::max<std::uint64_t>(order, batch->first_order + batch->event.size());
  return order;
}

Stale find_stale(const Version& version, std::span<const Partition> partitions, bool drain) {
  Stale stale;
  stale.homed_least = version.links->last_change();
  for (const Partition& partition : partitions) {
    for (const auto& layer : partition.layers) stale.homed_least = std::min(stale.homed_least, layer->homed_sequence);
  }
  if (stale.homed_least == version.links->last_change()) return stale;
  stale.changed = version.links->changed_since(stale.homed_least);
  if (!drain) stale.stride = std::max<std::size_t>(1, stale.changed.size() / kSampleOrigins);
  return stale;
}

}  // namespace

MergeChoice choose_merge(const Version& version, bool drain_split, bool look_for_split) {
  const std::vector<Partition> partitions = partitions_of(version);
  Stale stale;
  if (look_for_split) stale = find_stale(version, partitions, drain_split);
  if (!stale.changed.empty() || drain_split) {
    MergeChoice choice = choose_split(version, partitions, stale, drain_split, drain_split);
    if (!choice.layers.empty()) return choice;
  }
  MergeChoice largest;
  for (const Partition& partition : partitions) {
    MergeChoice choice = choose_stretch(partition);
    if (choice.layers.size() > largest.layers.size()) largest = std::move(choice);
  }
  if (!largest.layers.empty()) return largest;
  const std::uint64_t newest_order = newest_order_of(version);
  for (const Partition& partition : partitions) {
    if (MergeChoice choice = choose_whole(partition, newest_order); !choice.layers.empty()) return choice;
  }
  std::uint64_t rows = 0;
  for (const Partition& partition : partitions) rows += rows_of_layers(partition.layers);
  const bool many = stale.changed.size() > std::max<std::uint64_t>(kStaleOrigins, rows / kRowsPerStaleOrigin);
  return many ? choose_split(version, partitions, stale, true, false) : MergeChoice{};
}

}  // namespace cdp
