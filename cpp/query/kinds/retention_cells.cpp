// Retentions whose cells a live segment may name (live_cells.hpp).
#include "query/kinds/live_cells.hpp"
#include "query/kinds/retention.hpp"

namespace cdp {

std::unique_ptr<Kind> RetentionSpec::bind_for_rows(const Binding& binding) const {
  return make_ruled_retention(*this, binding, true);
}

bool RetentionSpec::reads_any_event() const { return start.names.empty() || (returned && returned->names.empty()); }

std::string_view RetentionSpec::needs_question(const CommonSpec& common) const {
  if (population == Population::kEveryPeriod) return "a live segment's retention has one cohort a profile";
  if (criterion == Criterion::kOnOrBefore) return "on_or_before changes with every period: no clause of a live segment";
  if (fill) return "a live segment's retention has no rows to fill";
  const bool runs_on = criterion == Criterion::kOnOrAfter || criterion == Criterion::kStreak;
  if (unit.type == Unit::Type::kHour && runs_on && periods == INT64_MAX)
    return "hours of a live segment's retention need a number of periods";
  if (const std::string_view reason = cdp::needs_question(start); !reason.empty()) return reason;
  if (returned) {
    if (const std::string_view reason = cdp::needs_question(*returned); !reason.empty()) return reason;
  }
  return cdp::needs_question(common, unit);
}

}  // namespace cdp
