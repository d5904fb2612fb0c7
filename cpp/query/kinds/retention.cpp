// The plain retention: of the profiles that started in a calendar period, how many returned in each period after. All other
// rules: retention_ruled.cpp; the spec of both: retention_spec.cpp.
//
// Meaning (reference/semantics.md 4.3, column "choose"): a profile starts with its first start event in the range, or with its
// first ever when that lies in the range; its cohort is the calendar period of that event. A return is a return event behind
// the start in event order, up to now, also behind the range's end; it counts its period ("on"). When the return is the start
// event itself, every profile returns in period 0: that is the cohort's size. Periods without a return have no row.
//
// How: one bit a period and profile, OR-ed from the slices of the named events in any order, so nothing is ever late for a
// start that is its own return (over 63 periods, and for any event: active_buckets.hpp); otherwise births first, then returns,
// and equal times that lie in different layers go by rows.
// ~0.7 ns a row of the start event, ~2 ns a profile.
#include "query/kinds/retention.hpp"

#include <algorithm>
#include <bit>
#include <map>

#include "query/kinds/active_buckets.hpp"
#include "query/kinds/bucket_plan.hpp"
#include "query/kinds/event_names.hpp"
#include "query/kinds/event_rows.hpp"
#include "query/kinds/kinds.hpp"
#include "query/kinds/profile_filter.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

constexpr std::uint32_t kShortBits = 15;  // periods of a 16-bit mask, the highest bit for rows outside
constexpr std::uint32_t kLongBits = 63;
constexpr std::uint32_t kDensePeriods = 1024;  // a grid of cells up to here, a map beyond

// Profiles by (cohort, period).
class Grid {
 public:
  explicit Grid(std::uint32_t buckets) : buckets_(buckets), sizes_(buckets) {
    if (buckets <= kDensePeriods) cells_.resize(std::size_t{buckets} * buckets);
  }
  void add(std::uint32_t cohort, std::uint32_t period, std::uint64_t count = 1) {
    if (cells_.empty()) {
      sparse_[{cohort, period}] += count;
    } else {
      cells_[std::size_t{cohort} * buckets_ + period] += count;
    }
  }
  void add_size(std::uint32_t cohort, std::uint64_t count = 1) { sizes_[cohort] += count; }
  [[nodiscard]] std::uint64_t size(std::uint32_t cohort) const noexcept { return sizes_[cohort]; }
  // visit(cohort, period, count) for every cell with a count, in order.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const auto& [at, count] : sparse_) visit(at.first, at.second, count);
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i] != 0)
        visit(static_cast<std::uint32_t>(i / buckets_), static_cast<std::uint32_t>(i % buckets_), cells_[i]);
    }
  }
  void merge(const Grid& other) {
    other.each([this](std::uint32_t cohort, std::uint32_t period, std::uint64_t count) { add(cohort, period, count); });
    for (std::uint32_t cohort = 0; cohort < buckets_; ++cohort) sizes_[cohort] += other.sizes_[cohort];
  }

 private:
  std::uint32_t buckets_;
  std::vector<std::uint64_t> sizes_;
  std::vector<std::uint64_t> cells_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> sparse_;
};

struct RetentionPartial final : Partial {
  explicit RetentionPartial(std::uint32_t buckets) : grid(buckets) {}
  Grid grid;
  std::vector<std::uint32_t> short_masks;  // profiles by their mask of active periods; folded into the grid at the end
};

// What is known of a profile's start.
struct Birth {
  std::int64_t time_ms = INT64_MAX;
  std::uint32_t chunk = 0;  // of the task
  std::uint32_t spine_row = 0;
};

// Distinct (profile, period) pairs of a task: a bit each while the periods are few, else keys made distinct at the end.
class ActivePeriods {
 public:
  ActivePeriods(std::uint32_t buckets, std::uint32_t profiles, Scratch& scratch)
      : profiles_(profiles),
        words_((buckets + 63) / 64),
        by_bits_(buckets <= kDensePeriods),
        bits_(scratch.zeroed<std::uint64_t>(by_bits_ ? std::size_t{profiles} * words_ : 0)) {}
  void add(std::uint32_t profile, std::uint32_t bucket) {
    if (by_bits_) {
      bits_[std::size_t{profile} * words_ + (bucket >> 6)] |= std::uint64_t{1} << (bucket & 63);
      return;
    }
    const std::uint64_t key = (std::uint64_t{profile} << 32) | bucket;
    if (keys_.empty() || keys_.back() != key) keys_.push_back(key);
  }
  // visit(profile, bucket) once for each pair.
  template <class Visit>
  void each(Visit&& visit) {
    std::sort(keys_.begin(), keys_.end());
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
    for (const std::uint64_t key : keys_) visit(static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key));
    if (!by_bits_) return;
    for (std::uint32_t profile = 0; profile < profiles_; ++profile) {
      for (std::uint32_t word = 0; word < words_; ++word) {
        for (std::uint64_t bits = bits_[std::size_t{profile} * words_ + word]; bits != 0; bits &= bits - 1) {
          visit(profile, word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
        }
      }
    }
  }

