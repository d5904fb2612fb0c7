// Calendars against a walk minute by minute with the calendar of <chrono>.
#include <chrono>
#include <map>
#include <random>

#include "check.hpp"
#include "query/calendar.hpp"

namespace {

using namespace cdp;

constexpr std::int64_t kMinute = 60'000, kHour = 3'600'000, kDay = 86'400'000;

std::int64_t utc(int year, unsigned month, unsigned day, int hour = 0, int minute = 0) {
  const std::chrono::sys_days days = std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
  return days.time_since_epoch().count() * kDay + hour * kHour + minute * kMinute;
}

const Zone& new_york() {
  static const Zone zone("New_York", {{utc(2023, 11, 5, 6), -5 * kHour},
                                      {utc(2024, 3, 10, 7), -4 * kHour},
                                      {utc(2024, 11, 3, 6), -5 * kHour},
                                      {utc(2025, 3, 9, 7), -4 * kHour}});
  return zone;
}
const Zone& lord_howe() {  // changes by half an hour
  static const Zone zone("Lord_Howe", {{utc(2023, 10, 1), 11 * kHour},
                                       {utc(2024, 4, 6, 15), 10 * kHour + 30 * kMinute},
                                       {utc(2024, 10, 5, 15, 30), 11 * kHour}});
  return zone;
}
const Zone& sao_paulo() {  // midnight does not exist on one day, and comes twice around another
  static const Zone zone(
      "Sao_Paulo",
      {{utc(2017, 1, 1), -2 * kHour}, {utc(2018, 2, 18, 2), -3 * kHour}, {utc(2018, 11, 4, 3), -2 * kHour}});
  return zone;
}
const Zone& kathmandu() {
  static const Zone zone("Kathmandu", {{0, 5 * kHour + 45 * kMinute}});
  return zone;
}
const Zone& apia() {  // skips a whole day
  static const Zone zone("Apia", {{utc(2011, 9, 24), -10 * kHour}, {utc(2011, 12, 30, 10), 14 * kHour}});
  return zone;
}
const Zone& freak() {  // set back across midnight, after it
  static const Zone zone("Freak", {{utc(2024, 1, 1), -3 * kHour}, {utc(2024, 2, 5, 3, 1), -4 * kHour}});
  return zone;
}

std::int64_t naive_index(Unit unit, int week_start, std::int64_t origin_day, std::int64_t local_ms) {
  using namespace std::chrono;
  const sys_days day = floor<days>(sys_time<milliseconds>(milliseconds(local_ms)));
  const std::int64_t number = day.time_since_epoch().count();
  const year_month_day date(day);
  const std::int64_t month = int(date.year()) * 12 + static_cast<int>(unsigned(date.month())) - 1;
  switch (unit.type) {
    case Unit::Type::kHour:
    case Unit::Type::kMinutes: return -1;
    case Unit::Type::kDay: return number;
    case Unit::Type::kWeek: {
      const int since = (static_cast<int>(weekday(day).iso_encoding()) - 1 - week_start + 7) % 7;
      return number - since;
    }
    case Unit::Type::kMonth: return month;
    case Unit::Type::kQuarter: return month / 3;
    case Unit::Type::kYear: return month / 12;
    case Unit::Type::kDays: return (number - origin_day + 1'000'000 * unit.days) / unit.days;
  }
  return 0;
}

// The bucket of a minute is what the wall clock shows; it starts where the clock first showed that or something later.
void check_zone(const Zone& zone, Unit unit, int week_start, std::int64_t first_ms, std::int64_t last_ms) {
  const std::int64_t origin_ms = first_ms + 3 * kDay;
  const Calendar calendar(zone, unit, week_start, origin_ms);
  const std::int64_t origin_local = origin_ms + zone.offset_ms(origin_ms);
  const std::int64_t origin_day = (origin_local - ((origin_local % kDay) + kDay) % kDay) / kDay;
  std::map<std::int64_t, std::int64_t> start_of;
  for (std::int64_t at = first_ms; at < last_ms; at += kMinute) {
    const std::int64_t index = naive_index(unit, week_start, origin_day, at + zone.offset_ms(at));
    if (start_of.empty() || index > start_of.rbegin()->first) {
      const std::int64_t previous = start_of.empty() ? 0 : start_of.rbegin()->second;
      start_of[index] = at;
      if (start_of.size() > 2) CHECK_EQ(calendar.next_start(previous), at);
      if (start_of.size() > 2) CHECK(calendar.distance(previous, at) >= 1);
    }
    if (start_of.size() < 2 || index == start_of.begin()->first) continue;
    const std::int64_t inside = at + (at / kMinute) % kMinute;  // some millisecond of the minute
    if (calendar.bucket_start(inside) != start_of.at(index)) {
      CHECK_EQ(calendar.bucket_start(inside), start_of.at(index));
      return;
    }
  }
  CHECK(start_of.size() >= 2);
}

void check_units(const Zone& zone, std::int64_t first_ms, int days) {
  const std::int64_t last_ms = first_ms + days * kDay;
  check_zone(zone, {Unit::Type::kDay, 0}, 0, first_ms, last_ms);
  check_zone(zone, {Unit::Type::kWeek, 0}, 0, first_ms, last_ms);
  check_zone(zone, {Unit::Type::kWeek, 0}, 6, first_ms, last_ms);
  check_zone(zone, {Unit::Type::kMonth, 0}, 0, first_ms, last_ms);
  check_zone(zone, {Unit::Type::kDays, 5}, 0, first_ms, last_ms);
}

TEST("days, weeks, months begin where the wall clock first shows them, in every kind of zone") {
  check_units(Zone::utc(), utc(2024, 1, 30), 100);
  check_units(new_york(), utc(2024, 2, 20), 80);
  check_units(new_york(), utc(2024, 10, 20), 80);
  check_units(lord_howe(), utc(2024, 3, 20), 70);
  check_units(sao_paulo(), utc(2018, 1, 20), 70);
  check_units(sao_paulo(), utc(2018, 10, 20), 70);
  check_units(kathmandu(), utc(2024, 1, 20), 70);
  check_units(apia(), utc(2011, 11, 20), 70);
  check_units(freak(), utc(2024, 1, 10), 70);
}

TEST("quarters and years over leap years") {
  check_zone(Zone::utc(), {Unit::Type::kQuarter, 0}, 0, utc(2023, 6, 1), utc(2024, 8, 1));
  check_zone(new_york(), {Unit::Type::kYear, 0}, 0, utc(2023, 12, 1), utc(2025, 2, 1));
  const Calendar years(Zone::utc(), {Unit::Type::kYear, 0}, 0);
  CHECK_EQ(years.bucket_start(utc(2000, 2, 29)), utc(2000, 1, 1));
  CHECK_EQ(years.next_start(utc(1999, 1, 1)), utc(2000, 1, 1));
  CHECK_EQ(years.distance(utc(1999, 1, 1), utc(2024, 1, 1)), 25);
}

TEST("a repeated hour is a bucket of its own, and days have 23 and 25 of them") {
  const Calendar hours(new_york(), {Unit::Type::kHour, 0}, 0);
  const Calendar days(new_york(), {Unit::Type::kDay, 0}, 0);
  const std::int64_t spring = days.bucket_start(utc(2024, 3, 10, 12)), autumn = days.bucket_start(utc(2024, 11, 3, 12));
  CHECK_EQ(days.next_start(spring) - spring, 23 * kHour);
  CHECK_EQ(days.next_start(autumn) - autumn, 25 * kHour);
  CHECK_EQ(hours.distance(autumn, days.next_start(autumn)), 25);
  const Calendar howe(lord_howe(), {Unit::Type::kHour, 0}, 0);
  CHECK_EQ(howe.bucket_start(utc(2024, 4, 6, 15, 29)), utc(2024, 4, 6, 15));  // 01:30 to 02:00 again
  CHECK_EQ(howe.next_start(utc(2024, 4, 6, 15)), utc(2024, 4, 6, 15, 30));
  const Calendar nepal(kathmandu(), {Unit::Type::kHour, 0}, 0);
  CHECK_EQ(nepal.bucket_start(utc(2024, 4, 6, 15, 20)), utc(2024, 4, 6, 15, 15));
}

TEST("minutes are laid from local midnight on, and a change of offset begins new ones") {
  const auto minutes = [](const Zone& zone, std::int64_t count) {
    return Calendar(zone, {.type = Unit::Type::kMinutes, .minutes = count}, 0);
  };
  const Calendar nepal = minutes(kathmandu(), 30);
  CHECK_EQ(nepal.bucket_start(utc(2024, 4, 6, 15, 20)), utc(2024, 4, 6, 15, 15));  // 21:05 there
  CHECK_EQ(nepal.next_start(utc(2024, 4, 6, 15, 15)), utc(2024, 4, 6, 15, 45));
  const Calendar halves = minutes(new_york(), 720);
  CHECK_EQ(halves.bucket_start(utc(2024, 3, 10, 15)), utc(2024, 3, 10, 7));  // 11:00; before noon since the jump
  CHECK_EQ(halves.next_start(utc(2024, 3, 10, 7)), utc(2024, 3, 10, 16));
  const Calendar single = minutes(Zone::utc(), 1);
  CHECK_EQ(single.bucket_start(utc(2024, 3, 10, 7, 5) + 59'999), utc(2024, 3, 10, 7, 5));
  CHECK_EQ(single.distance(utc(2024, 3, 10), utc(2024, 3, 11)), 1'440);
  const Calendar howe = minutes(lord_howe(), 60);
  const std::int64_t before = utc(2024, 4, 6, 15), after = utc(2024, 4, 6, 17, 30);
  CHECK_EQ(howe.distance(before, after), 3);  // 01:30 to 02:00 comes again, by itself
  CHECK_EQ(howe.start_after(before, 3), after);
  CHECK_EQ(Calendar(lord_howe(), {Unit::Type::kHour, 0}, 0).distance(before, after), 3);
}

TEST("buckets of a range agree with the calendar at every instant, also where a day comes back") {
  std::mt19937_64 random(test::seed());
  for (const Zone* zone : {&Zone::utc(), &new_york(), &lord_howe(), &kathmandu(), &freak()}) {
    for (const Unit unit :
         {Unit{Unit::Type::kHour, 0}, Unit{Unit::Type::kDay, 0}, Unit{Unit::Type::kWeek, 0},
          Unit{.type = Unit::Type::kMinutes, .minutes = 20}, Unit{.type = Unit::Type::kMinutes, .minutes = 720}}) {
      const std::int64_t first_ms = utc(2024, 1, 20), last_ms = utc(2024, 4, 20);
      const Buckets buckets(Calendar(*zone, unit, 0), first_ms, last_ms);
      for (int i = 0; i < 2'000; ++i) {
        const std::int64_t time =
            first_ms + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(last_ms - first_ms));
        CHECK_EQ(buckets.start_ms(buckets.bucket_of(time)), Calendar(*zone, unit, 0).bucket_start(time));
      }
    }
  }
  const Buckets days(Calendar(freak(), {Unit::Type::kDay, 0}, 0), utc(2024, 2, 4, 12), utc(2024, 2, 6));
  CHECK_EQ(days.size(), 2u);
  CHECK_EQ(days.pieces().size(), 4u);  // a day, one minute of the next, the day once more, the next
  CHECK_EQ(days.bucket_of(utc(2024, 2, 5, 3, 1)), 0u);
}

TEST("a day that a zone skips still counts as a step of the calendar") {
  const Calendar days(apia(), {Unit::Type::kDay, 0}, 0);
  const std::int64_t before = days.bucket_start(utc(2011, 12, 30)), after = days.next_start(before);
  CHECK_EQ(after - before, kDay);
  CHECK_EQ(days.distance(before, after), 2);
}

TEST("a table of transitions that cannot be is refused") {
  for (const std::vector<ZoneTransition>& bad :
       std::vector<std::vector<ZoneTransition>>{{}, {{10, 0}, {10, 0}}, {{0, 27 * kHour}}, {{5, 0}, {1, kHour}}}) {
    bool refused = false;
    try {
      const Zone zone("Bad", bad);
    } catch (const Error& error) {
      refused = error.family() == Family::kBadQuery;
    }
    CHECK(refused);
  }
}

}  // namespace

TEST_MAIN()
