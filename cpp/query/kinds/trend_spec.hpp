// What a trend asks. Its fields are read in trend_spec.cpp; trend.cpp answers the plain ones, trend_ruled.cpp all others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "query/kinds/kinds.hpp"
#include "query/kinds/previous_range.hpp"
#include "query/kinds/trend_formula.hpp"
#include "query/quantile.hpp"

namespace cdp {

struct TrendMeasure {
  enum class Type : std::uint8_t { kTotal, kUnique, kSum, kMean, kMin, kMax, kQuantile, kDistinct, kPerProfile };
  enum class Statistic : std::uint8_t { kMean, kMin, kMax, kQuantile };
  Type type = Type::kTotal;
  std::string key;                          // of a measure of a property
  std::size_t numbers = 0;                  // index of its key in the plan's keys
  Statistic statistic = Statistic::kMean;   // kPerProfile
  Quantile quantile{};                      // kQuantile, and kPerProfile of that statistic
  std::string name{};                       // of the quantile or statistic, as asked
  [[nodiscard]] std::string title() const;  // "sum(price)", the name of its column
};

struct TrendSeries {
  enum class First : std::uint8_t { kNo, kEvent, kMatching };
  Selector selector;
  std::string name;  // "A", "B", .. when not given
  First first = First::kNo;
};

struct TrendSpec final : KindSpec {
  std::vector<TrendSeries> series;
  bool lists_series = false;
  std::vector<TrendMeasure> measures;
  std::vector<Unit> intervals;  // empty: null
  bool lists_intervals = false;
  std::size_t order = 0;
  std::int64_t window = 1;       // buckets a line measures, its own the last; 0: all from the range's start on
  std::int64_t moving_mean = 0;  // buckets whose numbers a line is the mean of; 0: not asked for. Then window is 1
  bool fill = false;
  std::optional<PreviousSpec> previous;
  std::vector<TrendFormula> formulas;

  // One event, and measures of cells that stand alone and add up.
  [[nodiscard]] bool is_plain() const noexcept;
  [[nodiscard]] std::unique_ptr<Kind> bind(const Binding& binding) const override;
  [[nodiscard]] CountedKind counted() const override;
  void check_cells(const Path& question) const override;
};

[[nodiscard]] std::unique_ptr<Kind> make_plain_trend(const TrendSpec& spec, const Binding& binding);
[[nodiscard]] std::unique_ptr<Kind> make_ruled_trend(const TrendSpec& spec, const Binding& binding);

}  // namespace cdp
