#include "query/calendar_windows.hpp"

#include <algorithm>

namespace cdp {
namespace {

struct Now {
  const Zone& zone;
  int week_start;
  std::int64_t now_ms;
};

void resolve(RangeSpec& range, const Now& now) {
  if (range.type != RangeSpec::Type::kCalendar) return;
  const Calendar calendar(now.zone, range.unit, now.week_start);
  range.start_ms = calendar.start_after(calendar.bucket_start(now.now_ms), 1 - range.count);
  range.type = RangeSpec::Type::kAbsolute;
}

bool has_calendar(const PredicateSpec& spec) {
  return spec.window.type == RangeSpec::Type::kCalendar ||
         std::any_of(spec.children.begin(), spec.children.end(), has_calendar);
}

void resolve(PredicateSpec& spec, const Now& now) {
  resolve(spec.window, now);
  for (PredicateSpec& child : spec.children) resolve(child, now);
}

}  // namespace

void resolve_calendar_windows(CommonSpec& common, const Zone& zone, std::int64_t now_ms) {
  const Now now{zone, common.week_start, now_ms};
  resolve(common.range, now);
  if (common.where == nullptr || !has_calendar(*common.where)) return;
  auto resolved = std::make_shared<PredicateSpec>(*common.where);
  resolve(*resolved, now);
  common.where = std::move(resolved);
}

}  // namespace cdp
