// What both forms of an overlap need; the one of a segment at two instants.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "query/kernel.hpp"
#include "query/kinds/kinds.hpp"
#include "query/profile_mask.hpp"
#include "query/scan_plan.hpp"

namespace cdp {

using StripeBits = std::array<std::uint64_t, kStripeWords>;

// Profiles of the task that a kind answers for here: of `where`, and not slow.
inline StripeBits candidates_of(const QueryContext& context, const Task& task) {
  StripeBits out{};
  const std::span<const std::uint64_t> all =
      context.where != nullptr ? context.where->words(task) : task.plan->everyone(*context.version).words(task);
  std::copy(all.begin(), all.end(), out.begin());
  for (std::size_t word = 0; word < std::min(task.slow.size(), out.size()); ++word) out[word] &= ~task.slow[word];
  return out;
}

template <class Visit>
void for_each_bit(const StripeBits& words, Visit&& visit) {
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    for (std::uint64_t bits = words[word]; bits != 0; bits &= bits - 1)
      visit(word * 64 + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
  }
}

struct ChangesSpec {
  std::shared_ptr<const PredicateSpec> segment;
  std::int64_t from_ms = 0;
  std::int64_t to_ms = 0;
  bool joins_then = false;  // by the joins of each instant
};
[[nodiscard]] std::unique_ptr<Kind> make_changes(const ChangesSpec& spec, const Binding& binding);

}  // namespace cdp
