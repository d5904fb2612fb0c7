// What all queries of one version share: its tail sealed into layers, which profiles are slow, and the tasks.
//
// Made by the first query that needs it and kept in Version::scan_plan. It takes over from the newest plan of any copy of
// the version what still holds: sealed pieces of batches that are in the tail still (until kSealedPiecesMax pieces, then all
// again), slow profiles, everyone. Immutable once made, but for everyone.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "query/profile_mask.hpp"
#include "query/scan.hpp"
#include "query/slow_places.hpp"

namespace cdp {

inline constexpr std::size_t kSealedPiecesMax =
    8;  // layers a partition of the tail may come in: each is a chunk more to visit

// Batches of the tail and their rows as layers.
struct SealedPiece {
  std::vector<std::shared_ptr<const TailBatch>> batches;  // in log order
  std::uint64_t link_sequence = 0;                        // links by which they are placed
  std::vector<SealedLayer> layers;
};

// Where rows of some local ids lie, without a look at the chunk itself.
struct ChunkPlaceInPlan {
  const Chunk* chunk = nullptr;
  std::uint32_t first_id = 0;
  std::uint32_t last_id = 0;
  std::uint32_t layer = 0;  // rank of its layer in (partition, log order), over all shards
};

struct ScanPlan {
  std::vector<std::shared_ptr<const SealedPiece>> pieces;  // the tail, in log order
  std::uint64_t homed_least = 0;                           // links that every layer knows
  std::uint64_t link_sequence = 0;                         // links of the version
  std::vector<std::vector<std::uint64_t>> slow;            // per shard, bit a local id, whole stripes; empty = none
  SlowPlaces slow_places;                                  // of those
  std::vector<Task> tasks;                                 // by (shard, first_id); for the version it was made for
  std::vector<std::size_t> first_task;                     // of each shard, and the end
  std::vector<std::vector<ChunkPlaceInPlan>> places;       // of each task's chunks
  std::optional<Horizon> horizon;                          // rows past it are not there, whatever chunks hold

  [[nodiscard]] bool is_slow(std::uint32_t shard, std::uint32_t local_id) const noexcept {
    const std::vector<std::uint64_t>& words = slow[shard];
    return local_id / 64 < words.size() && ((words[local_id / 64] >> (local_id % 64)) & 1) != 0;
  }

  // Stripes of the shard that has most, and the tasks of one number in all shards: profiles of a stripe have lower ids than
  // those of the next.
  [[nodiscard]] std::size_t stripe_count() const noexcept { return first_task[1]; }
  template <class Visit>
  void each_task(std::size_t stripe, Visit&& visit) const {
    for (std::size_t shard = 0; shard + 1 < first_task.size(); ++shard) {
      if (first_task[shard] + stripe < first_task[shard + 1]) visit(tasks[first_task[shard] + stripe]);
    }
  }

  // Every profile, for predicates: made by the first query that has one, from the newest that an earlier plan made.
  [[nodiscard]] const ProfileMask& everyone(const Version& version) const;
  void take_everyone(const ScanPlan& before);
  // This plan as of a horizon: chunks wholly past it are left out, profiles that have rows past it in others are slow (which
  // reads them row by row, and so without those). Null when no row is past it. The newest is kept.
  [[nodiscard]] std::shared_ptr<const ScanPlan> within(const Version& version, const Horizon& horizon) const;

 private:
  struct Everyone {
    ProfileMask mask;
    std::uint32_t origin_count = 0;
    std::uint64_t link_sequence = 0;
  };
  mutable std::mutex everyone_mutex_;
  mutable std::shared_ptr<const Everyone> everyone_;  // of this version
  std::shared_ptr<const Everyone> everyone_before_;   // of an earlier one
  mutable std::mutex within_mutex_;
  mutable std::optional<Horizon> within_horizon_;
  mutable std::shared_ptr<const ScanPlan> within_;
};

[[nodiscard]] std::shared_ptr<const ScanPlan> scan_plan(const Version& version);
// As it is asked at an instant: where the version has retention, without the rows that are past it then.
[[nodiscard]] std::shared_ptr<const ScanPlan> scan_plan(const Version& version, std::int64_t now_ms);

// Origins that are homes among the slow profiles of a task.
[[nodiscard]] std::vector<Origin> slow_homes(const Task& task);

// As rows_of(version, ..) for many profiles of one task, but every row comes from a chunk of the plan, and what a chunk
// needs is fetched once for all of them. visit(home, rows) for each home, in the order given.
void rows_of_many(const Task& task, std::span<const Origin> homes, std::span<const NameId> names,
                  const std::function<void(Origin, std::span<const Row>)>& visit);

}  // namespace cdp
