#include "query/kinds/trend_axis.hpp"

#include <algorithm>

#include "query/kinds/bucket_plan.hpp"

namespace cdp {

TrendAxis::TrendAxis(const Binding& binding, const TimeRange& range, const std::optional<Unit>& unit,
                     const TrendAxisRules& rules)
    : rows_(range) {
  if (range.start_ms >= range.end_ms) return;
  const TimeRange extent = kept_extent_of(binding.version);
  const bool is_empty = extent.start_ms >= extent.end_ms;
  const std::int64_t start_ms = range.start_ms;
  const bool opens = start_ms == INT64_MIN;
  if (is_empty && (opens || !rules.is_whole)) return;
  std::int64_t first_ms = opens || !rules.is_whole ? std::max(start_ms, extent.start_ms) : start_ms;
  const std::int64_t last_ms = (rules.goes_on ? range.end_ms : std::min(range.end_ms, extent.end_ms)) - 1;
  if (!unit) {
    if (first_ms <= last_ms) single_ms_ = first_ms;
    return;
  }
  const Calendar calendar(binding.zone, *unit, binding.common.week_start, std::max<std::int64_t>(start_ms, 0));
  const std::int64_t line_ms = opens ? INT64_MIN : calendar.bucket_start(start_ms);
  if (rules.reach > 1 && !opens) {
    std::int64_t reach_ms = line_ms;
    for (std::int64_t i = 1; i < rules.reach && reach_ms > extent.start_ms; ++i)
      reach_ms = calendar.bucket_start(reach_ms - 1);
    rows_.start_ms = reach_ms;
    first_ms = std::min(first_ms, std::max(reach_ms, extent.start_ms));
  }
  if (first_ms > last_ms) return;
  buckets_.emplace(calendar, first_ms, last_ms);
  while (first_line_ < buckets_->size() && buckets_->start_ms(first_line_) < line_ms) ++first_line_;
}

}  // namespace cdp
