// stopped, restarted, regularly: written out as `did` and `did_not` over rolling windows, so they cost what those cost; but
// regularly in some spans only, which reads a profile's rows (spans_clause.hpp).
//
//   {"stopped": name, "where"?, "for": duration, "before"?: duration}
//   {"restarted": name, "where"?, "last": duration, "gap": duration}
//   {"regularly": name, "where"?, "every": duration, "times": n, "at_least"?: spans (times), "count"?: test}
#pragma once

#include <string_view>

#include "query/spec.hpp"

namespace cdp {

// `form`: "stopped", "restarted" or "regularly".
[[nodiscard]] PredicateSpec parse_habit(Fields& fields, std::string_view form);

}  // namespace cdp
