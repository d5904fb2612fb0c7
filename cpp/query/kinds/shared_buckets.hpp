// Distinct profiles of one interval's buckets in a task, where a profile may have rows of one bucket in several places.
//
// A bucket that one layer alone reaches needs nothing: its firsts are counted on the spot. Any other has a set of profiles:
//   joined   rows of every place go into the set, which is counted at the end;
//   beside   the largest layer of a partition, its base, is still counted on the spot, the set holds the profiles of the
//            small layers, and those that are in the base as well are taken out (`take_out`) before the set is counted.
// Small layers are read first, so when the base comes the sets are whole, and what is cheapest is known: to look each of a
// set's profiles up in the base, to look at the last row of each profile of the base (a set of the newest time, where most
// fresh rows are), or to join after all.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "query/kinds/bucket_plan.hpp"
#include "query/scratch.hpp"

namespace cdp {

class SharedBuckets {
 public:
  // Where rows of the task come from: a layer's chunk, and the buckets that it reaches.
  struct Place {
    std::uint32_t layer = 0;  // rank
    bool base = false;        // at most one layer of a partition
    bool small = false;       // beside a base: all that it reaches has sets
    bool twice = false;       // a profile may come twice from here
    std::uint32_t first_bucket = 0;
    std::uint32_t last_bucket = 0;
  };
  SharedBuckets(std::uint32_t buckets, std::span<const Place> places, std::uint32_t profiles, Scratch& scratch);

  // Whether rows go into a set: of the base (then not when beside), or of another layer. Any number may be asked for.
  [[nodiscard]] bool takes(std::uint32_t bucket, bool base) const noexcept {
    return bucket < set_.size() && set_[bucket] != kNoSet && !(base && beside_[set_[bucket]] != 0);
  }
  [[nodiscard]] bool takes_any(std::uint32_t first, std::uint32_t last, bool base) const noexcept {
    for (std::uint32_t bucket = first; bucket <= last; ++bucket) {
      if (takes(bucket, base)) return true;
    }
    return false;
  }

  // Joined sets of more than small layers are bytes, one a profile, while they are few: a plain store each. Others are bits.
  // REQUIRES: the bucket has a set, of that form.
  [[nodiscard]] bool is_bytes(std::uint32_t bucket) const noexcept { return place_[set_[bucket]].bytes; }
  [[nodiscard]] std::uint8_t* bytes_of(std::uint32_t bucket) noexcept {
    return bytes_.data() + place_[set_[bucket]].at * profiles_;
  }
  [[nodiscard]] std::uint64_t* words_of(std::uint32_t bucket) noexcept {
    return words_.data() + place_[set_[bucket]].at * words();
  }
  [[nodiscard]] std::size_t words() const noexcept { return (profiles_ + 63) / 64; }
  void add(std::uint32_t bucket, std::uint32_t profile) noexcept {
    if (is_bytes(bucket)) {
      bytes_of(bucket)[profile] = 1;
    } else {
      words_of(bucket)[profile >> 6] |= std::uint64_t{1} << (profile & 63);
    }
  }
  // Adds every set of finer buckets to that of its bucket here: bucket_of[finer bucket]. REQUIRES: that has one.
  void add_all(SharedBuckets& finer, std::span<const std::uint32_t> bucket_of);
  void remove(std::uint32_t profile) noexcept;  // from every set

  // Once all small layers are in: takes the profiles of a partition's base out of the sets beside it, or joins them.
  // `wanted`: by code of a chunk, whether rows count; `base`: chunks inside the stripe, of one layer, with disjoint ids.
  struct BaseChunk {
    const Chunk* chunk;
    std::vector<std::uint8_t> wanted;  // empty: every row counts
  };
  void take_out(const PartitionBuckets& buckets, std::span<const BaseChunk> base, std::uint32_t first_id);

  // visit(bucket, profile) for every pair.
  template <class Visit>
  void each(Visit&& visit) const {
    for (std::uint32_t set = 0; set < bucket_.size(); ++set) {
      for (std::uint32_t profile = 0; profile < profiles_; ++profile) {
        if (has(set, profile)) visit(bucket_[set], profile);
      }
    }
  }
  // visit(bucket, count).
  template <class Visit>
  void each_count(Visit&& visit) const {
    for (std::uint32_t set = 0; set < bucket_.size(); ++set) visit(bucket_[set], count(set));
  }

 private:
  static constexpr std::uint32_t kNoSet = UINT32_MAX;
  // A bucket that is beside the base: its times in the partition, both in it.
  struct Beside {
    std::uint32_t bucket;
    std::uint32_t low;
    std::uint32_t high;
    std::uint64_t profiles;  // in the set
  };
  struct SetPlace {
    bool bytes;
    std::size_t at;  // among those of its form
  };
  [[nodiscard]] bool has(std::uint32_t set, std::uint32_t profile) const noexcept {
    if (place_[set].bytes) return bytes_[place_[set].at * profiles_ + profile] != 0;
    return ((words_[place_[set].at * words() + (profile >> 6)] >> (profile & 63)) & 1) != 0;
  }
  [[nodiscard]] std::uint64_t count(std::uint32_t set) const noexcept;
  void look_up(std::span<const Beside> sets, const BaseChunk& base, std::uint32_t first_id);
  void look_at_last_rows(std::span<const Beside> sets, const BaseChunk& base, std::uint32_t first_id);

  std::vector<std::uint32_t> set_;     // of a bucket; kNoSet
  std::vector<std::uint32_t> bucket_;  // of a set
  std::vector<std::uint8_t> beside_;   // of a set
  std::vector<SetPlace> place_;        // of a set
  std::uint32_t profiles_;
  Scratch::Lease<std::uint8_t> bytes_;
  Scratch::Lease<std::uint64_t> words_;
};

}  // namespace cdp
