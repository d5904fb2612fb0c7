// The buckets of one interval of a ruled trend over a range, those before the range included that a line looks back to.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "query/calendar.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/previous_range.hpp"

namespace cdp {

struct TrendAxisRules {
  std::int64_t reach = 1;     // buckets a line looks at, its own the last; 0: all from the range's start on
  bool goes_on = false;       // buckets without rows behind the last have lines too
  bool is_whole = false;      // every bucket of the range is there, whether rows are or not
  std::int64_t slack_ms = 0;  // how far rows may be shown from where they lie
};

class TrendAxis {
 public:
  TrendAxis(const Binding& binding, const TimeRange& range, const std::optional<Unit>& unit,
            const TrendAxisRules& rules);

  [[nodiscard]] std::uint32_t size() const noexcept { return buckets_ ? buckets_->size() : single_ms_ ? 1 : 0; }
  // The first bucket that has a line.
  [[nodiscard]] std::uint32_t first_line() const noexcept { return first_line_; }
  [[nodiscard]] std::uint32_t line_count() const noexcept { return size() - first_line_; }
  // REQUIRES: a unit.
  [[nodiscard]] std::int64_t start_ms(std::uint32_t bucket) const noexcept { return buckets_->start_ms(bucket); }
  [[nodiscard]] const TimeRange& rows() const noexcept { return rows_; }
  [[nodiscard]] bool is_open() const noexcept { return rows_.start_ms == INT64_MIN; }
  // None: it does not count.
  [[nodiscard]] std::optional<std::uint32_t> bucket_of(std::int64_t time_ms) const noexcept {
    if (size() == 0 || !rows_.contains(time_ms)) return std::nullopt;
    return buckets_ ? buckets_->bucket_of(time_ms) : 0;
  }

 private:
  TimeRange rows_;
  std::optional<Buckets> buckets_;
  std::optional<std::int64_t> single_ms_;  // without unit
  std::uint32_t first_line_ = 0;
};

// Which line of `before` each line of an axis is compared with, from the first line; kNoLine: none. One after the other, or by
// dates, each with one line only.
inline constexpr std::uint32_t kNoLine = UINT32_MAX;
[[nodiscard]] std::vector<std::uint32_t> compared_lines(const TrendAxis& axis, const TrendAxis& before,
                                                        const PreviousSpec& previous,
                                                        const std::optional<Unit>& interval, const Binding& binding);

}  // namespace cdp