 private:
  std::uint32_t profiles_;
  std::uint32_t words_;
  bool by_bits_;
  Scratch::Lease<std::uint64_t> bits_;
  std::vector<std::uint64_t> keys_;
};

// The bit of a slot's period, in a table of the partition last asked for: chunks come by partition.
template <class Mask>
class SlotBits {
 public:
  SlotBits(const BucketPlan& plan, std::uint32_t dummy, Scratch& scratch)
      : plan_(plan), dummy_(dummy), bits_(scratch.lease<Mask>(limits::kSlotsPerPartition)) {}
  // REQUIRES: the partition's buckets lie on slots.
  [[nodiscard]] const Mask* of(std::int32_t partition) {
    if (partition_ == partition) return bits_.data();
    partition_ = partition;
    const PartitionBuckets& buckets = plan_.of(partition);
    for (std::uint32_t slot = 0; slot < limits::kSlotsPerPartition; ++slot) {
      // No row lies in the buckets laid to the front, whose numbers wrap.
      const std::uint32_t bucket = buckets.first_bucket + buckets.slot_bucket[slot];
      const bool outside = buckets.slot_bucket[slot] == PartitionBuckets::kOutside;
      bits_[slot] = static_cast<Mask>(Mask{1} << (outside ? dummy_ : std::min(bucket, dummy_)));
    }
    return bits_.data();
  }

 private:
  const BucketPlan& plan_;
  std::uint32_t dummy_;  // of slots outside of the range
  Scratch::Lease<Mask> bits_;
  std::optional<std::int32_t> partition_;
};

class RetentionKind final : public Kind {
 public:
  RetentionKind(const Binding& binding, const RetentionSpec& fields)
      : plan_(binding.version, binding.zone, binding.common.week_start, fields.unit,
              {binding.range.start_ms, binding.now_ms + 1}, std::max<std::int64_t>(binding.range.start_ms, 0)),
        start_(bind_selector(fields.start, binding.version, binding.moment())),
        same_(!fields.returned),
        first_ever_(fields.population == RetentionSpec::Population::kFirstEver),
        periods_(fields.periods) {
    return_ = same_ ? start_ : bind_selector(*fields.returned, binding.version, binding.moment());
    if (same_) find_cuts(binding);
    names_ = names_of(std::vector{start_, return_});
  }

  [[nodiscard]] bool returns() const noexcept { return plan_.returns(); }
  [[nodiscard]] std::unique_ptr<Partial> make_partial() const override {
    return std::make_unique<RetentionPartial>(plan_.size());
  }
  [[nodiscard]] std::vector<NameId> names() const override { return names_; }

  void scan(const QueryContext& context, Task& task, Scratch& scratch, Partial& partial) const override {
    auto& into = static_cast<RetentionPartial&>(partial);
    if (same_ && plan_.size() <= kShortBits) return scan_same<std::uint16_t>(context, task, scratch, into);
    if (same_ && plan_.size() <= kLongBits && !start_.any)
      return scan_same<std::uint64_t>(context, task, scratch, into);
    if (same_ && plan_.size() <= ActiveBuckets::kBucketsMax) return scan_same_wide(context, task, scratch, into);
    scan_any(context, task, scratch, into);
  }

