#include "query/kinds/trend_axis.hpp"

#include <algorithm>

#include "query/kinds/bucket_plan.hpp"
#include "query/kinds/profile_clock.hpp"

namespace cdp {

TrendAxis::TrendAxis(const Binding& binding, const TimeRange& range, const std::optional<Unit>& unit,
                     const TrendAxisRules& rules)
    : rows_(range) {
  if (range.start_ms >= range.end_ms) return;
  TimeRange extent = kept_extent_of(binding.version);
  const bool is_empty = extent.start_ms >= extent.end_ms;
  extent.start_ms -= rules.slack_ms;
  extent.end_ms += rules.slack_ms;
  const std::int64_t start_ms = range.start_ms;
  const bool opens = start_ms == INT64_MIN;
  if (is_empty && (opens || !rules.is_whole)) return;
  std::int64_t first_ms = opens || !rules.is_whole ? std::max(start_ms, extent.start_ms) : start_ms;
  const std::int64_t last_ms = (rules.goes_on ? range.end_ms : std::min(range.end_ms, extent.end_ms)) - 1;
  if (!unit) {
    if (first_ms <= last_ms) single_ms_ = first_ms;
    return;
  }
  const Zone& zone = rules.slack_ms == 0 ? binding.zone : Zone::utc();
  const Calendar calendar(zone, *unit, binding.common.week_start,
                          rules.slack_ms == 0 ? std::max<std::int64_t>(start_ms, 0) : steps_origin_ms(binding));
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

std::vector<std::uint32_t> compared_lines(const TrendAxis& axis, const TrendAxis& before, const PreviousSpec& previous,
                                          const std::optional<Unit>& interval, const Binding& binding) {
  if (!interval) return {0};
  std::vector<std::uint32_t> out(axis.line_count(), kNoLine);
  std::uint32_t next = 0;  // the first line of `before` that is not taken
  for (std::uint32_t line = 0; line < out.size(); ++line) {
    std::uint32_t at = line;
    if (pairs_dates(previous, *interval)) {
      const std::int64_t from_ms = std::max(axis.start_ms(axis.first_line() + line), binding.range.start_ms);
      const auto bucket = before.bucket_of(previous_date(previous, from_ms, binding.zone));
      at = bucket && *bucket >= before.first_line() ? *bucket - before.first_line() : kNoLine;
    }
    if (at >= before.line_count() || at < next) continue;
    out[line] = at;
    next = at + 1;
  }
  return out;
}

}  // namespace cdp
