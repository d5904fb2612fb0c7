// quantile: a profile's number beside a cut of the numbers of all profiles.
//
//   {"quantile": {"trait": key} | {"own": aggregate (own_aggregate.hpp)}, "op": "ge" | "gt" | "le" | "lt" | "between",
//    "value": "median" | "p90" | .. (between: two of them), "method"?: "linear" | "nearest_rank" | "lower" | "higher",
//    "among"?: predicate}
//
// Meaning. The population are the profiles of `among` (left out: all) for which the value is a number, at the question's instant
// and by its joins; the cut is the quantile of their n numbers in ascending order, counted from 0: `linear` lies at the place
// p · (n − 1), between two numbers in proportion, exact and rounded once (type 7); `lower` and `higher` take the number at or before
// that place, at or behind it; `nearest_rank` the number that is the first of at least p · n. A profile is asked by its own
// number, whether it is of the population or not; without a number it is false, and so is everybody where nobody has one.
//
// A clause of the whole population: what it says of a profile changes with all others. So it is of questions and exports, never
// of a live segment. Cost: the value of every profile once (a trait ~0.1 us, an aggregate ~1 us, `among` its own), 16 bytes each.
#pragma once

#include "query/clauses/local_clause.hpp"
#include "query/spec.hpp"

namespace cdp {

[[nodiscard]] LocalClausePtr parse_quantile_clause(Fields& fields, const CalendarSpec& calendar);

}  // namespace cdp