  void add_rows(const QueryContext& context, Origin, std::span<const Row> rows, Partial& partial) const override {
    auto& grid = static_cast<RetentionPartial&>(partial).grid;
    std::size_t birth = rows.size();
    for (std::size_t i = 0; i < rows.size() && rows[i].time_ms <= context.now_ms; ++i) {
      if (!start_.matches(rows[i])) continue;
      const bool inside = context.range.contains(rows[i].time_ms);
      if (inside) birth = i;
      if (inside || first_ever_) break;
    }
    if (birth == rows.size()) return;
    const std::uint32_t cohort = *plan_.bucket_of(rows[birth].time_ms);
    std::vector<std::uint32_t> active;
    if (same_) active.push_back(cohort);
    for (std::size_t i = birth + 1; i < rows.size() && rows[i].time_ms <= context.now_ms; ++i) {
      if (return_.matches(rows[i])) active.push_back(*plan_.bucket_of(rows[i].time_ms));
    }
    active.erase(std::unique(active.begin(), active.end()), active.end());  // rows ascend in time
    grid.add_size(cohort);
    for (const std::uint32_t bucket : active) grid.add(cohort, bucket - cohort);
  }

  void merge(Partial& into, Partial&& from) const override {
    auto& left = static_cast<RetentionPartial&>(into);
    auto& right = static_cast<RetentionPartial&>(from);
    left.grid.merge(right.grid);
    if (left.short_masks.empty()) {
      left.short_masks = std::move(right.short_masks);
    } else {
      for (std::size_t i = 0; i < right.short_masks.size(); ++i) left.short_masks[i] += right.short_masks[i];
    }
  }

  [[nodiscard]] Table finish(const QueryContext& context, std::unique_ptr<Partial> partial) const override {
    auto& total = static_cast<RetentionPartial&>(*partial);
    for (std::uint32_t mask = 1; mask < total.short_masks.size(); ++mask)
      add_mask(mask, total.short_masks[mask], total.grid);
    Table table;
    for (const char* name : {"cohort_ms", "period", "profiles", "eligible", "elapsed"})
      table.add(name, ColumnType::kInt64);
    total.grid.each([&](std::uint32_t cohort, std::uint32_t bucket, std::uint64_t count) {
      const std::int64_t period = plan_.distance(cohort, cohort + bucket);
      if (period >= periods_) return;
      table.columns[0].push_int(plan_.start_ms(cohort));
      table.columns[1].push_int(period);
      table.columns[2].push_int(static_cast<std::int64_t>(count));
      const auto size = static_cast<std::int64_t>(total.grid.size(cohort));
      table.columns[3].push_int(size);
      table.columns[4].push_int(plan_.end_ms(cohort + bucket) <= context.now_ms ? size : 0);
    });
    return table;
  }

 private:
  // `count` profiles that were active in the periods of `mask`, the first of which is their cohort.
  static void add_mask(std::uint64_t mask, std::uint64_t count, Grid& grid) {
    if (count == 0 || mask == 0) return;
    const auto cohort = static_cast<std::uint32_t>(std::countr_zero(mask));
    grid.add_size(cohort, count);
    for (std::uint64_t left = mask; left != 0; left &= left - 1) {
      grid.add(cohort, static_cast<std::uint32_t>(std::countr_zero(left)) - cohort, count);
    }
  }

