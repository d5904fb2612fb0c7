// What a ruled trend counts where no row hangs on another of its profile: rows, numbers and values of each bucket and group, from
// the slices, in any order. ~5 ns a row of a series and axis, ~10 with groups; a value kept ~3 ns more.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/kinds/profile_filter.hpp"
#include "query/kinds/task_buckets.hpp"
#include "query/kinds/trend_ruled_plan.hpp"

namespace cdp {

// Adds what a partial has grown by to what it costs.
void charge_trend(const QueryContext& context, RuledTrendPartial& partial);

class TrendSlices {
 public:
  // REQUIRES: a breakdown that puts no row into several groups.
  TrendSlices(const RuledTrendPlan& plan, const QueryContext& context, const Task& task, const ProfileFilter& filter,
              Scratch& scratch, RuledTrendPartial& partial);

  // Rows of one series on one axis. `bucket_of`: the axis's bucket of each of `buckets`; `totals`: rows are counted too.
  void add(const BoundSelector& event, std::uint32_t series, std::uint32_t axis, const TaskBuckets& buckets,
           std::span<const std::uint32_t> bucket_of, bool totals);

 private:
  struct Where {
    std::uint32_t series, axis;
    const TaskBuckets& buckets;
    std::span<const std::uint32_t> bucket_of;
    bool totals;
  };
  void add_slice(ChunkView& chunk, const SliceView& view, const BoundSelector& event, const Where& where);
  void add_numbers(const SliceView& view, const std::uint32_t* rows, const std::uint32_t* cells, std::uint32_t count);

  const RuledTrendPlan& plan_;
  const QueryContext& context_;
  const Task& task_;
  const ProfileFilter& filter_;
  Scratch& scratch_;
  RuledTrendPartial& partial_;
  Breakdown::TaskTraits traits_;
  std::vector<std::uint32_t> cell_of_;  // of each bucket, kNone before the first row: without breakdown
  std::uint64_t kept_at_charge_ = 0;
};

}  // namespace cdp
