// Ranges and windows of a spec.
//
//   range   {"start_ms"?, "end_ms"?} | {"last"?: duration, "until"?: duration} | {"last": days, "calendar": true, calendar}
//           | {"this": unit, "count"?: n, calendar} | {"previous": unit, "count"?: n, calendar}
//   calendar = "zone"?: zone, "week_start"?: day
//   window  range | {"since": {"trait": key}, "within"?: duration}
#include <algorithm>

#include "query/calendar.hpp"
#include "query/local_date.hpp"
#include "query/scan.hpp"
#include "query/spec.hpp"
#include "query/zone_field.hpp"

namespace cdp {
namespace {

void parse_calendar(Fields& fields, const CalendarSpec& otherwise, RangeSpec& out) {
  out.type = RangeSpec::Type::kCalendar;
  out.calendar.zone = take_zone(fields, otherwise);
  out.calendar.week_start =
      static_cast<int>(fields.choice("week_start", kWeekDays, static_cast<std::size_t>(otherwise.week_start)));
}

RangeSpec parse_last(Fields& fields, const Node* last, const Node* until, const CalendarSpec& calendar) {
  RangeSpec out;
  out.type = RangeSpec::Type::kLast;
  out.last_ms = last == nullptr ? limits::kAlwaysMs : parse_duration(*last, fields.path("last"));
  if (until != nullptr) out.until_ms = parse_duration(*until, fields.path("until"));
  if (out.until_ms >= out.last_ms) fail_invalid(fields.path("until"), "expected a shorter duration than that of last");
  const Node* is_calendar = fields.take("calendar");
  if (is_calendar == nullptr || !read_bool(*is_calendar, fields.path("calendar"))) return out;
  if (until != nullptr) fail_invalid(fields.path("until"), "a window of the calendar ends now");
  if (out.last_ms % kDayMs != 0) fail_invalid(fields.path("last"), "a window of the calendar has whole days");
  out.count = out.last_ms / kDayMs;
  parse_calendar(fields, calendar, out);
  return out;
}

// So many units: up to now, or those before the present one.
RangeSpec parse_units(Fields& fields, std::string_view field, const Node& unit, const CalendarSpec& calendar) {
  RangeSpec out;
  out.is_past = field == "previous";
  out.unit = parse_unit(unit, fields.path(field));
  if (const Node* count = fields.take("count"))
    out.count = read_int(*count, fields.path("count"), 1, limits::kCalendarUnitsMax);
  parse_calendar(fields, calendar, out);
  return out;
}

RangeSpec parse_since(Fields& fields) {
  RangeSpec out;
  out.type = RangeSpec::Type::kSince;
  const Path path = fields.path("since");
  Fields operand(fields.require("since", "{\"trait\": key}"), path);
  out.since = parse_key(operand.require("trait", "the key of a trait"), operand.path("trait"));
  operand.done();
  if (const Node* within = fields.take("within")) out.within_ms = parse_duration(*within, fields.path("within"));
  return out;
}

RangeSpec parse_fields(Fields& fields, const CalendarSpec& calendar) {
  const Node* last = fields.take("last");
  const Node* until = fields.take("until");
  if (last != nullptr || until != nullptr) return parse_last(fields, last, until, calendar);
  for (const std::string_view field : {"this", "previous"}) {
    if (const Node* unit = fields.take(field)) return parse_units(fields, field, *unit, calendar);
  }
  RangeSpec out;
  const Node* start = fields.take("start_ms");
  const Node* end = fields.take("end_ms");
  if (start == nullptr && end == nullptr) {
    fields.done();
    fail_invalid(fields.path(),
                 "expected {\"last\": duration}, {\"this\": unit}, {\"previous\": unit}, or start_ms and end_ms");
  }
  out.type = RangeSpec::Type::kAbsolute;
  if (start != nullptr) out.start_ms = parse_time(*start, fields.path("start_ms"));
  if (end != nullptr) out.end_ms = parse_time(*end, fields.path("end_ms"));
  if (out.start_ms > out.end_ms) fail_invalid(fields.path("end_ms"), "expected a time not before start_ms");
  return out;
}

}  // namespace

std::int64_t parse_time(const Node& node, const Path& path) {
  const bool is_map = node.type == Node::Type::kMap && node.fields.size() == 1 && node.fields[0].first == "$time";
  const Node& time = is_map ? node.fields[0].second : node;
  const std::int64_t most = limits::kQueryDurationMs * 20;
  if (time.type != Node::Type::kDatetime) return read_int(time, path, -most, most);
  if (time.integer < -most || time.integer > most) fail_invalid(path, "expected a time within 20 centuries of 1970");
  return time.integer;
}

ZonePtr take_zone(Fields& fields, const CalendarSpec& otherwise) {
  if (ZonePtr zone = take_zone(fields)) return zone;
  return otherwise.zone != nullptr ? otherwise.zone : ZonePtr(ZonePtr(), &Zone::utc());
}

RangeSpec parse_range(const Node& node, const Path& path, const CalendarSpec& calendar) {
  Fields fields(node, path);
  RangeSpec out = parse_fields(fields, calendar);
  fields.done();
  return out;
}

RangeSpec parse_window(const Node& node, const Path& path, const CalendarSpec& calendar) {
  Fields fields(node, path);
  RangeSpec out = fields.has("since") ? parse_since(fields) : parse_fields(fields, calendar);
  fields.done();
  return out;
}

TimeRange resolve_range(const RangeSpec& range, std::int64_t now_ms) noexcept {
  const std::int64_t visible_end = now_ms + 1;
  switch (range.type) {
    case RangeSpec::Type::kAll: return {INT64_MIN, visible_end};
    case RangeSpec::Type::kLast: {
      const bool is_open = range.last_ms >= limits::kAlwaysMs;
      return {is_open ? INT64_MIN : visible_end - range.last_ms, visible_end - range.until_ms};
    }
    case RangeSpec::Type::kCalendar: {
      const Calendar calendar(*range.calendar.zone, range.unit, range.calendar.week_start);
      const std::int64_t present_ms = calendar.bucket_start(now_ms);
      const std::int64_t units = range.is_past ? range.count : range.count - 1;
      return {calendar.start_after(present_ms, -units), range.is_past ? present_ms : visible_end};
    }
    case RangeSpec::Type::kSince: break;
    case RangeSpec::Type::kAbsolute: return {range.start_ms, std::min(range.end_ms, visible_end)};
  }
  return {};
}

std::int64_t range_turns_ms(const RangeSpec& range, std::int64_t now_ms) noexcept {
  if (range.type != RangeSpec::Type::kCalendar) return INT64_MAX;
  return Calendar(*range.calendar.zone, range.unit, range.calendar.week_start).next_border(now_ms);
}

}  // namespace cdp
