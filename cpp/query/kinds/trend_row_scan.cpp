// A trend over a task by row: when properties are broken down or measured. Rows of each slice are selected, filtered,
// grouped, and added to their cells, once in each group. ~5 ns a selected row and interval; ~0.6 ns where rows are only counted by name.
#include <algorithm>
#include <span>
#include <vector>

#include "query/budget.hpp"
#include "query/kinds/profile_filter.hpp"
#include "query/kinds/trend.hpp"

namespace cdp {
namespace {

constexpr std::size_t kCellsPerSeen = 4;

class RowScan {
 public:
  RowScan(const TrendPlan& plan, const QueryContext& context, const Task& task, Scratch& scratch, TrendPartial& partial)
      : plan_(plan),
        context_(context),
        task_(task),
        scratch_(scratch),
        partial_(partial),
        filter_(context, task, scratch),
        traits_(plan.breakdown, task, scratch),
        seen_(plan.uniques ? plan.intervals.size() : 0) {}

  void run() {
    for (const Chunk* each : task_.chunks) {
      ChunkView chunk(*each, task_, scratch_);
      if (chunk.outside(context_.range)) continue;
      for (const Slice& slice : each->slices) {
        if (plan_.event.selects(slice.name)) scan_slice(chunk, slice);
      }
    }
    count_seen();
  }

 private:
  void scan_slice(ChunkView& chunk, const Slice& slice) {
    const auto view = chunk.slice(slice);
    if (!view) return;
    if (counts_slots(chunk)) return count_slots(chunk, *view);
    const auto rows = scratch_.lease<std::uint32_t>(view->row_count + simd::kSlack);
    std::uint32_t count = select_rows(chunk, *view, context_.range, rows.data());
    count = filter_rows(*view, plan_.event.where, scratch_, rows.data(), count);
    if (!filter_.everybody()) count = keep_counted(*view, rows.data(), count);
    if (count == 0) return;
    if (plan_.breakdown.splits_rows()) return split(chunk, *view, {rows.data(), count});
    const auto groups = scratch_.lease<std::uint32_t>(count);
    plan_.breakdown.row_groups(traits_, chunk.chunk(), *view, rows.data(), count, partial_.groups, scratch_,
                               groups.data());
    if (plan_.shown)
      std::transform(groups.data(), groups.data() + count, groups.data(),
                     [&](std::uint32_t group) { return plan_.folded(group); });
    add(chunk, *view, rows.data(), groups.data(), count);
  }

  // A row once in each of its groups.
  void split(ChunkView& chunk, const SliceView& view, std::span<const std::uint32_t> rows) {
    std::vector<std::uint32_t> picked;
    plan_.breakdown.split_rows(traits_, chunk.chunk(), view, rows, plan_.rest(), partial_.groups, scratch_,
                               [&](std::span<const std::uint32_t> at, std::span<const std::uint32_t> groups) {
                                 if (context_.budget != nullptr) context_.budget->check();
                                 picked.resize(at.size());
                                 for (std::size_t i = 0; i < at.size(); ++i) picked[i] = rows[at[i]];
                                 add(chunk, view, picked.data(), groups.data(), static_cast<std::uint32_t>(at.size()));
                                 if (partial_.grown(partial_.groups)) charge_trend(context_, partial_);
                               });
  }

  void add(ChunkView& chunk, const SliceView& view, const std::uint32_t* rows, const std::uint32_t* groups,
           std::uint32_t count) {
    std::vector<Scratch::Lease<Value>> numbers;
    for (const TrendKey& key : plan_.keys) {
      numbers.push_back(scratch_.lease<Value>(key.key ? count : 0));
      if (key.key) read_property(view, *key.key, rows, count, numbers.back().data());
    }
    const auto cells = scratch_.lease<std::uint32_t>(count);
    for (std::size_t i = 0; i < plan_.intervals.size(); ++i) {
      add_cells(chunk, view, i, rows, groups, count, cells.data());
      Cells& into = partial_.cells[i];
      for (std::uint32_t at = 0; at < count; ++at) ++into.total(cells[at]);
      for (std::size_t key = 0; key < numbers.size(); ++key) {
        if (numbers[key].size() == 0) continue;
        NumberCells& sums = into.numbers(key);
        for (std::uint32_t at = 0; at < count; ++at) sums.add(cells[at], numbers[key][at]);
      }
    }
  }

  // How many rows of each name: nothing of a row matters but the slot that it lies in.
  [[nodiscard]] bool counts_slots(const ChunkView& chunk) const {
    if (!plan_.breakdown.by_name_alone() || plan_.uniques || !plan_.keys.empty()) return false;
    if (!plan_.event.where.empty() || !filter_.everybody()) return false;
    return std::ranges::all_of(plan_.intervals,
                               [&](const BucketPlan& plan) { return plan.of(chunk.chunk().partition).by_slot; });
  }

  void count_slots(const ChunkView& chunk, const SliceView& view) {
    const std::uint32_t group = plan_.folded(plan_.breakdown.group_of_name(view.slice->name, partial_.groups));
    for (std::size_t i = 0; i < plan_.intervals.size(); ++i) {
      const PartitionBuckets& buckets = plan_.intervals[i].of(chunk.chunk().partition);
      count_buckets(buckets, view);
      Cells& cells = partial_.cells[i];
      if (plan_.intervals[i].size() == 1)
        cells.make_groups(plan_.shown ? plan_.folded(kNone) + 1 : partial_.groups.size());
      for (std::uint32_t bucket = 0; bucket < buckets.bucket_count; ++bucket) {
        if (counts_[bucket] == 0) continue;
        const std::uint32_t cell =
            plan_.intervals[i].size() == 1 ? group : cells.at(group, buckets.first_bucket + bucket);
        cells.total(cell) += counts_[bucket];
      }
    }
  }

