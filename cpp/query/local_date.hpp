// Dates of the wall clock: days since 1970-01-01, and the year, month and day they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "query/calendar.hpp"

namespace cdp {

inline constexpr std::int64_t kDayMs = 86'400'000;

struct LocalDate {
  std::int64_t year = 1970;
  int month = 1;  // 1..12
  int day = 1;    // 1..31
};

// The day that the zone's wall clock shows at an instant.
[[nodiscard]] std::int64_t local_day(const Zone& zone, std::int64_t time_ms) noexcept;
[[nodiscard]] LocalDate date_of(std::int64_t day) noexcept;
[[nodiscard]] std::int64_t day_of(const LocalDate& date) noexcept;
[[nodiscard]] bool is_leap_year(std::int64_t year) noexcept;
// "2026-03-01", of a day that exists.
[[nodiscard]] std::optional<std::int64_t> parse_date(std::string_view text) noexcept;
// When the zone's offset changes next after an instant; INT64_MAX when it never does.
[[nodiscard]] std::int64_t next_transition_ms(const Zone& zone, std::int64_t time_ms) noexcept;

}  // namespace cdp
