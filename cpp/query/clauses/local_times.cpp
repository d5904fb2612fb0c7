#include "query/clauses/local_times.hpp"

#include <algorithm>
#include <chrono>

#include "query/clauses/slot_tables.hpp"
#include "query/local_date.hpp"

namespace cdp {
namespace {

constexpr int kDayMinutes = 1'440;
constexpr std::string_view kHourExpected = "an hour from 0 to 24, or like \"09:30\"";

int parse_minute(const Node& node, const Path& path) {
  if (node.type == Node::Type::kInt) return static_cast<int>(read_int(node, path, 0, 24)) * 60;
  const std::string_view text = node.type == Node::Type::kString ? node.text : std::string_view();
  const auto digits = [&](std::size_t at) {
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : 100; };
    return digit(text[at]) * 10 + digit(text[at + 1]);
  };
  if (text.size() != 5 || text[2] != ':') fail_expected(path, kHourExpected, node);
  const int minutes = digits(0) * 60 + digits(3);
  if (digits(3) > 59 || minutes > kDayMinutes) fail_expected(path, kHourExpected, node);
  return minutes;
}

}  // namespace

LocalInstant local_instant(const Zone& zone, std::int64_t time_ms) noexcept {
  const std::int64_t day = local_day(zone, time_ms);
  return {day, time_ms + zone.offset_ms(time_ms) - day * kDayMs};
}

