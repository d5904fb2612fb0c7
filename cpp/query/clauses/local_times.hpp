// `at`: hours, days of the week, days of the month, months of the local wall clock; and selectors that have it.
//
//   at     any of "hours": [[from, to], ..], "weekdays": ["monday", ..], "days_of_month": [1, -1], "months": [1, 12];
//          "zone"?: zone. All that is given must hold
//   hour   0 .. 24 or "09:30"; from is included, to is not; to before from runs over midnight
//   timed  a selector's fields, "at"?: at
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "query/condition.hpp"
#include "query/spec.hpp"

namespace cdp {

class LocalTimes {
 public:
  // Cost ~20 ns.
  [[nodiscard]] bool matches(std::int64_t time_ms) const noexcept;
  // All times of [from_ms, to_ms) match or none does: for sure, where it says so. REQUIRES: less than a day.
  [[nodiscard]] bool is_steady(std::int64_t from_ms, std::int64_t to_ms) const noexcept;

 private:
  friend class LocalTimesParser;
  ZonePtr zone_;
  std::vector<std::pair<int, int>> hours_;  // minutes of the day, half-open, ascending each; empty: any
  std::uint32_t weekdays_ = 0x7F;           // bit 0 = Monday
  std::uint32_t days_ = ~0u;                // bit d − 1 of day d
  std::uint32_t days_from_end_ = 0;         // bit d − 1 of day −d
  std::uint32_t months_ = 0xFFF;
};

// A day of the wall clock: days since 1970, and the millisecond within it.
struct LocalInstant {
  std::int64_t day = 0;
  std::int64_t ms = 0;
  [[nodiscard]] int hour() const noexcept { return static_cast<int>(ms / 3'600'000); }
  [[nodiscard]] int weekday() const noexcept { return static_cast<int>(((day + 3) % 7 + 7) % 7); }  // 0 = Monday
};
[[nodiscard]] LocalInstant local_instant(const Zone& zone, std::int64_t time_ms) noexcept;

using LocalTimesPtr = std::shared_ptr<const LocalTimes>;
[[nodiscard]] LocalTimesPtr parse_local_times(const Node& node, const Path& path, const CalendarSpec& calendar);
// Takes "hours" (required) and "zone", "weekdays" and "zone": one of the fields of `at` by itself.
[[nodiscard]] LocalTimesPtr parse_hours(Fields& fields, const CalendarSpec& calendar);
[[nodiscard]] LocalTimesPtr parse_weekdays(Fields& fields, const CalendarSpec& calendar);

struct TimedSelector {
  Selector selector;
  LocalTimesPtr at;  // null: at any time
};
[[nodiscard]] TimedSelector parse_timed(const Node& node, const Path& path, const CalendarSpec& calendar);
// Takes event, where and at.
[[nodiscard]] TimedSelector parse_timed(Fields& fields, const CalendarSpec& calendar);

class SlotTimes;  // slot_tables.hpp

struct BoundTimed {
  BoundSelector selector;
  LocalTimesPtr at;
  std::shared_ptr<const SlotTimes> slots;  // of `at`, for scans
  bool is_timed;                           // conditions relative to now

  BoundTimed(const TimedSelector& spec, const Version& version, const Moment& moment);
  [[nodiscard]] bool by_name_alone() const noexcept { return at == nullptr && selector.where.empty(); }
  // `until_ms` is lowered to when time alone may change it; a row later than now may match from its own time on.
  [[nodiscard]] bool matches(const Row& row, std::int64_t now_ms, std::int64_t& until_ms) const;
};

}  // namespace cdp
