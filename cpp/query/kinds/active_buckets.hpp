// In which buckets each profile of a task has rows of a selector, and how many rows lie in each: in any order of rows, so
// nothing is ever late. What depends on a profile's buckets alone is decided from these bits and not row by row.
//
// From the slices of its names; where it selects most rows of a chunk, from the spine: rows become bucket bytes, the first of
// each (profile, bucket) are compressed out, and a profile's buckets gather in a register.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/condition.hpp"
#include "query/kinds/profile_filter.hpp"
#include "query/kinds/task_buckets.hpp"
#include "query/scratch.hpp"

namespace cdp {

class ActiveBuckets {
 public:
  static constexpr std::uint32_t kBucketsMax = 1'024;  // 128 bytes a profile

  enum class Count : std::uint8_t { kProfiles, kRows };

  // Of the profiles that the filter lets through; rows are told where they are counted. REQUIRES: at most kBucketsMax buckets.
  ActiveBuckets(const TaskBuckets& buckets, const BoundSelector& selector, const Task& task,
                const ProfileFilter& filter, Scratch& scratch, Count count);
  // Bits of the profile's buckets, the first the lowest.
  [[nodiscard]] std::span<const std::uint64_t> of(std::uint32_t profile) const noexcept {
    return {bits_.data() + std::size_t{profile} * words_, words_};
  }
  [[nodiscard]] std::uint32_t words() const noexcept { return words_; }
  // REQUIRES: rows are counted.
  [[nodiscard]] std::uint64_t rows(std::uint32_t bucket) const noexcept { return rows_[bucket]; }

 private:
  class Fill;
  std::uint32_t words_;
  Scratch::Lease<std::uint64_t> bits_;
  std::vector<std::uint64_t> rows_;  // of each bucket, where they are counted
};

// How many rows of a selector each profile of a task has in each bucket, up to 255.
class BucketCounts {
 public:
  static constexpr std::uint32_t kBucketsMax = 256;  // a byte each

  // REQUIRES: at most kBucketsMax buckets.
  BucketCounts(const TaskBuckets& buckets, const BoundSelector& selector, const Task& task, Scratch& scratch);
  [[nodiscard]] std::uint8_t of(std::uint32_t profile, std::uint32_t bucket) const noexcept {
    return counts_[std::size_t{profile} * buckets_ + bucket];
  }

 private:
  std::uint32_t buckets_;
  Scratch::Lease<std::uint8_t> counts_;
};

// Calls visit(bucket) for every bit, ascending.
template <class Visit>
void for_each_bucket(std::span<const std::uint64_t> words, Visit&& visit) {
  for (std::size_t word = 0; word < words.size(); ++word) {
    for (std::uint64_t bits = words[word]; bits != 0; bits &= bits - 1)
      visit(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
  }
}

}  // namespace cdp
