// In which buckets each profile of a task has rows of a selector, and how many rows lie in each: from the slices, in any order,
// so nothing is ever late. What depends on a profile's buckets alone is decided from these bits and not row by row. ~1.5 ns a
// row of the selector.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/condition.hpp"
#include "query/kinds/bucket_plan.hpp"
#include "query/kinds/profile_filter.hpp"
#include "query/scratch.hpp"

namespace cdp {

class ActiveBuckets {
 public:
  static constexpr std::uint32_t kBucketsMax = 1'024;  // of a plan: 128 bytes a profile

  // Of the profiles that the filter lets through. REQUIRES: at most kBucketsMax buckets.
  ActiveBuckets(const BucketPlan& plan, const BoundSelector& selector, const Task& task, const ProfileFilter& filter,
                Scratch& scratch);
  // Bits of the profile's buckets, the plan's first the lowest.
  [[nodiscard]] std::span<const std::uint64_t> of(std::uint32_t profile) const noexcept {
    return {bits_.data() + std::size_t{profile} * words_, words_};
  }
  [[nodiscard]] std::uint64_t rows(std::uint32_t bucket) const noexcept { return rows_[bucket]; }

 private:
  std::uint32_t words_;
  Scratch::Lease<std::uint64_t> bits_;
  std::vector<std::uint64_t> rows_;  // of each bucket
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