  // Rows of a slice in each of a partition's buckets, into counts_.
  void count_buckets(const PartitionBuckets& buckets, const SliceView& view) {
    if (buckets.by_bytes) {
      counts_.assign(simd::kOutsideBucket + std::size_t{1}, 0);
      const auto bytes = scratch_.lease<std::uint8_t>(view.row_count + simd::kSlack);
      buckets.bytes_of_slots(view.slot, view.row_count, bytes.data());
      return simd::primitives().count_bytes(bytes.data(), view.row_count, buckets.bucket_count - 1, counts_.data());
    }
    const std::uint16_t* const bucket_of = buckets.slot_bucket.data();
    counts_.assign(buckets.bucket_count + std::size_t{1}, 0);  // the last of what lies outside
    for (std::uint32_t row = 0; row < view.row_count; ++row) {
      ++counts_[std::min<std::uint32_t>(bucket_of[view.slot[row]], buckets.bucket_count)];
    }
  }

  [[nodiscard]] std::uint32_t keep_counted(const SliceView& view, std::uint32_t* rows, std::uint32_t count) const {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t row = rows[i];
      rows[kept] = row;
      kept += filter_.has(view.profile[row] + view.id_offset);
    }
    return kept;
  }

  // The cell of each row; notes (cell, profile) where uniques are asked for.
  void add_cells(const ChunkView& chunk, const SliceView& view, std::size_t interval, const std::uint32_t* rows,
                 const std::uint32_t* groups, std::uint32_t count, std::uint32_t* out) {
    const BucketPlan& plan = plan_.intervals[interval];
    const PartitionBuckets& buckets = plan.of(chunk.chunk().partition);
    Cells& cells = partial_.cells[interval];
    if (plan.size() == 1) {
      cells.make_groups(plan_.shown ? plan_.folded(kNone) + 1 : partial_.groups.size());
      std::copy_n(groups, count, out);
    } else if (buckets.by_slot) {
      for (std::uint32_t i = 0; i < count; ++i) {
        out[i] = cells.at(groups[i], buckets.first_bucket + buckets.slot_bucket[view.slot[rows[i]]]);
      }
    } else {
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t time = chunk.chunk().time[view.slice->posting(view.first_row + rows[i])];
        out[i] = cells.at(groups[i], buckets.first_bucket + buckets.bucket(time));
      }
    }
    if (!plan_.uniques) return;
    std::vector<std::uint64_t>& seen = seen_[interval];
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t key = (std::uint64_t{out[i]} << 16) | (view.profile[rows[i]] + view.id_offset);
      if (seen.empty() || seen.back() != key) seen.push_back(key);
    }
  }

  // Distinct pairs: dealt out by cell, then a bit a profile tells those seen before. Where cells outnumber them by far, sorted.
  void count_seen() {
    for (std::size_t interval = 0; interval < seen_.size(); ++interval) {
      std::vector<std::uint64_t>& seen = seen_[interval];
      Cells& into = partial_.cells[interval];
      std::size_t cells = 0;
      for (const std::uint64_t key : seen) cells = std::max<std::size_t>(cells, (key >> 16) + 1);
      if (cells / kCellsPerSeen > seen.size()) {
        std::sort(seen.begin(), seen.end());
        seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
        for (const std::uint64_t key : seen) ++into.unique(static_cast<std::uint32_t>(key >> 16));
        continue;
      }
      first_.assign(cells + 1, 0);
      for (const std::uint64_t key : seen) ++first_[(key >> 16) + 1];
      for (std::size_t cell = 1; cell < first_.size(); ++cell) first_[cell] += first_[cell - 1];
      const auto profiles = scratch_.lease<std::uint16_t>(seen.size());
      for (const std::uint64_t key : seen) profiles[first_[key >> 16]++] = static_cast<std::uint16_t>(key);
      const auto bits = scratch_.zeroed<std::uint64_t>((task_.size() + 63) / 64);
      std::uint32_t at = 0;  // `first_` of a cell is where it ends by now
      for (std::uint32_t cell = 0; cell + 1 < first_.size(); ++cell) {
        const std::uint32_t begin = at, end = first_[cell];
        std::uint64_t count = 0;
        for (; at < end; ++at) {
          std::uint64_t& word = bits[profiles[at] >> 6];
          count += ~(word >> (profiles[at] & 63)) & 1;
          word |= std::uint64_t{1} << (profiles[at] & 63);
        }
        if (count != 0) into.unique(cell) += count;
        for (at = begin; at < end; ++at) bits[profiles[at] >> 6] = 0;
      }
    }
  }

  static_assert(limits::kStripeIds <= 65'536, "a profile of a task fits 16 bits");

  const TrendPlan& plan_;
  const QueryContext& context_;
  const Task& task_;
  Scratch& scratch_;
  TrendPartial& partial_;
  ProfileFilter filter_;
  Breakdown::TaskTraits traits_;
  std::vector<std::vector<std::uint64_t>> seen_;  // an interval: cell << 16 | profile
  std::vector<std::uint32_t> first_;              // of each cell, where its pairs lie
  std::vector<std::uint64_t> counts_;             // of the buckets of a partition
};

}  // namespace

void scan_trend_rows(const TrendPlan& plan, const QueryContext& context, const Task& task, Scratch& scratch,
                     TrendPartial& partial) {
  RowScan(plan, context, task, scratch, partial).run();
}

}  // namespace cdp
