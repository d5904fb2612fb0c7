// did, where it needs the rows of a profile one by one: local times, a window since a trait's date, measures of the first and
// last event, first_ever, not_followed_by. What remains (clauses/did_clause.hpp) counts without them, and is 100 times faster.
#pragma once

#include <memory>

#include "query/clauses/local_clause.hpp"
#include "query/clauses/row_clause.hpp"
#include "query/spec.hpp"

namespace cdp {

// Takes what makes a `did` (or, `with_measures` false, a `did_not`) one of this kind; null when nothing does. `did` holds its
// selector, window and measures.
[[nodiscard]] std::shared_ptr<const RowClauseSpec> parse_did_rows(Fields& fields, const PredicateSpec& did,
                                                                  const CalendarSpec& calendar, bool with_measures);

// The same where a condition or a threshold compares with a trait or an aggregate of the profile, as in did_operand_clause.hpp.
// REQUIRES: made by parse_did_rows.
[[nodiscard]] LocalClausePtr did_rows_with_operands(const std::shared_ptr<const RowClauseSpec>& did);

}  // namespace cdp
