// The plain trend, shared by its parts: trend.cpp (rows, answer), trend_profile_scan.cpp and trend_row_scan.cpp (tasks).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "query/condition.hpp"
#include "query/kernel.hpp"
#include "query/kinds/breakdown.hpp"
#include "query/kinds/bucket_plan.hpp"
#include "query/kinds/measure_cells.hpp"
#include "query/kinds/trend_spec.hpp"

namespace cdp {

// A property that some measure reads.
struct TrendKey {
  std::string name;
  std::optional<KeyId> key;
  bool sums = false;
  bool means = false;
  bool extremes = false;
};

// How an interval's buckets follow from a finer one's in one partition: fine bucket -> own, for first_of_group's output.
struct Nesting {
  std::size_t finer = 0;          // index into TrendPlan::order
  std::vector<std::uint8_t> map;  // 128 entries
};

// The bound question, immutable while tasks run.
struct TrendPlan {
  BoundSelector event;
  Breakdown breakdown;
  std::vector<TrendMeasure> measures;
  std::vector<TrendKey> keys;
  std::vector<BucketPlan> intervals;  // as asked; behind them one of a single bucket when `ranks_whole`
  std::vector<std::size_t> order;     // intervals, finest first
  bool ranks_whole = false;           // the breakdown is ranked by unique over the whole range
  // A second look, whose groups are these, in order, and behind them one of all other values: what is distinct over the
  // rest of a limit can only be counted when the rest is known.
  std::optional<std::vector<std::vector<Value>>> shown = std::nullopt;
  bool totals = false;
  bool uniques = false;

  // Rows must be looked at one by one: their properties matter beyond the conditions.
  [[nodiscard]] bool reads_rows() const noexcept { return breakdown.reads_properties() || !keys.empty(); }
  // Number of a group's cells: its own, or that of the rest.
  [[nodiscard]] std::uint32_t folded(std::uint32_t group) const noexcept { return std::min(group, rest()); }
  // Number of the rest; kNone without.
  [[nodiscard]] std::uint32_t rest() const noexcept {
    return shown ? static_cast<std::uint32_t>(shown->size()) : kNone;
  }
};

struct TrendPartial final : Partial {
  explicit TrendPartial(const TrendPlan& plan) : groups(plan.breakdown.size()) {
    std::vector<NumberCells> numbers;
    for (const TrendKey& key : plan.keys) numbers.emplace_back(key.sums, key.means, key.extremes);
    for (const BucketPlan& interval : plan.intervals) cells.emplace_back(interval.size(), plan.uniques, numbers);
    if (plan.shown) {
      for (const std::vector<Value>& key : *plan.shown) groups.find_or_add(key);
    }
  }
  Groups groups;
  std::vector<Cells> cells;         // one an interval
  std::uint64_t charged_bytes = 0;  // of the budget
  GrownGroups grown;
};

// Adds what a partial has grown by to what it costs.
void charge_trend(const QueryContext& context, TrendPartial& partial);

// The two ways over a task; by rows when plan.reads_rows().
void scan_trend_profiles(const TrendPlan& plan, const QueryContext& context, const Task& task, Scratch& scratch,
                         TrendPartial& partial);
void scan_trend_rows(const TrendPlan& plan, const QueryContext& context, const Task& task, Scratch& scratch,
                     TrendPartial& partial);

}  // namespace cdp
