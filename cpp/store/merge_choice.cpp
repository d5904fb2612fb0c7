// Which tiers to merge next. Rules, in this order, for each partition:
//
// 0. Rows past retention at engine time: a tier of which they are over 2 % (or any, when draining), alone.
// 1. Misplaced rows: over 2 % of the rows lie under profiles whose links changed since (or any, when draining): the whole
//    partition. A tier that has none but knows only old links is taken alone: its merge keeps the chunks and only notes
//    that it is up to date (draining, or when over kStaleOrigins origins changed since).
// 2. Over kMergeFanIn tiers behind the first (kBulkFanIn while rows are loaded in bulk): the newest ones, at least
//    kStretchMin, and older ones as long as each has no more rows than all newer together. Measured over a partition of 5 M
//    rows filled by seals of 16 k: each row is merged 2.8 times, 6 tiers on average, never over 9. Levels of 8 (16 k, 128 k,
//    1 M) merged rows less often but left up to 22.
// 3. A partition that is no more the newest and got nothing for kQuietRows events: whole, when that rewrites at most
//    kWorthwhile rows for each row that is not in the largest tier yet. Fewer stay beside it: kernels read them as well.
// 4. Nothing else to do, and links of many origins changed since the oldest tier was built (each slow profile costs a query
//    about a microsecond; 5,000 of 20 M rows): any partition with misplaced rows, whole.
//
// Rules 3 and 4 wait for the end of a load in bulk.

#include <algorithm>
#include <map>
#include <utility>

#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

using Tiers = std::span<const Tier>;

constexpr std::size_t kStretchMin = 3;
// Merging while four million rows were loaded took a third of all their work, to be done again with the rows that came next.
constexpr std::size_t kBulkFanIn = 4 * limits::kMergeFanIn;
constexpr std::uint64_t kQuietRows = 16 * limits::kTailRows;
constexpr std::uint64_t kWorthwhile = 8;
constexpr std::size_t kStaleOrigins = 1'024;
constexpr std::uint64_t kRowsPerStaleOrigin = 4'096;
constexpr std::size_t kSampleOrigins = 256;  // looked up per layer to estimate the share of misplaced rows

struct Partition {
  std::int32_t number = 0;
  std::vector<Tier> tiers;  // oldest first
  bool newest = false;
};

const Layer& any_layer(const Tier& tier) {
  return **std::ranges::find_if(tier.shards, [](const auto& layer) { return layer != nullptr; });
}

std::vector<Partition> partitions_of(const Version& version) {
  std::map<std::pair<std::int32_t, std::uint64_t>, Tier> tiers;
  for (std::uint32_t shard = 0; shard < version.shards.size(); ++shard) {
    for (const auto& layer : version.shards[shard].layers) {
      Tier& tier = tiers[{layer->partition, layer->first_order}];
      tier.shards.resize(version.shards.size());
      tier.shards[shard] = layer;
    }
  }
  std::vector<Partition> out;
  for (auto& [place, tier] : tiers) {
    if (out.empty() || out.back().number != place.first) out.push_back({place.first, {}, false});
    out.back().tiers.push_back(std::move(tier));
  }
  if (!out.empty()) out.back().newest = true;
  return out;
}

std::vector<Tier> choice_of(const Partition& partition, std::size_t first, std::size_t last) {
  return {partition.tiers.begin() + static_cast<std::ptrdiff_t>(first),
          partition.tiers.begin() + static_cast<std::ptrdiff_t>(last)};
}
std::vector<Tier> choice_of(const Partition& partition) { return partition.tiers; }

std::uint64_t rows_of_tiers(Tiers tiers) {
  std::uint64_t rows = 0;
  for (const Tier& tier : tiers) rows += rows_of_tier(tier);
  return rows;
}

// --- rule 0

std::uint64_t count_expired(const Tier& tier, const Horizon& horizon) {
  std::uint64_t rows = 0;
  for (const auto& layer : tier.shards) {
    if (layer == nullptr) continue;
    for (const auto& chunk : layer->chunks) {
      switch (expired(*chunk, horizon)) {
        case Expired::kNone: break;
        case Expired::kSome: each_expired(*chunk, horizon, [&](std::uint32_t) { ++rows; }); break;
        case Expired::kAll: rows += chunk->row_count;
      }
    }
  }
  return rows;
}

