// Clauses that look at one profile at a time, beside those on its facts and events: one file each, local_clause.cpp the list.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "query/clauses/fact_clause.hpp"
#include "query/moment.hpp"

namespace cdp {

struct LocalClauseSpec {
  virtual ~LocalClauseSpec() = default;
  [[nodiscard]] virtual std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const = 0;
  // Why it is no clause of a live segment; empty when it is one.
  [[nodiscard]] virtual std::string_view needs_question() const noexcept { return {}; }
  // What it says of a profile depends on all others: it has a truth at the instant it is bound to alone.
  [[nodiscard]] virtual bool of_population() const noexcept { return false; }
};
using LocalClausePtr = std::shared_ptr<const LocalClauseSpec>;

// Whether a clause of this form is one of them, and its parse.
[[nodiscard]] std::span<const std::string_view> local_forms() noexcept;
[[nodiscard]] LocalClausePtr parse_local_clause(Fields& fields, std::string_view form);

// ---- of each clause's file

//   {"identity": kind, test}    some identity of that kind passes; for negative tests none may
[[nodiscard]] LocalClausePtr parse_identity_clause(Fields& fields);
//   {"profile": "created" | "first_seen" | "last_seen", test}    when the profile was first named, its first and its latest
//   event (the system's apart), as a datetime; missing where there is none up to now
[[nodiscard]] LocalClausePtr parse_profile_time_clause(Fields& fields);
//   {"bucket": {"salt": text, "from"?: 0, "to"?: 10000}}    see bucket_of
[[nodiscard]] LocalClausePtr parse_bucket_clause(Fields& fields);
//   {"geo": {"lat": key, "lon": key}, "within": {..}}    of two traits
[[nodiscard]] LocalClausePtr parse_place_clause(Fields& fields);
//   {"trait": key, test, "has_been": {"at_least" | "less_than": duration}}    null: there is no `has_been`
[[nodiscard]] LocalClausePtr parse_has_been_clause(Fields& fields, const std::string& key, const Test& test);
//   {"trait": key, "op": op, "value": {"trait": key} | {"own": aggregate}}    null: the value is no such map
[[nodiscard]] LocalClausePtr parse_trait_comparison(Fields& fields, const std::string& key,
                                                    const CalendarSpec& calendar);

// Where a profile falls among 10,000: the 64-bit FNV-1a of the salt's bytes and the id's eight, little-endian, through the
// finalizer of MurmurHash3, modulo 10,000. The same for ever; another salt deals anew.
inline constexpr std::int64_t kBuckets = 10'000;
[[nodiscard]] std::uint32_t bucket_of(std::uint64_t profile_id, std::string_view salt) noexcept;

}  // namespace cdp
