#include "query/kinds/trend_slices.hpp"

#include <algorithm>
#include <numeric>

#include "query/budget.hpp"

namespace cdp {
namespace {

constexpr std::uint64_t kKeptACharge = 65'536;  // values

}  // namespace

void charge_trend(const QueryContext& context, RuledTrendPartial& partial) {
  if (context.budget == nullptr) return;
  const std::uint64_t bytes = partial.size_bytes();
  if (bytes <= partial.charged_bytes) return;
  context.budget->charge(bytes - partial.charged_bytes);
  partial.charged_bytes = bytes;
}

TrendSlices::TrendSlices(const RuledTrendPlan& plan, const QueryContext& context, const Task& task,
                         const ProfileFilter& filter, Scratch& scratch, RuledTrendPartial& partial)
    : plan_(plan),
      context_(context),
      task_(task),
      filter_(filter),
      scratch_(scratch),
      partial_(partial),
      traits_(plan.breakdown, task, scratch),
      kept_at_charge_(partial.kept) {}

void TrendSlices::add(const BoundSelector& event, std::uint32_t series, std::uint32_t axis, const TaskBuckets& buckets,
                      std::span<const std::uint32_t> bucket_of, bool totals) {
  const Where where{series, axis, buckets, bucket_of, totals};
  cell_of_.assign(plan_.axes[axis].size(), kNone);
  for (const Chunk* each : task_.chunks) {
    if (!buckets.covers(each->partition)) continue;
    if (context_.budget != nullptr) context_.budget->check();
    ChunkView chunk(*each, task_, scratch_);
    for (const Slice& slice : each->slices) {
      if (!event.selects(slice.name)) continue;
      if (const auto view = chunk.slice(slice)) add_slice(chunk, *view, event, where);
    }
    if (partial_.kept < kept_at_charge_ + kKeptACharge && !partial_.grown(partial_.groups)) continue;
    kept_at_charge_ = partial_.kept;
    charge_trend(context_, partial_);
  }
}

void TrendSlices::add_slice(ChunkView& chunk, const SliceView& view, const BoundSelector& event, const Where& where) {
  const auto rows = scratch_.lease<std::uint32_t>(view.row_count + simd::kSlack);
  std::iota(rows.data(), rows.data() + view.row_count, 0u);
  const std::uint32_t found = filter_rows(view, event.where, scratch_, rows.data(), view.row_count);
  const auto cells = scratch_.lease<std::uint32_t>(found);  // buckets first
  const bool everybody = filter_.everybody();
  std::uint32_t count = 0;
  const EventRows events(chunk, view, rows.data(), found);
  where.buckets.each(events, chunk.chunk().partition, [&](std::uint32_t i, std::uint32_t bucket) {
    if (!everybody && !filter_.has(events.profile(i))) return;
    rows[count] = rows[i];
    cells[count++] = where.bucket_of[bucket];
  });
  if (count == 0) return;
  if (plan_.breakdown.empty()) {
    for (std::uint32_t i = 0; i < count; ++i) {
      std::uint32_t& cell = cell_of_[cells[i]];
      if (cell == kNone) cell = partial_.at(TrendCell{where.series, where.axis, 0}.key(cells[i]));
      cells[i] = cell;
    }
  } else {
    const auto groups = scratch_.lease<std::uint32_t>(count);
    plan_.breakdown.row_groups(traits_, chunk.chunk(), view, rows.data(), count, partial_.groups, scratch_,
                               groups.data());
    for (std::uint32_t i = 0; i < count; ++i)
      cells[i] = partial_.at(TrendCell{where.series, where.axis, plan_.folded(groups[i])}.key(cells[i]));
  }
  for (std::uint32_t i = 0; where.totals && i < count; ++i) ++partial_.total[cells[i]];
  add_numbers(view, rows.data(), cells.data(), count);
}

void TrendSlices::add_numbers(const SliceView& view, const std::uint32_t* rows, const std::uint32_t* cells,
                              std::uint32_t count) {
  for (std::size_t i = 0; i < plan_.keys.size(); ++i) {
    const RuledTrendKey& key = plan_.keys[i];
    if (!key.id) continue;
    const auto values = scratch_.lease<Value>(count);
    read_property(view, *key.id, rows, count, values.data());
    if (key.sums || key.extremes) {
      NumberCells& numbers = partial_.numbers[i];
      for (std::uint32_t at = 0; at < count; ++at) numbers.add(cells[at], values[at]);
    }
    if (key.kept == SIZE_MAX) continue;
    auto& kept = partial_.values[key.kept];
    for (std::uint32_t at = 0; at < count; ++at) {
      if (values[at].type == ValueType::kNull) continue;
      kept[cells[at]].push_back(values[at]);
      ++partial_.kept;
    }
  }
}

}  // namespace cdp