bool LocalTimes::matches(std::int64_t time_ms) const noexcept {
  const LocalInstant local = local_instant(*zone_, time_ms);
  if (((weekdays_ >> local.weekday()) & 1) == 0) return false;
  const auto minute = static_cast<int>(local.ms / 60'000);
  const auto inside = [minute](const std::pair<int, int>& span) {
    return minute >= span.first && minute < span.second;
  };
  if (!hours_.empty() && std::ranges::none_of(hours_, inside)) return false;
  if (days_ == ~0u && months_ == 0xFFF) return true;
  using namespace std::chrono;
  const year_month_day date{sys_days{days{local.day}}};
  const unsigned day = static_cast<unsigned>(date.day());
  const unsigned last = static_cast<unsigned>(year_month_day_last{date.year(), month_day_last{date.month()}}.day());
  const bool is_day = ((days_ >> (day - 1)) & 1) != 0 || ((days_from_end_ >> (last - day)) & 1) != 0;
  return is_day && ((months_ >> (static_cast<unsigned>(date.month()) - 1)) & 1) != 0;
}

bool LocalTimes::is_steady(std::int64_t from_ms, std::int64_t to_ms) const noexcept {
  if (next_transition_ms(*zone_, from_ms) < to_ms) return false;
  const LocalInstant first = local_instant(*zone_, from_ms);
  const std::int64_t end_ms = first.ms + (to_ms - from_ms);  // of the local day, exclusive
  if (end_ms > kDayMs) return false;
  const auto cuts = [&](int minute) { return minute * 60'000LL > first.ms && minute * 60'000LL < end_ms; };
  return std::ranges::none_of(hours_, [&](const auto& span) { return cuts(span.first) || cuts(span.second); });
}

class LocalTimesParser {
 public:
  static LocalTimesPtr parse(Fields& fields, const CalendarSpec& calendar, bool with_hours, bool with_days,
                             bool with_dates) {
    auto out = std::make_shared<LocalTimes>();
    bool any = with_hours &&
               take(fields, "hours", 1'000, [&](const Node& node, const Path& path) { add_hours(*out, node, path); });
    if (with_days) {
      out->weekdays_ = 0;
      const bool given = take(fields, "weekdays", 7, [&](const Node& node, const Path& path) {
        out->weekdays_ |= 1u << day_of_week(node, path);
      });
      if (!given) out->weekdays_ = 0x7F;
      any |= given;
    }
    if (with_dates) any |= take_dates(fields, *out);
    out->zone_ = take_zone(fields, calendar);
    if (!any) fail_invalid(fields.path(), "expected some of hours, weekdays, days_of_month, months");
    return out;
  }

 private:
  template <class Add>
  static bool take(Fields& fields, std::string_view name, std::size_t most, Add&& add) {
    const Node* node = fields.take(name);
    if (node == nullptr) return false;
    const Path path = fields.path(name);
    const std::vector<Node>& items = read_array(*node, path, 1, most);
    for (std::size_t i = 0; i < items.size(); ++i) add(items[i], path.item(i));
    return true;
  }

  static void add_hours(LocalTimes& out, const Node& node, const Path& path) {
    const std::vector<Node>& pair = read_array(node, path, 2, 2);
    const int from = parse_minute(pair[0], path.item(0)), to = parse_minute(pair[1], path.item(1));
    if (from == to || from == kDayMinutes) fail_invalid(path, "expected an hour before midnight and a later one");
    if (from < to) {
      out.hours_.emplace_back(from, to);
      return;
    }
    out.hours_.emplace_back(from, kDayMinutes);
    out.hours_.emplace_back(0, to);
  }

  static int day_of_week(const Node& node, const Path& path) {
    const auto found = std::ranges::find(kWeekDays, node.type == Node::Type::kString ? node.text : std::string_view());
    if (found == kWeekDays.end()) fail_expected(path, "a day from \"monday\" to \"sunday\"", node);
    return static_cast<int>(found - kWeekDays.begin());
  }

  static bool take_dates(Fields& fields, LocalTimes& out) {
    out.days_ = 0, out.months_ = 0;
    const bool days = take(fields, "days_of_month", 62, [&](const Node& node, const Path& path) {
      const std::int64_t day = read_int(node, path, -31, 31);
      if (day == 0) fail_invalid(path, "expected a day from 1 to 31, or from -1, the last, to -31");
      (day > 0 ? out.days_ : out.days_from_end_) |= 1u << ((day > 0 ? day : -day) - 1);
    });
    const bool months = take(fields, "months", 12, [&](const Node& node, const Path& path) {
      out.months_ |= 1u << (read_int(node, path, 1, 12) - 1);
    });
    if (!days) out.days_ = ~0u;
    if (!months) out.months_ = 0xFFF;
    return days || months;
  }
};

LocalTimesPtr parse_local_times(const Node& node, const Path& path, const CalendarSpec& calendar) {
  Fields fields(node, path);
  LocalTimesPtr out = LocalTimesParser::parse(fields, calendar, true, true, true);
  fields.done();
  return out;
}

LocalTimesPtr parse_hours(Fields& fields, const CalendarSpec& calendar) {
  return LocalTimesParser::parse(fields, calendar, true, false, false);
}

LocalTimesPtr parse_weekdays(Fields& fields, const CalendarSpec& calendar) {
  return LocalTimesParser::parse(fields, calendar, false, true, false);
}

TimedSelector parse_timed(Fields& fields, const CalendarSpec& calendar) {
  TimedSelector out{parse_selector(fields), nullptr};
  if (const Node* at = fields.take("at")) out.at = parse_local_times(*at, fields.path("at"), calendar);
  return out;
}

TimedSelector parse_timed(const Node& node, const Path& path, const CalendarSpec& calendar) {
  if (node.type != Node::Type::kMap) return {parse_selector(node, path), nullptr};
  Fields fields(node, path);
  TimedSelector out = parse_timed(fields, calendar);
  fields.done();
  return out;
}

BoundTimed::BoundTimed(const TimedSelector& spec, const Version& version, const Moment& moment)
    : selector(bind_selector(spec.selector, version, moment)),
      at(spec.at),
      slots(spec.at == nullptr ? nullptr : std::make_shared<const SlotTimes>(spec.at)),
      is_timed(selector.is_timed()) {}

bool BoundTimed::matches(const Row& row, std::int64_t now_ms, std::int64_t& until_ms) const {
  if (at != nullptr && !at->matches(row.time_ms)) return false;
  if (is_timed && selector.selects(row.name)) until_ms = std::min(until_ms, selector.valid_until(row, now_ms));
  return selector.matches(row, now_ms);
}

}  // namespace cdp
