// Where the rows of slow profiles lie: a list a marked origin of the stretches of chunks that hold rows under its place.
//
// Slow profiles are read one by one in every question, and most of that time went into searching each layer for rows that
// it does not have, and then into what of a row lies all over its chunk: time, name, origin, place in its slice. Found once
// a layer instead, side by side, and kept from plan to plan as long as the layer lives (20 bytes a row, kKeptRows a place).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "store/version.hpp"

namespace cdp {

// A row as far as it decides whether a question reads it.
struct SlowRow {
  std::uint32_t time = 0;  // as in the chunk
  std::uint32_t name = 0;
  std::uint32_t origin = 0;
  std::uint32_t spine_row = 0;
  std::uint32_t slice_row = 0;
};

struct SlowPlace {
  const Chunk* chunk = nullptr;
  std::uint32_t first = 0;  // spine rows [first, last)
  std::uint32_t last = 0;
  std::uint32_t layer = 0;        // rank of its layer in (partition, log order), over all shards
  std::span<const SlowRow> rows;  // all of [first, last), or none where they are too many to keep
};

// A layer of a plan; its rank is its index.
struct PlacedLayer {
  std::uint32_t shard = 0;
  std::shared_ptr<const Layer> layer;
};

class SlowPlaces {
 public:
  // `slow`: per shard, a bit a local id; empty = none. `before`: an earlier plan's places, whose marks all hold still, or
  // null. O(marked × new layers + new marks × layers) searches.
  void find(const Placement& placement, std::span<const PlacedLayer> layers,
            const std::vector<std::vector<std::uint64_t>>& slow, const SlowPlaces* before);

  // By rank of the layer. Nothing for an id that is not marked.
  [[nodiscard]] std::span<const SlowPlace> of(std::uint32_t shard, std::uint32_t local_id) const noexcept;

 private:
  struct Found {
    std::uint32_t id;
    const Chunk* chunk;
    std::uint32_t first, last;
    std::uint32_t kept;  // index of its first row among those kept; kNone: none is
  };
  struct LayerPlaces {
    std::weak_ptr<const Layer> layer;  // alone keeps no rows alive
    std::vector<Found> found;          // by id
    std::vector<SlowRow> rows;         // kept
  };
  struct ShardPlaces {
    std::vector<std::uint32_t> ids;    // marked, ascending
    std::vector<std::uint32_t> first;  // of each id in `places`, and the end
    std::vector<SlowPlace> places;
  };
  static void search(const Placement& placement, const PlacedLayer& placed, std::span<const std::uint32_t> ids,
                     LayerPlaces& out);
  void order(std::span<const PlacedLayer> layers);

  std::vector<std::shared_ptr<const LayerPlaces>> layers_;  // by rank
  std::vector<ShardPlaces> shards_;
};

}  // namespace cdp
