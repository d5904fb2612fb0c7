// The bound question of a ruled trend, shared by its parts: trend_ruled.cpp (what is counted), trend_slices.cpp (by slices), and
// trend_lines.cpp (the answer).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "query/kinds/breakdown.hpp"
#include "query/kinds/trend_axis.hpp"
#include "query/kinds/trend_cells.hpp"
#include "query/kinds/trend_spec.hpp"

namespace cdp {

// A property that some measure reads.
struct RuledTrendKey {
  std::string name;
  std::optional<KeyId> id;
  bool sums = false, means = false, extremes = false;
  std::size_t kept = SIZE_MAX;  // index of its values, when they are kept
};

// Immutable while tasks run.
struct RuledTrendPlan {
  TrendSpec spec;
  Breakdown breakdown;
  std::optional<std::int64_t> limit;
  std::vector<TrendAxis> axes{};                       // as asked; the same of the range before; the one that ranks
  std::optional<TimeRange> before{};                   // what the range is compared with
  std::vector<std::vector<std::uint32_t>> compared{};  // compared_lines of each axis that is asked for
  std::optional<std::size_t> whole{};                  // the axis that ranks
  std::vector<RuledTrendKey> keys{};
  std::size_t kept_keys = 0;
  // A second look: these groups, and behind them one of all others.
  std::optional<std::vector<std::vector<Value>>> shown{};

  [[nodiscard]] bool is_rest(std::uint32_t group) const noexcept { return shown && group == shown->size(); }
  // Number of a group's cells: its own, or that of the rest.
  [[nodiscard]] std::uint32_t folded(std::uint32_t group) const noexcept {
    return shown ? std::min(group, static_cast<std::uint32_t>(shown->size())) : group;
  }
  [[nodiscard]] std::size_t asked_axes() const noexcept { return std::max<std::size_t>(spec.intervals.size(), 1); }
  [[nodiscard]] std::vector<NumberCells> empty_numbers() const {
    std::vector<NumberCells> out;
    for (const RuledTrendKey& key : keys) out.emplace_back(key.sums, key.means, key.extremes);
    return out;
  }
};

}  // namespace cdp
