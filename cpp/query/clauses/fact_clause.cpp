#include "query/clauses/fact_clause.hpp"

#include <algorithm>
#include <array>

#include "query/budget.hpp"
#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {

namespace {
constexpr std::uint32_t kProfilesACheck = 256;  // some of these clauses take a while for one
}

void FactClause::evaluate_task(const Task& task, std::int64_t now_ms, Scratch&,
                               std::span<const std::uint64_t> candidates, std::span<std::uint64_t> out) const {
  std::uint32_t asked = 0;
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    std::uint64_t found = 0;
    for (std::uint64_t left = candidates[word]; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(left));
      if (task.budget != nullptr && ++asked % kProfilesACheck == 0) task.budget->check();
      if (evaluate(*task.version, task.origin(word * 64 + bit), now_ms).value) found |= std::uint64_t{1} << bit;
    }
    out[word] = found;
  }
}

void FactClause::evaluate_slow(const Task& task, std::int64_t now_ms, Scratch& scratch,
                               std::span<const std::uint64_t> candidates, std::span<std::uint64_t> fast,
                               std::span<std::uint64_t> out) const {
  std::array<std::uint64_t, kStripeWords> slow{};
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    slow[word] = task.slow.empty() ? 0 : candidates[word] & task.slow[word];
    fast[word] = candidates[word] & ~slow[word];
  }
  FactClause::evaluate_task(task, now_ms, scratch, slow, out);
}

namespace {

struct Entry {
  std::string_view form;
  FactClauseSpec (*parse)(Fields&);
  std::unique_ptr<const FactClause> (*bind)(const FactClauseSpec&, const Version&, const Moment&);
};
constexpr std::array<Entry, 5> kEntries{{{"device", parse_device_clause, bind_device_clause},
                                         {"consent", parse_consent_clause, bind_consent_clause},
                                         {"group", parse_group_clause, bind_group_clause},
                                         {"list", parse_list_clause, bind_list_clause},
                                         {"suppressed", parse_suppressed_clause, bind_suppressed_clause}}};

}  // namespace

std::shared_ptr<const FactClauseSpec> parse_fact_clause(Fields& fields, std::string_view form) {
  return std::make_shared<const FactClauseSpec>(std::ranges::find(kEntries, form, &Entry::form)->parse(fields));
}

std::unique_ptr<const FactClause> bind_fact_clause(const FactClauseSpec& spec, const Version& version,
                                                   const Moment& at) {
  return kEntries[static_cast<std::size_t>(spec.type)].bind(spec, version, at);  // in the order of Type
}

}  // namespace cdp