std::vector<Tier> choose_expired(std::span<const Partition> partitions, const Horizon& horizon, bool any) {
  for (const Partition& partition : partitions) {
    for (std::size_t at = 0; at < partition.tiers.size(); ++at) {
      const std::uint64_t rows = count_expired(partition.tiers[at], horizon);
      if (rows == 0) continue;
      if (any || rows * 50 > rows_of_tier(partition.tiers[at])) return choice_of(partition, at, at + 1);
    }
  }
  return {};
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

void count_split_rows(const Version& version, const Tier& tier, const Stale& stale, SplitRows& out) {
  const Placement& placement = version.placement;
  for (std::size_t at = 0; at < stale.changed.size(); at += stale.stride) {
    const Origin place = stale.changed[at];
    const Layer* layer = tier.shards[placement.shard(place)].get();
    const Chunk* chunk = layer == nullptr ? nullptr : chunk_of(*layer, placement.local_id(place));
    if (chunk == nullptr) continue;
    const Chunk::Rows rows = chunk->rows_of(placement.local_id(place));
    out.rows += (rows.last - rows.first) * stale.stride;
    for (std::uint32_t row = rows.first; row < rows.last; ++row) {
      const Origin home = version.links->home(chunk->foreign.at(row, place));
      out.misplaced += home != place;
    }
  }
}

std::uint64_t homed_of(const Tier& tier) {
  std::uint64_t homed = UINT64_MAX;
  for (const auto& layer : tier.shards) homed = layer == nullptr ? homed : std::min(homed, layer->homed_sequence);
  return homed;
}

// `any`: however few rows are misplaced. `drain`: every tier is to be brought up to date.
std::vector<Tier> choose_split(const Version& version, std::span<const Partition> partitions, const Stale& stale,
                               bool any, bool drain) {
  const std::uint64_t now = version.links->last_change();
  const bool may_note = drain || stale.changed.size() > kStaleOrigins;
  std::vector<Tier> note;
  for (const Partition& partition : partitions) {
    SplitRows split;
    for (std::size_t at = 0; at < partition.tiers.size(); ++at) {
      const std::uint64_t homed = homed_of(partition.tiers[at]);
      if (homed >= now) continue;
      SplitRows own;
      count_split_rows(version, partition.tiers[at], stale, own);
      split.rows += own.rows, split.misplaced += own.misplaced;
      const bool stands_out = drain || homed == stale.homed_least;
      if (may_note && own.misplaced == 0 && stands_out && note.empty()) note = choice_of(partition, at, at + 1);
    }
    const bool many = split.rows * 50 > rows_of_tiers(partition.tiers);
    if (split.misplaced > 0 && (any || many)) return choice_of(partition);
  }
  return note;
}

// --- rules 2 and 3

std::vector<Tier> choose_stretch(const Partition& partition, std::size_t fan_in) {
  const Tiers tiers = partition.tiers;
  if (tiers.size() <= fan_in + 1) return {};
  std::size_t first = tiers.size() - kStretchMin;
  std::uint64_t rows = rows_of_tiers(tiers.subspan(first));
  for (; first > 0 && rows_of_tier(tiers[first - 1]) <= rows; --first) rows += rows_of_tier(tiers[first - 1]);
  return choice_of(partition, first, tiers.size());
}

std::vector<Tier> choose_whole(const Partition& partition, std::uint64_t newest_order) {
  if (partition.newest || partition.tiers.size() < 2) return {};
  std::uint64_t largest = 0, latest = 0;
  for (const Tier& tier : partition.tiers) {
    largest = std::max(largest, rows_of_tier(tier));
    latest = std::max(latest, any_layer(tier).last_order);
  }
  const bool worthwhile = (rows_of_tiers(partition.tiers) - largest) * kWorthwhile >= largest;
  return worthwhile && latest + kQuietRows < newest_order ? choice_of(partition) : std::vector<Tier>{};
}

std::uint64_t newest_order_of(const Version& version, std::span<const Partition> partitions) {
  std::uint64_t order = 0;
  for (const Partition& partition : partitions) {
    for (const Tier& tier : partition.tiers) order = std::max(order, any_layer(tier).last_order);
  }
  for (const auto& batch : version.tail)
    order = std::max<std::uint64_t>(order, batch->first_order + batch->event.size());
  return order;
}

Stale find_stale(const Version& version, std::span<const Partition> partitions, bool drain) {
  Stale stale;
  stale.homed_least = version.links->last_change();
  for (const Partition& partition : partitions) {
    for (const Tier& tier : partition.tiers) stale.homed_least = std::min(stale.homed_least, homed_of(tier));
  }
  if (stale.homed_least == version.links->last_change()) return stale;
  stale.changed = version.links->changed_since(stale.homed_least);
  if (!drain) stale.stride = std::max<std::size_t>(1, stale.changed.size() / kSampleOrigins);
  return stale;
}

}  // namespace

std::vector<Tier> choose_merge(const Version& version, bool drain_split, bool look_for_split, bool in_bulk) {
  const std::vector<Partition> partitions = partitions_of(version);
  if (const auto horizon = horizon_of(version, version.tick_ms); horizon && look_for_split) {
    std::vector<Tier> choice = choose_expired(partitions, *horizon, drain_split);
    if (!choice.empty()) return choice;
  }
  Stale stale;
  if (look_for_split) stale = find_stale(version, partitions, drain_split);
  if (!stale.changed.empty() || drain_split) {
    std::vector<Tier> choice = choose_split(version, partitions, stale, drain_split, drain_split);
    if (!choice.empty()) return choice;
  }
  std::vector<Tier> largest;
  for (const Partition& partition : partitions) {
    std::vector<Tier> choice = choose_stretch(partition, in_bulk ? kBulkFanIn : limits::kMergeFanIn);
    if (choice.size() > largest.size()) largest = std::move(choice);
  }
  if (!largest.empty() || in_bulk) return largest;
  const std::uint64_t newest_order = newest_order_of(version, partitions);
  for (const Partition& partition : partitions) {
    if (std::vector<Tier> choice = choose_whole(partition, newest_order); !choice.empty()) return choice;
  }
  std::uint64_t rows = 0;
  for (const Partition& partition : partitions) rows += rows_of_tiers(partition.tiers);
  const bool many = stale.changed.size() > std::max<std::uint64_t>(kStaleOrigins, rows / kRowsPerStaleOrigin);
  return many ? choose_split(version, partitions, stale, true, false) : std::vector<Tier>{};
}

std::size_t count_split(const Version& version) {
  const Stale stale = find_stale(version, partitions_of(version), true);
  return stale.changed.size();
}

}  // namespace cdp
