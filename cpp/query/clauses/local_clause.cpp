#include "query/clauses/local_clause.hpp"

#include <algorithm>
#include <array>

namespace cdp {
namespace {

constexpr std::array<std::string_view, 4> kForms{"identity", "profile", "bucket", "geo"};
constexpr std::array<LocalClausePtr (*)(Fields&), 4> kParsers{parse_identity_clause, parse_profile_time_clause,
                                                              parse_bucket_clause, parse_place_clause};

}  // namespace

std::span<const std::string_view> local_forms() noexcept { return kForms; }

LocalClausePtr parse_local_clause(Fields& fields, std::string_view form) {
  return kParsers[static_cast<std::size_t>(std::ranges::find(kForms, form) - kForms.begin())](fields);
}

}  // namespace cdp
