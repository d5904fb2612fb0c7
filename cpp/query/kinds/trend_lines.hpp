// The answer of a ruled trend: what windows over its cells measure, line by line (trend_ruled.cpp says what they mean).
#pragma once

#include <cstdint>
#include <vector>

#include "query/kinds/trend_ruled_plan.hpp"
#include "query/table.hpp"

namespace cdp {

// Groups that hold rows of the range, or of what windows reach back to, by the first series over the whole range.
// REQUIRES: a plan with an axis that ranks.
[[nodiscard]] std::vector<std::uint32_t> ranked_trend_groups(const RuledTrendPlan& plan, const RuledTrendPartial& total,
                                                             const Dictionary& strings);
[[nodiscard]] Table trend_table(const RuledTrendPlan& plan, const RuledTrendPartial& total, const Dictionary& strings);

}  // namespace cdp
