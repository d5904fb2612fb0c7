// What a range is compared with: a stretch as long right before it, or the same dates some units of the calendar earlier.
//
//   "previous"   "period" | "day" | "week" | "month" | "quarter" | "year" | {"days": n}
//
// Meaning. Both borders of the range, as far as it has come by now, move back by the wall clock, which then shows the same time of
// day (or, where it skips that, the first later one); a day that the month there does not have is its last. "period" moves by the
// length of the range as asked: of one that is `last` so long by that, exactly; of one of calendar units by as many of them; of one
// from a local midnight by the local days it touches; of any other by its milliseconds.
#pragma once

#include <optional>

#include "query/scan.hpp"
#include "query/spec.hpp"

namespace cdp {

struct PreviousSpec {
  std::optional<Unit> unit;  // none: "period"
};

// REQUIRES: has_start(range) for the next.
[[nodiscard]] PreviousSpec parse_previous(const Node& node, const Path& path);
[[nodiscard]] bool has_start(const RangeSpec& range) noexcept;
// `range`: as resolved from `asked`. `zone`: of the question.
[[nodiscard]] TimeRange previous_range(const PreviousSpec& previous, const RangeSpec& asked, const TimeRange& range,
                                       const Zone& zone) noexcept;

// Whether days are compared with those of the same date: months, quarters and years earlier, where not every date exists.
[[nodiscard]] bool pairs_dates(const PreviousSpec& previous, const Unit& interval) noexcept;
// The same time of day on the same date, or on the last of that month. REQUIRES: previous.unit.
[[nodiscard]] std::int64_t previous_date(const PreviousSpec& previous, std::int64_t time_ms, const Zone& zone) noexcept;

}  // namespace cdp
