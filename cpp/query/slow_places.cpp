#include "query/slow_places.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <unordered_map>

namespace cdp {
namespace {

// Ids whose bit is set in `words` and not in `without`.
std::vector<std::uint32_t> ids_of(std::span<const std::uint64_t> words, std::span<const std::uint64_t> without) {
  std::vector<std::uint32_t> out;
  for (std::size_t word = 0; word < words.size(); ++word) {
    std::uint64_t bits = words[word];
    if (word < without.size()) bits &= ~without[word];
    for (; bits != 0; bits &= bits - 1) {
      out.push_back(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }
  return out;
}

constexpr std::uint32_t kKeptRows = 1'024;  // of a place; a profile of a million events is read where it lies

void keep_rows(const Chunk& chunk, Chunk::Rows rows, Origin place, std::vector<SlowRow>& out) {
  for (std::uint32_t at = rows.first; at < rows.last; ++at) {
    const Slice& slice = chunk.slices[chunk.code(at)];
    const Origin origin = chunk.foreign.empty() ? place : chunk.foreign.at(at, place);
    out.push_back({chunk.time[at], raw(slice.name), raw(origin), at, slice.row_of(at)});
  }
}

}  // namespace

void SlowPlaces::search(const Placement& placement, const PlacedLayer& placed, std::span<const std::uint32_t> ids,
                        LayerPlaces& out) {
  auto id = ids.begin();
  for (const auto& chunk : placed.layer->chunks) {
    id = std::lower_bound(id, ids.end(), chunk->first_id);
    for (; id != ids.end() && *id < chunk->last_id; ++id) {
      const Chunk::Rows rows = chunk->rows_of(*id);
      if (rows.first == rows.last) continue;
      const bool keep = rows.last - rows.first <= kKeptRows;
      out.found.push_back(
          {*id, chunk.get(), rows.first, rows.last, keep ? static_cast<std::uint32_t>(out.rows.size()) : kNone});
      if (keep) keep_rows(*chunk, rows, placement.origin(placed.shard, *id), out.rows);
    }
  }
}

void SlowPlaces::find(const Placement& placement, std::span<const PlacedLayer> layers,
                      const std::vector<std::vector<std::uint64_t>>& slow, const SlowPlaces* before) {
  shards_.resize(slow.size());
  for (std::size_t shard = 0; shard < slow.size(); ++shard) shards_[shard].ids = ids_of(slow[shard], {});
  std::unordered_map<const Layer*, const std::shared_ptr<const LayerPlaces>*> known;
  std::vector<std::vector<std::uint32_t>> fresh(slow.size());
  if (before != nullptr && !before->shards_.empty()) {
    for (const auto& places : before->layers_) {
      if (const auto layer = places->layer.lock()) known.emplace(layer.get(), &places);
    }
    for (std::size_t shard = 0; shard < slow.size(); ++shard) {
      std::ranges::set_difference(shards_[shard].ids, before->shards_[shard].ids, std::back_inserter(fresh[shard]));
    }
  }
  for (const PlacedLayer& placed : layers) {
    const auto kept = known.find(placed.layer.get());
    if (kept != known.end() && fresh[placed.shard].empty()) {
      layers_.push_back(*kept->second);
      continue;
    }
    auto places = std::make_shared<LayerPlaces>();
    places->layer = placed.layer;
    if (kept != known.end()) {
      places->found = (*kept->second)->found;
      places->rows = (*kept->second)->rows;
      const auto middle = static_cast<std::ptrdiff_t>(places->found.size());
      search(placement, placed, fresh[placed.shard], *places);
      std::ranges::inplace_merge(places->found, places->found.begin() + middle, {}, &Found::id);
    } else {
      search(placement, placed, shards_[placed.shard].ids, *places);
    }
    layers_.push_back(std::move(places));
  }
  order(layers);
}

// All layers' finds by id: counted, then put down in the order of ranks.
void SlowPlaces::order(std::span<const PlacedLayer> layers) {
  std::vector<std::vector<std::uint32_t>> next(shards_.size());
  for (std::size_t shard = 0; shard < shards_.size(); ++shard)
    shards_[shard].first.resize(shards_[shard].ids.size() + 1);
  const auto each = [&](auto&& visit) {
    for (std::uint32_t rank = 0; rank < layers.size(); ++rank) {
      ShardPlaces& shard = shards_[layers[rank].shard];
      std::size_t at = 0;
      for (const Found& found : layers_[rank]->found) {
        while (shard.ids[at] != found.id) ++at;
        visit(layers[rank].shard, at, rank, found);
      }
    }
  };
  each([&](std::uint32_t shard, std::size_t at, std::uint32_t, const Found&) { ++shards_[shard].first[at + 1]; });
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    std::vector<std::uint32_t>& first = shards_[shard].first;
    for (std::size_t at = 1; at < first.size(); ++at) first[at] += first[at - 1];
    shards_[shard].places.resize(first.back());
    next[shard] = first;
  }
  each([&](std::uint32_t shard, std::size_t at, std::uint32_t rank, const Found& found) {
    const std::size_t kept = found.kept == kNone ? 0 : found.last - found.first;
    const std::span rows = std::span(layers_[rank]->rows).subspan(kept == 0 ? 0 : found.kept, kept);
    shards_[shard].places[next[shard][at]++] = {found.chunk, found.first, found.last, rank, rows};
  });
}

std::span<const SlowPlace> SlowPlaces::of(std::uint32_t shard, std::uint32_t local_id) const noexcept {
  if (shard >= shards_.size()) return {};
  const ShardPlaces& places = shards_[shard];
  const auto found = std::ranges::lower_bound(places.ids, local_id);
  if (found == places.ids.end() || *found != local_id) return {};
  const auto at = static_cast<std::size_t>(found - places.ids.begin());
  return std::span(places.places).subspan(places.first[at], places.first[at + 1] - places.first[at]);
}

}  // namespace cdp
