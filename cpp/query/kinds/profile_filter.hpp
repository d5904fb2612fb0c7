// Which profiles of a task the fast path answers for: inside `where`, not slow.
#pragma once

#include <algorithm>
#include <cstdint>

#include "query/kernel.hpp"
#include "query/predicate.hpp"
#include "query/scratch.hpp"

namespace cdp {

class ProfileFilter {
 public:
  ProfileFilter(const QueryContext& context, const Task& task, Scratch& scratch)
      : everybody_(context.where == nullptr && task.slow.empty()),
        words_(scratch.lease<std::uint64_t>((task.size() + 63) / 64)) {
    std::uint64_t* words = words_.data();
    const std::size_t count = words_.size();
    std::fill_n(words, count, ~std::uint64_t{0});
    if (context.where != nullptr) {
      const std::span<const std::uint64_t> where = context.where->words(task);
      const std::size_t given = std::min(where.size(), count);
      std::copy_n(where.data(), given, words);
      std::fill(words + given, words + count, 0);
    }
    for (std::size_t i = 0; i < std::min(task.slow.size(), count); ++i) words[i] &= ~task.slow[i];
  }

  [[nodiscard]] bool everybody() const noexcept { return everybody_; }
  [[nodiscard]] bool has(std::uint32_t profile) const noexcept {
    return ((words_[profile >> 6] >> (profile & 63)) & 1) != 0;
  }
  // Bits of 64 profiles, for loops over words.
  [[nodiscard]] std::uint64_t word(std::size_t index) const noexcept { return words_[index]; }

 private:
  bool everybody_;
  Scratch::Lease<std::uint64_t> words_;
};

}  // namespace cdp
