// The spec of a funnel, whatever its rules.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "query/kinds/funnel_attempts.hpp"
#include "query/kinds/kinds.hpp"
#include "query/quantile.hpp"

namespace cdp {

// A statistic of times, named as it was asked for.
struct TimeStatistic {
  enum class Type : std::uint8_t { kMean, kMin, kMax, kQuantile, kWithin };
  Type type = Type::kMean;
  Quantile quantile;
  std::int64_t within_ms = 0;  // kWithin: how many took no longer
  std::string name;
};

// Which of an attempt's rows a breakdown by properties reads.
struct Attribution {
  enum class Type : std::uint8_t { kStep, kFirstTouch, kLastTouch, kEveryStep };
  Type type = Type::kStep;
  std::uint32_t step = 0;  // kStep
};

// Which rows of a step's events take it: any, only the profile's first ever of these names, or the first that meets the
// conditions.
enum class StepFirst : std::uint8_t { kNo, kEvent, kMatching };

// Of each attempt how many of some events lie between the rows of two of its steps.
struct FunnelFrequency {
  Selector selector;
  std::uint32_t from = 0;  // steps, from 0
  std::uint32_t to = 0;
};

struct FunnelSpec final : KindSpec {
  std::vector<Selector> steps;
  std::vector<StepFirst> first;     // of each step
  std::vector<Selector> excluded;   // of rules.exclusions
  FunnelRules rules;                // but the calendar and the range
  std::optional<Unit> window_unit;  // the window is the entry's bucket
  std::vector<std::string> hold;    // properties whose values an attempt must share
  std::vector<TimeStatistic> times;
  Attribution attribution;
  std::optional<Unit> interval;              // lines by the bucket of the entry,
  std::optional<FunnelFrequency> frequency;  // or by how often

  // In order, the deepest attempt of each profile, and nothing else to know: the fast kind answers.
  [[nodiscard]] bool is_plain() const noexcept;
  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding& binding) const override;
  [[nodiscard]] CountedKind counted() const override;
  [[nodiscard]] std::unique_ptr<Kind> bind_for_rows(const Binding& binding) const override;
  [[nodiscard]] std::string_view needs_question(const CommonSpec& common) const override;
  [[nodiscard]] bool reads_any_event() const override;
  void check_cells(const Path& question) const override;
};

void parse_funnel_fields(Fields& fields, const CommonSpec& common, FunnelSpec& out);
[[nodiscard]] std::unique_ptr<Kind> make_attempts_funnel(const FunnelSpec& spec, const Binding& binding);

}  // namespace cdp
