// The spec of a retention, whatever its rules.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "query/kinds/kinds.hpp"
#include "query/kinds/retention_amounts.hpp"

namespace cdp {

struct RetentionSpec final : KindSpec {
  enum class Population : std::uint8_t { kFirstInRange, kFirstEver, kEveryPeriod };
  enum class Alignment : std::uint8_t { kCalendar, kRolling, kRollingHour };
  enum class Criterion : std::uint8_t { kOn, kOnOrAfter, kOnOrBefore, kStreak, kBrackets };

  Selector start;
  std::optional<Selector> returned;  // none: the start event
  Unit unit;
  Population population = Population::kFirstInRange;
  Alignment alignment = Alignment::kCalendar;
  Criterion criterion = Criterion::kOn;
  std::vector<std::pair<std::int64_t, std::int64_t>> brackets;  // of periods, closed
  std::int64_t min_count = 1;
  bool count_birth = false;  // the start is a return too
  bool share_value = false;  // returns have the start's values of the breakdown's properties
  std::int64_t periods = INT64_MAX;
  bool ignores_order = false;  // returns of period 0 may lie before the start
  bool fill = false;           // a row for every period of a cohort that has begun
  std::vector<RetentionMeasure> measures;

  // By the calendar, on a period, one return enough, the start counted where it is its own return: the fast kind answers.
  [[nodiscard]] bool is_plain() const noexcept {
    return population != Population::kEveryPeriod && alignment == Alignment::kCalendar && criterion == Criterion::kOn &&
           min_count == 1 && count_birth == !returned && is_whole && !ignores_order && !fill && measures.empty();
  }
  bool is_whole = true;  // no breakdown
  // The same births, each counted in period 0.
  [[nodiscard]] std::unique_ptr<RetentionSpec> of_births() const;
  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding& binding) const override;
  [[nodiscard]] CountedKind counted() const override;
  [[nodiscard]] std::unique_ptr<Kind> bind_for_rows(const Binding& binding) const override;
  [[nodiscard]] std::string_view needs_question(const CommonSpec& common) const override;
  [[nodiscard]] bool reads_any_event() const override;
};

// `for_rows`: nothing is planned for a scan, so that binding costs nothing and never fails.
[[nodiscard]] std::unique_ptr<Kind> make_ruled_retention(const RetentionSpec& spec, const Binding& binding,
                                                         bool for_rows = false);

}  // namespace cdp
