#include "query/clauses/fact_clause.hpp"

#include "query/predicate.hpp"
#include "query/profile_mask.hpp"

namespace cdp {

void FactClause::evaluate_task(const Task& task, std::int64_t now_ms, std::span<const std::uint64_t> candidates,
                               std::span<std::uint64_t> out) const {
  for (std::uint32_t word = 0; word < kStripeWords; ++word) {
    std::uint64_t found = 0;
    for (std::uint64_t left = candidates[word]; left != 0; left &= left - 1) {
      const auto bit = static_cast<std::uint32_t>(__builtin_ctzll(left));
      if (evaluate(*task.version, task.origin(word * 64 + bit), now_ms).value) found |= std::uint64_t{1} << bit;
    }
    out[word] = found;
  }
}

std::shared_ptr<const FactClauseSpec> parse_fact_clause(Fields& fields, std::string_view form) {
  return std::make_shared<const FactClauseSpec>(form == "device" ? parse_device_clause(fields)
                                                                 : parse_consent_clause(fields));
}

std::unique_ptr<const FactClause> bind_fact_clause(const FactClauseSpec& spec, const Version& version) {
  switch (spec.type) {
    case FactClauseSpec::Type::kDevice: return bind_device_clause(spec, version);
    case FactClauseSpec::Type::kConsent: return bind_consent_clause(spec, version);
  }
  return nullptr;
}

}  // namespace cdp