  // The start event is its own return: a profile is the set of its active periods. Bit of the highest place: rows outside.
  template <class Mask>
  void scan_same(const QueryContext& context, Task& task, Scratch& scratch, RetentionPartial& partial) const {
    constexpr std::uint32_t kDummy = sizeof(Mask) * 8 - 1;
    const auto masks = scratch.zeroed<Mask>(task.size() + simd::kSlack);
    SlotBits<Mask> slot_bits(plan_, kDummy, scratch);
    const auto started = scratch.lease<std::uint8_t>(task.size());  // bit 0: a start in the range, bit 1: one before it
    bool cut = false;
    for (const Chunk* chunk : task.chunks) {
      const std::int64_t start_ms = partition_start_ms(chunk->partition);
      if (start_ms + chunk->time_min < context.range.start_ms || start_ms + chunk->time_max >= context.range.end_ms)
        cut = true;
    }
    if (cut) std::fill_n(started.data(), started.size(), 0);
    for (const Chunk* each : task.chunks) {
      ChunkView chunk(*each, task, scratch);
      for_each_event(chunk, start_, scratch, [&](const EventRows& rows) {
        if (cut) mark_started(chunk, rows, context, started.data());
        if (!plan_.covers(each->partition)) return;
        or_periods<kDummy>(chunk, rows, slot_bits, masks.data());
      });
    }
    if (cut) {
      for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
        const bool counts = (started[profile] & 1) != 0 && !(first_ever_ && (started[profile] & 2) != 0);
        masks[profile] = counts ? masks[profile] : Mask{0};
      }
    }
    count_masks(context, task, scratch, masks.data(), partial);
  }

  void mark_started(const ChunkView& chunk, const EventRows& rows, const QueryContext& context,
                    std::uint8_t* started) const {
    for (std::uint32_t i = 0; i < rows.count(); ++i) {
      const std::int64_t time = chunk.start_ms() + rows.time(i);
      if (time > context.now_ms) continue;
      started[rows.profile(i)] |= context.range.contains(time) ? 1 : time < context.range.start_ms ? 2 : 0;
    }
  }

  template <std::uint32_t kDummy, class Mask>
  void or_periods(const ChunkView& chunk, const EventRows& rows, SlotBits<Mask>& slot_bits, Mask* masks) const {
    const PartitionBuckets& buckets = plan_.of(chunk.chunk().partition);
    const auto one = Mask{1};
    if (!buckets.by_slot || !rows.whole()) {
      for (std::uint32_t i = 0; i < rows.count(); ++i) {
        const std::uint16_t bucket = buckets.bucket(rows.time(i));
        const std::uint32_t bit = bucket == PartitionBuckets::kOutside ? kDummy : buckets.first_bucket + bucket;
        masks[rows.profile(i)] |= static_cast<Mask>(one << bit);
      }
      return;
    }
    // Four streams far apart: neighbours are of one profile, and a load waits for the store just before it.
    const std::uint16_t* const slot = rows.view().slot;
    const std::uint16_t* const profile = rows.view().profile;
    Mask* const of = masks + rows.view().id_offset;
    const Mask* const bits = slot_bits.of(chunk.chunk().partition);
    const std::uint32_t quarter = rows.count() / 4;
    for (std::uint32_t i = 0; i < quarter; ++i) {
      for (std::uint32_t stream = 0; stream < 4; ++stream) {
        const std::uint32_t at = stream * quarter + i;
        of[profile[at]] = static_cast<Mask>(of[profile[at]] | bits[slot[at]]);
      }
    }
    for (std::uint32_t i = 4 * quarter; i < rows.count(); ++i)
      of[profile[i]] = static_cast<Mask>(of[profile[i]] | bits[slot[i]]);
  }

  void count_masks(const QueryContext& context, const Task& task, Scratch& scratch, std::uint16_t* masks,
                   RetentionPartial& partial) const {
    if (partial.short_masks.empty()) partial.short_masks.resize(std::size_t{1} << kShortBits);
    const ProfileFilter filter(context, task, scratch);
    std::uint32_t* const counts = partial.short_masks.data();
    constexpr std::uint32_t kBits = (1u << kShortBits) - 1;
    if (filter.everybody()) {
      for (std::uint32_t profile = 0; profile < task.size(); ++profile) ++counts[masks[profile] & kBits];
      return;
    }
    for (std::uint32_t profile = 0; profile < task.size(); ++profile)
      counts[masks[profile] & kBits] += filter.has(profile);
  }

  // Sorts the masks by cohort, shifted to it, and counts the bits of each cohort's at once.
  void count_masks(const QueryContext& context, const Task& task, Scratch& scratch, std::uint64_t* masks,
                   RetentionPartial& partial) const {
    const ProfileFilter filter(context, task, scratch);
    constexpr std::uint64_t kBits = (std::uint64_t{1} << kLongBits) - 1;
    std::uint32_t first[66] = {};
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      masks[profile] &= filter.has(profile) ? kBits : 0;
      ++first[std::countr_zero(masks[profile]) + 1];
    }
    for (std::uint32_t cohort = 0; cohort < 65; ++cohort) first[cohort + 1] += first[cohort];
    const auto sorted = scratch.lease<std::uint64_t>(task.size());
    std::uint32_t next[65];
    std::copy_n(first, 65, next);
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      const int cohort = std::countr_zero(masks[profile]);
      sorted[next[cohort]++] = cohort == 64 ? 0 : masks[profile] >> cohort;
    }
    for (std::uint32_t cohort = 0; cohort < plan_.size(); ++cohort) {
      std::uint64_t counts[64] = {};
      const std::uint32_t count = first[cohort + 1] - first[cohort];
      if (count == 0) continue;
      simd::primitives().mask_expand(sorted.data() + first[cohort], count, counts);
      partial.grid.add_size(cohort, count);
      for (std::uint32_t period = 0; period < 64; ++period) {
        if (counts[period] != 0) partial.grid.add(cohort, period, counts[period]);
      }
    }
  }

  // Rows behind the range start nobody; one in front of it bars from a first ever.
  void find_cuts(const Binding& binding) {
    const auto whole = [&](const TimeRange& rows) {
      return std::make_shared<const BucketPlan>(binding.version, binding.zone, binding.common.week_start, std::nullopt,
                                                rows, 0);
    };
    const TimeRange extent = extent_of(binding.version);
    if (std::min(extent.end_ms, binding.now_ms + 1) > binding.range.end_ms) starts_ = whole(binding.range);
    if (first_ever_ && extent.start_ms < binding.range.start_ms)
      before_ = whole({INT64_MIN, std::min(binding.range.start_ms, binding.now_ms + 1)});
  }

  // The same for more periods, and for any event.
  void scan_same_wide(const QueryContext& context, const Task& task, Scratch& scratch,
                      RetentionPartial& partial) const {
    const ProfileFilter filter(context, task, scratch);
    const auto active_in = [&](const BucketPlan& plan) {
      return ActiveBuckets(TaskBuckets(plan), start_, task, filter, scratch, ActiveBuckets::Count::kProfiles);
    };
    const ActiveBuckets active = active_in(plan_);
    std::optional<ActiveBuckets> starts, before;
    if (starts_ != nullptr) starts.emplace(active_in(*starts_));
    if (before_ != nullptr) before.emplace(active_in(*before_));

    // Profiles by cohort.
    const auto cohorts = scratch.lease<std::uint32_t>(task.size());
    std::vector<std::uint32_t> first(plan_.size() + std::size_t{2});
    const std::uint32_t none = plan_.size();
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      const std::span<const std::uint64_t> bits = active.of(profile);
      std::uint32_t cohort = none;  // without a branch: where a profile begins is not foreseen
      for (std::uint32_t word = active.words(); word-- > 0;)
        cohort = bits[word] != 0 ? word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits[word])) : cohort;
      if (starts && starts->of(profile)[0] == 0) cohort = none;
      if (before && before->of(profile)[0] != 0) cohort = none;
      cohorts[profile] = cohort;
      ++first[cohort + 1];
    }
    for (std::uint32_t cohort = 0; cohort <= none; ++cohort) first[cohort + 1] += first[cohort];
    const auto sorted = scratch.lease<std::uint32_t>(task.size());
    std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) sorted[next[cohorts[profile]]++] = profile;

    const auto masks = scratch.lease<std::uint64_t>(task.size());
    for (std::uint32_t cohort = 0; cohort < plan_.size(); ++cohort) {
      const std::uint32_t count = first[cohort + 1] - first[cohort];
      if (count == 0) continue;
      partial.grid.add_size(cohort, count);
      // 64 periods of the cohort at a time.
      for (std::uint32_t period = 0; period < std::min<std::int64_t>(plan_.size() - cohort, periods_); period += 64) {
        const std::uint32_t word = (cohort + period) >> 6, shift = (cohort + period) & 63;
        const bool crosses = word + 1 < active.words();
        for (std::uint32_t i = 0; i < count; ++i) {
          const std::uint64_t* const bits = active.of(sorted[first[cohort] + i]).data() + word;
          masks[i] = bits[0] >> shift | (crosses ? bits[1] << 1 << (63 - shift) : 0);
        }
        std::uint64_t counts[64] = {};
        simd::primitives().mask_expand(masks.data(), count, counts);
        for (std::uint32_t bit = 0; bit < 64; ++bit) {
          if (counts[bit] != 0) partial.grid.add(cohort, period + bit, counts[bit]);
        }
      }
    }
  }

  static void mark_late(Task& task, std::uint32_t profile) {
    if (!task.is_slow(profile)) task.mark_late(profile);
  }

  // Births first, then the periods of returns behind them.
  void scan_any(const QueryContext& context, Task& task, Scratch& scratch, RetentionPartial& partial) const {
    const auto births = scratch.lease<Birth>(task.size());
    std::fill_n(births.data(), births.size(), Birth{});
    find_births(context, task, scratch, births.data());
    ActivePeriods active(plan_.size(), task.size(), scratch);
    for (std::uint32_t i = 0; i < task.chunks.size(); ++i) {
      if (!plan_.covers(task.chunks[i]->partition)) continue;
      ChunkView chunk(*task.chunks[i], task, scratch);
      for_each_event(chunk, return_, scratch, [&](const EventRows& rows) {
        note_returns(chunk, i, rows, births.data(), context, task, active);
      });
    }
    count_active(context, task, scratch, births.data(), active, partial.grid);
  }

  // The first start in the range; INT64_MIN where one before it disqualifies the profile.
  void find_births(const QueryContext& context, Task& task, Scratch& scratch, Birth* births) const {
    for (std::uint32_t i = 0; i < task.chunks.size(); ++i) {
      ChunkView chunk(*task.chunks[i], task, scratch);
      for_each_event(chunk, start_, scratch, [&](const EventRows& rows) {
        for (std::uint32_t at = 0; at < rows.count(); ++at) {
          const std::int64_t time = chunk.start_ms() + rows.time(at);
          Birth& birth = births[rows.profile(at)];
          if (time > context.now_ms || time > birth.time_ms) continue;
          if (!context.range.contains(time)) {
            if (first_ever_ && time < context.range.start_ms) birth.time_ms = INT64_MIN;
            continue;
          }
          const std::uint32_t spine_row = rows.spine_row(at);
          if (time < birth.time_ms || (birth.chunk == i && spine_row < birth.spine_row)) {
            birth = {time, i, spine_row};
          } else if (birth.chunk != i) {
            mark_late(task, rows.profile(at));  // which of the two came first is told by origins and the log
          }
        }
      });
    }
  }

  void note_returns(const ChunkView& chunk, std::uint32_t index, const EventRows& rows, const Birth* births,
                    const QueryContext& context, Task& task, ActivePeriods& active) const {
    const PartitionBuckets& buckets = plan_.of(chunk.chunk().partition);
    for (std::uint32_t at = 0; at < rows.count(); ++at) {
      const std::uint32_t profile = rows.profile(at);
      const Birth& birth = births[profile];
      const std::uint32_t time = rows.time(at);
      const std::int64_t time_ms = chunk.start_ms() + time;
      if (birth.time_ms == INT64_MIN || time_ms < birth.time_ms || time_ms > context.now_ms) continue;
      if (time_ms == birth.time_ms) {
        if (birth.chunk != index) mark_late(task, profile);
        if (birth.chunk != index || rows.spine_row(at) <= birth.spine_row) continue;
      }
      const std::uint16_t bucket = buckets.by_slot ? buckets.slot_bucket[rows.slot(at)] : buckets.bucket(time);
      active.add(profile, buckets.first_bucket + bucket);
    }
  }

  void count_active(const QueryContext& context, const Task& task, Scratch& scratch, const Birth* births,
                    ActivePeriods& active, Grid& grid) const {
    const ProfileFilter filter(context, task, scratch);
    const auto counts = [&](std::uint32_t profile) {
      const bool late = !task.late.empty() && ((task.late[profile >> 6] >> (profile & 63)) & 1) != 0;
      return births[profile].time_ms != INT64_MAX && births[profile].time_ms != INT64_MIN && filter.has(profile) &&
             !late;
    };
    const auto cohorts = scratch.lease<std::uint32_t>(task.size());
    for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
      cohorts[profile] = kNone;
      if (!counts(profile)) continue;
      cohorts[profile] = *plan_.bucket_of(births[profile].time_ms);
      grid.add_size(cohorts[profile]);
      if (same_) grid.add(cohorts[profile], 0);
    }
    active.each([&](std::uint32_t profile, std::uint32_t bucket) {
      const std::uint32_t cohort = cohorts[profile];
      if (cohort != kNone && !(same_ && bucket == cohort)) grid.add(cohort, bucket - cohort);
    });
  }

  BucketPlan plan_;
  BoundSelector start_;
  BoundSelector return_;
  bool same_;
  bool first_ever_;
  std::int64_t periods_;
  std::vector<NameId> names_;
  std::shared_ptr<const BucketPlan> starts_;  // the range, when rows lie behind it
  std::shared_ptr<const BucketPlan> before_;  // what lies in front of it, where it bars
};

}  // namespace

std::unique_ptr<Kind> RetentionSpec::bind(const Binding& binding) const {
  if (!is_plain() || !binding.common.zone_trait.empty()) return make_ruled_retention(*this, binding);
  auto plain = std::make_unique<RetentionKind>(binding, *this);
  // Where a bucket comes back a profile's first one need not be that of its first event.
  return plain->returns() ? make_ruled_retention(*this, binding) : std::move(plain);
}

}  // namespace cdp
