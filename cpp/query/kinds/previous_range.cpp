#include "query/kinds/previous_range.hpp"

#include <algorithm>

#include "query/calendar.hpp"
#include "query/local_date.hpp"

namespace cdp {
namespace {

constexpr std::string_view kExpected = "period, day, week, month, quarter, year or {\"days\": n}";

std::int64_t floor_div(std::int64_t value, std::int64_t by) noexcept { return value / by - (value % by < 0 ? 1 : 0); }

std::int64_t months_of(const Unit& unit) noexcept {
  switch (unit.type) {
    case Unit::Type::kMonth: return 1;
    case Unit::Type::kQuarter: return 3;
    case Unit::Type::kYear: return 12;
    default: return 0;
  }
}

std::int64_t days_of(const Unit& unit) noexcept {
  switch (unit.type) {
    case Unit::Type::kDay: return 1;
    case Unit::Type::kWeek: return 7;
    case Unit::Type::kDays: return unit.days;
    default: return 0;
  }
}

// The same day of the month so many months earlier, or the last there is.
std::int64_t day_before(std::int64_t day, std::int64_t months) noexcept {
  const LocalDate date = date_of(day);
  const std::int64_t index = date.year * 12 + date.month - 1 - months;
  const auto first_of = [](std::int64_t month) {
    const std::int64_t year = floor_div(month, 12);
    return day_of({year, static_cast<int>(month - year * 12) + 1, 1});
  };
  return std::min(first_of(index) + date.day - 1, first_of(index + 1) - 1);
}

std::int64_t earlier(std::int64_t time_ms, const Unit& unit, std::int64_t count, const Zone& zone) noexcept {
  if (unit.type == Unit::Type::kHour) return time_ms - count * 3'600'000;
  const std::int64_t day = local_day(zone, time_ms);
  const std::int64_t of_day = time_ms + zone.offset_ms(time_ms) - day * kDayMs;
  const std::int64_t months = months_of(unit) * count;
  const std::int64_t to = months != 0 ? day_before(day, months) : day - days_of(unit) * count;
  return zone.utc_of_local(to * kDayMs + of_day);
}

TimeRange earlier(const TimeRange& range, const Unit& unit, std::int64_t count, const Zone& zone) noexcept {
  const std::int64_t start_ms = earlier(range.start_ms, unit, count, zone);
  return {start_ms, std::max(start_ms, earlier(range.end_ms, unit, count, zone))};
}

TimeRange earlier(const TimeRange& range, std::int64_t length_ms) noexcept {
  return {range.start_ms - length_ms, range.end_ms - length_ms};
}

}  // namespace

PreviousSpec parse_previous(const Node& node, const Path& path) {
  if (node.type == Node::Type::kString && node.text == "period") return {};
  if (node.type == Node::Type::kString && node.text == "hour") fail_expected(path, kExpected, node);
  if (node.type != Node::Type::kString && node.type != Node::Type::kMap) fail_expected(path, kExpected, node);
  return {parse_unit(node, path)};
}

bool has_start(const RangeSpec& range) noexcept {
  switch (range.type) {
    case RangeSpec::Type::kAll:
    case RangeSpec::Type::kSince: return false;
    case RangeSpec::Type::kLast: return range.last_ms < limits::kAlwaysMs;
    case RangeSpec::Type::kAbsolute: return range.start_ms != INT64_MIN;
    case RangeSpec::Type::kCalendar: break;
  }
  return true;
}

TimeRange previous_range(const PreviousSpec& previous, const RangeSpec& asked, const TimeRange& range,
                         const Zone& zone) noexcept {
  const bool of_calendar = asked.type == RangeSpec::Type::kCalendar;
  const Zone& own = of_calendar ? *asked.calendar.zone : zone;
  const TimeRange whole{range.start_ms, std::max(range.start_ms, range.end_ms)};
  if (previous.unit) return earlier(whole, *previous.unit, 1, own);
  if (of_calendar) return earlier(whole, asked.unit, asked.count, own);
  if (asked.type == RangeSpec::Type::kLast) return earlier(whole, asked.last_ms - asked.until_ms);
  const std::int64_t end_ms = asked.end_ms == INT64_MAX ? whole.end_ms : asked.end_ms;
  const std::int64_t first = local_day(own, whole.start_ms);
  if (own.utc_of_local(first * kDayMs) != whole.start_ms || end_ms <= whole.start_ms)
    return earlier(whole, end_ms - whole.start_ms);
  return earlier(whole, {Unit::Type::kDay}, local_day(own, end_ms - 1) - first + 1, own);
}

bool pairs_dates(const PreviousSpec& previous, const Unit& interval) noexcept {
  return previous.unit && months_of(*previous.unit) != 0 && interval.type == Unit::Type::kDay;
}

std::int64_t previous_date(const PreviousSpec& previous, std::int64_t time_ms, const Zone& zone) noexcept {
  return earlier(time_ms, *previous.unit, 1, zone);
}

}  // namespace cdp
