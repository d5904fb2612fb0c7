// What all queries of one version share: its tail sealed into layers, which profiles are slow, and the tasks.
//
// Made by the first query that needs it and kept in Version::scan_plan; the next version, a copy with a longer tail, seals
// only its new batches on top (until kSealedPiecesMax pieces, then all again). Immutable once made.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "query/profile_mask.hpp"
#include "query/scan.hpp"

namespace cdp {

inline constexpr std::size_t kSealedPiecesMax =
    8;  // layers a partition of the tail may come in: each is a chunk more to visit

struct ScanPlan {
  std::vector<std::shared_ptr<const TailBatch>> tail;                   // the batches that `pieces` hold, in log order
  std::vector<std::shared_ptr<const std::vector<SealedLayer>>> pieces;  // in log order
  std::vector<std::vector<std::uint64_t>> slow;  // per shard, bit a local id, whole stripes; empty = none
  std::vector<Task> tasks;                       // by (shard, first_id); for the version it was made for

  // Every profile, for predicates: made by the first query that has one. O(origins / 64 + links), once a version.
  [[nodiscard]] const ProfileMask& everyone(const Version& version) const {
    std::call_once(everyone_made_, [&] { everyone_ = ProfileMask::all(version); });
    return everyone_;
  }

 private:
  mutable std::once_flag everyone_made_;
  mutable ProfileMask everyone_;
};

[[nodiscard]] std::shared_ptr<const ScanPlan> scan_plan(const Version& version);

// Origins that are homes among the slow profiles of a task.
[[nodiscard]] std::vector<Origin> slow_homes(const Task& task);

}  // namespace cdp
