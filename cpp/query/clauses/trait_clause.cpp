#include "query/clauses/trait_clause.hpp"

#include <algorithm>

#include "query/named_keys.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {
namespace {

constexpr int kBatchFrom = 16;  // candidates of 64 from which reading all 64 is cheaper

// Truth of 64 values where a few string ids decide, without a branch a value; lists, which are rare, by the test itself.
std::uint64_t decide_by_ids(const BoundTest& test, std::span<const std::uint32_t> ids, const Value* values) {
  std::uint64_t hits = 0, present = 0, lists = 0;
  for (std::uint32_t bit = 0; bit < 64; ++bit) {
    const Value& value = values[bit];
    bool hit = false;
    for (const std::uint32_t id : ids) hit |= value.bits == id;
    hits |= static_cast<std::uint64_t>(hit && value.type == ValueType::kString) << bit;
    present |= static_cast<std::uint64_t>(value.type != ValueType::kNull) << bit;
    lists |= static_cast<std::uint64_t>(value.type == ValueType::kList) << bit;
  }
  std::uint64_t out = (test.is_negated() ? present & ~hits : hits) & ~lists;
  for (; lists != 0; lists &= lists - 1) {
    if (test.matches(values[__builtin_ctzll(lists)])) out |= lists & (~lists + 1);
  }
  return out;
}

}  // namespace

TraitClause::TraitClause(const PredicateSpec& spec, const Version& version, const Moment& at)
    : key(find_trait(spec.trait, version, at)), test(spec.test, *version.strings, at) {}

void TraitClause::evaluate_task(const Task& task, std::int64_t now_ms, std::span<const std::uint64_t> candidates,
                                std::span<std::uint64_t> out) const {
  if (!key) {
    for (std::uint32_t word = 0; word < kStripeWords; ++word) out[word] = test.passes_missing() ? candidates[word] : 0;
    return;
  }
  const ProfileView& profiles = *task.version->profiles;
  const bool is_plain = profiles.latest_ms(*key) <= now_ms;
  const bool contiguous = is_plain && task.version->placement.shard_count == 1;
  const std::span<const std::uint32_t> ids = test.deciding_ids();
  Value values[64];
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    const std::uint64_t bits = candidates[word];
    out[word] = 0;
    if (bits == 0) continue;
    // The last word of a store may reach behind its last origin: those are read one by one.
    const bool batch = contiguous && __builtin_popcountll(bits) >= kBatchFrom &&
                       std::uint64_t{task.first_id} + word * 64 + 64 <= task.version->origin_count;
    if (batch) profiles.traits(task.origin(word * 64), *key, values);
    if (batch && !ids.empty()) {
      out[word] = bits & decide_by_ids(test, ids, values);
      continue;
    }
    for (std::uint64_t left = bits; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(left));
      const Origin home = task.origin(word * 64 + bit);
      const Value value = batch      ? values[bit]
                          : is_plain ? profiles.trait(home, *key)
                                     : profiles.trait_at(home, *key, now_ms, *task.version->links).value;
      if (test.matches(value)) out[word] |= std::uint64_t{1} << bit;
    }
  }
}

Truth TraitClause::evaluate(const Version& version, Origin home, std::int64_t now_ms) const {
  if (!key) return {test.passes_missing(), INT64_MAX};
  const ProfileView::Seen seen = version.profiles->trait_at(home, *key, now_ms, *version.links);
  return {test.matches(seen.value, now_ms), std::min(seen.next_ms, test.valid_until(seen.value, now_ms))};
}

}  // namespace cdp
