// Measures of the events found that need their order, their times or their days: first, last, first_time, last_time,
// distinct_days (docs/architecture.md, "Events of a profile").
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "query/condition.hpp"
#include "query/spec.hpp"

namespace cdp {

class SlotDays;  // slot_tables.hpp

struct RowMeasureSpec {
  enum class Type : std::uint8_t { kFirst, kLast, kFirstTime, kLastTime, kDistinctDays };
  enum class TimeOp : std::uint8_t { kBefore, kAfter, kOlderThan, kNewerThan };
  Type type{};
  std::string property;  // kFirst, kLast
  Test test;             // of that value; of the number of days
  TimeOp op{};           // kFirstTime, kLastTime
  std::int64_t value_ms = 0;
  bool missing = false;  // truth where nothing was found
  ZonePtr zone;          // kDistinctDays
};
inline constexpr std::array<std::string_view, 5> kRowMeasures = {"first", "last", "first_time", "last_time",
                                                                 "distinct_days"};
// Takes all that are there.
[[nodiscard]] std::vector<RowMeasureSpec> parse_row_measures(Fields& fields, const CalendarSpec& calendar);

class RowMeasure {
 public:
  RowMeasure(const RowMeasureSpec& spec, const Version& version, const Moment& at);
  // Of the rows found, in event order; `until_ms` is lowered to when time alone may change it.
  [[nodiscard]] bool holds(std::span<const Row* const> found, std::int64_t now_ms, std::int64_t& until_ms) const;
  [[nodiscard]] bool resolved() const noexcept;
  // Of the first (last) row's time, for those that are of a time.
  [[nodiscard]] bool time_holds(std::int64_t time_ms, std::int64_t now_ms, std::int64_t& until_ms) const noexcept;

  [[nodiscard]] RowMeasureSpec::Type type() const noexcept { return spec_.type; }
  // Of the property of a row; `key` none: never seen.
  [[nodiscard]] bool of_value() const noexcept {
    return spec_.type == RowMeasureSpec::Type::kFirst || spec_.type == RowMeasureSpec::Type::kLast;
  }
  [[nodiscard]] const std::optional<KeyId>& key() const noexcept { return key_; }
  // REQUIRES: not of a time.
  [[nodiscard]] const BoundTest& test() const noexcept { return *test_; }
  [[nodiscard]] bool is_timed() const noexcept { return test_ && test_->is_timed(); }
  // REQUIRES: of days.
  [[nodiscard]] const SlotDays& days() const noexcept { return *days_; }

 private:
  [[nodiscard]] std::uint64_t count_days(std::span<const Row* const> found) const;
  RowMeasureSpec spec_;
  std::optional<KeyId> key_;
  std::optional<BoundTest> test_;
  std::shared_ptr<const SlotDays> days_;  // of kDistinctDays
};

}  // namespace cdp
