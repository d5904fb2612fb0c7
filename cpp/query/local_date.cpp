#include "query/local_date.hpp"

#include <algorithm>
#include <chrono>

namespace cdp {

std::int64_t local_day(const Zone& zone, std::int64_t time_ms) noexcept {
  const std::int64_t local_ms = time_ms + zone.offset_ms(time_ms);
  return local_ms / kDayMs - (local_ms % kDayMs < 0 ? 1 : 0);
}

LocalDate date_of(std::int64_t day) noexcept {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return {int{date.year()}, static_cast<int>(unsigned{date.month()}), static_cast<int>(unsigned{date.day()})};
}

std::int64_t day_of(const LocalDate& date) noexcept {
  const std::chrono::year_month_day civil{std::chrono::year{static_cast<int>(date.year)},
                                          std::chrono::month{static_cast<unsigned>(date.month)},
                                          std::chrono::day{static_cast<unsigned>(date.day)}};
  return std::chrono::sys_days{civil}.time_since_epoch().count();
}

bool is_leap_year(std::int64_t year) noexcept { return std::chrono::year{static_cast<int>(year)}.is_leap(); }

std::optional<std::int64_t> parse_date(std::string_view text) noexcept {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  int parts[3] = {0, 0, 0};
  for (std::size_t at = 0, part = 0; at < text.size(); ++at) {
    if (at == 4 || at == 7) {
      ++part;
    } else if (text[at] >= '0' && text[at] <= '9') {
      parts[part] = parts[part] * 10 + (text[at] - '0');
    } else {
      return std::nullopt;
    }
  }
  const std::chrono::year_month_day date{std::chrono::year{parts[0]},
                                         std::chrono::month{static_cast<unsigned>(parts[1])},
                                         std::chrono::day{static_cast<unsigned>(parts[2])}};
  if (!date.ok() || parts[0] == 0) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count();
}

std::int64_t next_transition_ms(const Zone& zone, std::int64_t time_ms) noexcept {
  const auto next = std::ranges::upper_bound(zone.transitions(), time_ms, {}, &ZoneTransition::utc_ms);
  return next == zone.transitions().end() ? INT64_MAX : next->utc_ms;
}

}  // namespace cdp
