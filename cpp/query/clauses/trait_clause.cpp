#include "query/clauses/trait_clause.hpp"

#include "query/profile_mask.hpp"

namespace cdp {
namespace {

constexpr int kBatchFrom = 16;  // candidates of 64 from which reading all 64 is cheaper

}  // namespace

TraitClause::TraitClause(const PredicateSpec& spec, const Version& version) : test(spec.test, *version.strings) {
  if (const auto found = version.keys->find(spec.trait)) key = KeyId{*found};
}

void TraitClause::evaluate_task(const Task& task, Scratch&, std::span<const std::uint64_t> candidates,
                                std::span<std::uint64_t> out) const {
  if (!key) {
    for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] = test.passes_missing() ? candidates[word] : 0;
    return;
  }
  const ProfileView& profiles = *task.version->profiles;
  const bool contiguous = task.version->placement.shard_count == 1;
  Value values[64];
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    const std::uint64_t bits = candidates[word];
    out[word] = 0;
    if (bits == 0) continue;
    // The last word of a store may reach behind its last origin: those are read one by one.
    const bool batch = contiguous && __builtin_popcountll(bits) >= kBatchFrom &&
                       std::uint64_t{task.first_id} + word * 64 + 64 <= task.version->origin_count;
    if (batch) profiles.traits(task.origin(word * 64), *key, values);
    for (std::uint64_t left = bits; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(left));
      const Value value = batch ? values[bit] : profiles.trait(task.origin(word * 64 + bit), *key);
      if (test.matches(value)) out[word] |= std::uint64_t{1} << bit;
    }
  }
}

bool TraitClause::evaluate(const Version& version, Origin home) const {
  return test.matches(key ? version.profiles->trait(home, *key) : Value());
}

}  // namespace cdp
