// did, where a condition or a threshold compares with a trait or an aggregate of the profile (query/trait_operand.hpp).
//
// For each profile the values are put in place of what names them, and the plain clause is asked of its rows. So a test whose
// trait is missing passes nothing: no row meets such a condition, no measure such a threshold.
#pragma once

#include "query/clauses/local_clause.hpp"
#include "query/spec.hpp"

namespace cdp {

// Whether some condition or threshold names a trait.
[[nodiscard]] bool has_operands(const PredicateSpec& did);
[[nodiscard]] LocalClausePtr did_with_operands(PredicateSpec did);

}  // namespace cdp
