// A trend over a task by profile: when nothing but time, profile and traits matters. Rows become bucket bytes
// (slot_to_bucket), the first row of each (profile, bucket) is compressed out (first_of_group) and counted; coarser
// intervals regroup that output. The rows come from the whole spine, from the spine's positions of some codes, or from
// slices. ~0.3 ns a row and interval. Where everybody and every name counts, only times and the starts of profiles are
// read, in one step (first_of_times): half that.
//
// One profile may have rows of one bucket in several places (layers that overlap in time, a month over two partitions,
// several slices). Such buckets are *shared*: their profiles go into a set that is counted when the task ends. The others
// are counted on the spot. Of a partition whose layers overlap, the largest is its *base*, read last: its rows are counted on
// the spot all the same, and its profiles taken out of the sets that the small layers filled (shared_buckets.hpp).
// So a few fresh rows do not slow down the many. Nothing here depends on the order of places, so nothing is ever late.
#include <algorithm>
#include <bit>
#include <optional>
#include <span>

#include "query/kinds/event_names.hpp"
#include "query/kinds/event_rows.hpp"
#include "query/kinds/profile_filter.hpp"
#include "query/kinds/shared_buckets.hpp"
#include "query/kinds/trend.hpp"
#include "query/scan_plan.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

constexpr std::uint32_t kHiddenShare = 4;  // up to one in so many rows is covered up; of more, the others are gathered

// Rows of one place, times in their order of profile and time; slots instead where they are given.
struct Feed {
  std::int32_t partition = 0;
  std::uint32_t count = 0;
  const std::uint32_t* time = nullptr;
  const std::uint16_t* slot = nullptr;     // null: only times
  const std::uint16_t* profile = nullptr;  // + id_offset = index into the task's arrays
  std::uint32_t id_offset = 0;
  const std::uint64_t* profile_start = nullptr;  // a bit a row, where times are whole chunks; else null
  const std::uint16_t* start_profile = nullptr;  // + id_offset, of each start
  std::optional<std::uint32_t> first_row = {};   // in the chunk's spine, when rows are a stretch of that
  std::span<const std::uint32_t> hidden = {};  // rows of names that do not count, ascending; all buckets are bytes then
  bool base = false;                           // of the partition's base
  bool small = false;                          // of a layer beside it
};

class ProfileScan {
 public:
  ProfileScan(const TrendPlan& plan, const QueryContext& context, const Task& task, Scratch& scratch,
              TrendPartial& partial)
      : plan_(plan),
        context_(context),
        task_(task),
        scratch_(scratch),
        partial_(partial),
        filter_(context, task, scratch),
        primitives_(simd::primitives()) {
    if (!plan.breakdown.empty()) {
      groups_ = scratch.lease<std::uint32_t>(task.size());
      const auto all = scratch.lease<std::uint32_t>(task.size());
      for (std::uint32_t profile = 0; profile < task.size(); ++profile) all[profile] = profile;
      const Breakdown::TaskTraits traits(plan.breakdown, task, scratch);
      plan.breakdown.profile_groups(traits, all.data(), task.size(), partial.groups, groups_.data());
    }
  }

  void run() {
    const bool by_slices = !plan_.event.where.empty() || (!plan_.event.any && plan_.event.names.size() == 1);
    find_places(by_slices);
    find_shared();
    for_each_slow([&](std::uint32_t profile) {
      const auto places = task_.plan->slow_places.of(task_.shard, task_.first_id + profile);
      slow_places_.insert(slow_places_.end(), places.begin(), places.end());
    });
    for (const bool base : {false, true}) {
      if (base && std::ranges::any_of(places_, &TaskPlace::base)) {
        if (derives_) derive_sets();
        take_out_bases();
      }
      for (const TaskPlace& place : places_) {
        if (place.base != base) continue;
        ChunkView chunk(*place.chunk, task_, scratch_);
        by_slices ? feed_slices(chunk) : feed_spine(chunk, place);
      }
    }
    count_shared();
  }

 private:
  // A chunk of the task that the range touches.
  struct TaskPlace {
    const Chunk* chunk;
    std::uint32_t layer;  // rank
    bool base;
    bool small;  // beside a base
    bool twice;  // a profile's rows come in several feeds
  };

  void find_places(bool by_slices) {
    const std::span<const ChunkPlaceInPlan> places = task_.places();
    for (const ChunkPlaceInPlan& place : places) {
      if (ChunkView(*place.chunk, task_, scratch_).outside(context_.range)) continue;
      places_.push_back({place.chunk, place.layer, false, false, by_slices && selected_slices(*place.chunk) > 1});
    }
    if (!plan_.uniques || by_slices) return;
    for (std::size_t first = 0, last; first < places_.size(); first = last) {
      for (last = first; last < places_.size() && places_[last].chunk->partition == places_[first].chunk->partition;)
        ++last;
      mark_base(std::span(places_).subspan(first, last - first));
    }
  }

  // Of one partition: the layer with most rows is the base of others, when its chunks lie inside the stripe.
  void mark_base(std::span<TaskPlace> places) const {
    std::uint64_t most = 0;
    std::uint32_t base = kNone;
    for (std::size_t first = 0, last; first < places.size(); first = last) {
      std::uint64_t rows = 0;
      for (last = first; last < places.size() && places[last].layer == places[first].layer; ++last) {
        const Chunk& chunk = *places[last].chunk;
        const bool inside = chunk.first_id >= task_.first_id && chunk.last_id <= task_.last_id && !chunk.wide_ids();
        rows += inside ? chunk.row_count : 0;
      }
      if (rows > most) most = rows, base = places[first].layer;
    }
    if (base == kNone || places.front().layer == places.back().layer) return;
    for (TaskPlace& place : places) (place.layer == base ? place.base : place.small) = true;
  }

  void find_shared() {
    if (!plan_.uniques) return;
    std::vector<SharedBuckets::Place> reached;
    for (const BucketPlan& interval : plan_.intervals) {
      reached.clear();
      for (const TaskPlace& place : places_) {
        if (!interval.covers(place.chunk->partition)) continue;
        const PartitionBuckets& buckets = interval.of(place.chunk->partition);
        const auto touched = buckets.touched(place.chunk->time_min, place.chunk->time_max);
        if (!touched) continue;
        const bool twice = place.twice || buckets.returns();
        reached.push_back({place.layer, place.base, place.small, twice, buckets.first_bucket + touched->first,
                           buckets.first_bucket + touched->second});
      }
      shared_.emplace_back(interval.size(), reached, task_.size(), scratch_);
    }
    find_derived();
  }

  // Where the buckets of all intervals are made of those of the finest, small layers fill the sets of these alone.
  void find_derived() {
    const std::span<const std::int64_t> finest = plan_.intervals[plan_.order.front()].starts().subspan(1);
    for (const std::size_t i : plan_.order) {
      const std::span<const std::int64_t> own = plan_.intervals[i].starts().subspan(1);
      const bool nested = std::includes(finest.begin(), finest.end(), own.begin(), own.end());
      if (!nested || plan_.intervals[i].returns()) return;
    }
    derives_ = true;
  }

  void derive_sets() {
    const std::size_t finest = plan_.order.front();
    const std::span<const std::int64_t> fine = plan_.intervals[finest].starts();
    for (const std::size_t i : std::span(plan_.order).subspan(1)) {
      const std::span<const std::int64_t> own = plan_.intervals[i].starts().subspan(1);
      std::vector<std::uint32_t> bucket_of(fine.size());
      for (std::size_t bucket = 1; bucket < fine.size(); ++bucket)
        bucket_of[bucket] =
            static_cast<std::uint32_t>(std::upper_bound(own.begin(), own.end(), fine[bucket]) - own.begin());
      shared_[i].add_all(shared_[finest], bucket_of);
    }
  }

  template <class Visit>
  void for_each_slow(Visit&& visit) const {
    for (std::uint32_t word = 0; word < task_.slow.size(); ++word) {
      for (std::uint64_t bits = task_.slow[word]; bits != 0; bits &= bits - 1)
        visit(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }

  void take_out_bases() {
    std::vector<SharedBuckets::BaseChunk> base;
    const auto take_out = [&] {
      for (std::size_t i = 0; i < shared_.size() && !base.empty(); ++i) {
        const BucketPlan& interval = plan_.intervals[i];
        const std::int32_t partition = base.front().chunk->partition;
        if (interval.covers(partition)) shared_[i].take_out(interval.of(partition), base, task_.first_id);
      }
      base.clear();
    };
    for (const TaskPlace& place : places_) {
      if (!place.base) continue;
      if (!base.empty() && base.front().chunk->partition != place.chunk->partition) take_out();
      base.push_back({place.chunk, wanted_codes(*place.chunk)});
    }
    take_out();
  }

  // By code of the chunk, whether its rows count; empty when all do.
  [[nodiscard]] std::vector<std::uint8_t> wanted_codes(const Chunk& chunk) const {
    std::vector<std::uint8_t> wanted;
    for (const Slice& slice : chunk.slices) wanted.push_back(plan_.event.selects(slice.name) ? 1 : 0);
    if (std::ranges::find(wanted, 0) == wanted.end()) wanted.clear();
    return wanted;
  }

  [[nodiscard]] std::size_t selected_slices(const Chunk& chunk) const {
    if (plan_.event.names.size() == 1 && !plan_.event.any) return chunk.find(plan_.event.names[0]) != nullptr ? 1 : 0;
    return static_cast<std::size_t>(std::count_if(chunk.slices.begin(), chunk.slices.end(),
                                                  [&](const Slice& slice) { return plan_.event.selects(slice.name); }));
  }

  void feed_slices(ChunkView& chunk) {
    for_each_event(chunk, plan_.event, scratch_, [&](const EventRows& rows) {
      Feed feed{chunk.chunk().partition, rows.count(), nullptr, nullptr, rows.view().profile, rows.view().id_offset};
      const bool slots = std::all_of(plan_.intervals.begin(), plan_.intervals.end(),
                                     [&](const BucketPlan& interval) { return interval.of(feed.partition).by_slot; });
      Scratch::Lease<std::uint16_t> profiles, slots_copy;
      Scratch::Lease<std::uint32_t> times;
      if (!rows.whole()) {
        profiles = scratch_.lease<std::uint16_t>(rows.count());
        for (std::uint32_t i = 0; i < rows.count(); ++i) profiles[i] = rows.view().profile[rows.row(i)];
        feed.profile = profiles.data();
      }
      if (slots && rows.whole()) feed.slot = rows.view().slot;
      if (slots && !rows.whole()) {
        slots_copy = scratch_.lease<std::uint16_t>(rows.count());
        for (std::uint32_t i = 0; i < rows.count(); ++i) slots_copy[i] = rows.view().slot[rows.row(i)];
        feed.slot = slots_copy.data();
      }
      if (!slots) {
        times = scratch_.lease<std::uint32_t>(rows.count());
        for (std::uint32_t i = 0; i < rows.count(); ++i) times[i] = rows.time(i);
        feed.time = times.data();
      }
      take(chunk, feed);
    });
  }

  void feed_spine(ChunkView& chunk, const TaskPlace& place) {
    const std::vector<Slice>& slices = chunk.chunk().slices;
    std::vector<std::uint8_t> wanted(std::max<std::size_t>(slices.size(), 256));
    std::size_t selected = 0;
    std::uint32_t hidden = 0;
    for (std::size_t code = 0; code < slices.size(); ++code) {
      wanted[code] = plan_.event.selects(slices[code].name);
      selected += wanted[code];
      hidden += wanted[code] ? 0 : slices[code].row_count;
    }
    if (selected == 0) return;
    const SpineView spine = chunk.spine();
    Feed feed{chunk.chunk().partition, spine.size(), spine.time.data(), nullptr, spine.profile, spine.id_offset};
    feed.first_row = spine.first_row;
    feed.base = place.base;
    feed.small = place.small;
    if (selected == slices.size()) {
      feed.profile_start = spine.profile_start;
      feed.start_profile = spine.start_profile;
      return take(chunk, feed);
    }
    if (hidden <= chunk.chunk().row_count / kHiddenShare && can_hide(chunk.chunk().partition)) {
      const auto rows = scratch_.lease<std::uint32_t>(hidden);
      feed.hidden = {rows.data(), find_hidden(chunk, spine, wanted.data(), rows.data())};
      return take(chunk, feed);
    }
    const auto rows = scratch_.lease<std::uint32_t>(spine.size() + simd::kSlack);
    feed.count = wanted_positions(spine, wanted.data(), rows.data());
    const auto times = scratch_.lease<std::uint32_t>(feed.count);
    const auto profiles = scratch_.lease<std::uint16_t>(feed.count);
    for (std::uint32_t i = 0; i < feed.count; ++i) {
      times[i] = spine.time[rows[i]];
      profiles[i] = spine.profile[rows[i]];
    }
    feed.time = times.data();
    feed.profile = profiles.data();
    feed.first_row.reset();
    take(chunk, feed);
  }

  // Few rows of names that do not count, the system's own beside any event, are covered up where they lie.
  [[nodiscard]] bool can_hide(std::int32_t partition) const {
    return plan_.breakdown.empty() &&
           std::all_of(plan_.intervals.begin(), plan_.intervals.end(),
                       [&](const BucketPlan& interval) { return interval.of(partition).by_bytes; });
  }

  // Rows of the view whose name is not wanted, ascending; returns how many.
  std::size_t find_hidden(ChunkView& chunk, const SpineView& spine, const std::uint8_t* wanted, std::uint32_t* out) {
    const std::vector<Slice>& slices = chunk.chunk().slices;
    std::size_t found = 0;
    for (std::size_t code = 0; code < slices.size(); ++code) {
      if (wanted[code] != 0) continue;
      const auto view = chunk.slice(slices[code]);
      for (std::uint32_t row = 0; view && row < view->row_count; ++row) {
        out[found++] = slices[code].posting(view->first_row + row) - spine.first_row;
      }
    }
    std::sort(out, out + found);
    return found;
  }

  // Hidden rows take the bucket of a neighbour of their profile, so that they are the first row of nothing of their own:
  // that of the row before, or, where they come first, of the first row that counts.
  static void cover_hidden(const Feed& feed, std::uint8_t* bytes) {
    const auto same = [&](std::uint32_t left, std::uint32_t right) {
      return feed.profile[left] == feed.profile[right];
    };
    for (std::size_t at = 0; at < feed.hidden.size(); ++at) {
      const std::uint32_t row = feed.hidden[at];
      if (row != 0 && same(row, row - 1)) {
        bytes[row] = bytes[row - 1];
        continue;
      }
      std::uint32_t next = row + 1;
      for (std::size_t i = at + 1; i < feed.hidden.size() && feed.hidden[i] == next; ++i) ++next;
      bytes[row] = next < feed.count && same(row, next) ? bytes[next] : simd::kOutsideBucket;
    }
  }

  // The first rows of each (profile, bucket) of one interval and feed, kept for coarser intervals.
  struct Firsts {
    bool valid = false;
    std::uint32_t count = 0;
    Scratch::Lease<std::uint8_t> bytes;
    Scratch::Lease<std::uint16_t> profile;  // as in the feed; empty when not wanted, or known by starts
    bool by_starts = false;                 // the profile of a byte is that of the last kStart
    [[nodiscard]] bool knows_profiles() const noexcept { return by_starts || profile.size() != 0; }
    std::uint64_t totals[128] = {};
  };

  void take(const ChunkView& chunk, const Feed& feed) {
    if (feed.count == 0) return;
    std::vector<Firsts> firsts(plan_.intervals.size());
    for (std::size_t i = 0; i < plan_.order.size(); ++i) {
      const std::size_t interval = plan_.order[i];
      const PartitionBuckets& buckets = plan_.intervals[interval].of(feed.partition);
      if (is_derived(interval, feed) && !plan_.totals) continue;
      if (!buckets.by_bytes) {
        take_wide(interval, buckets, feed);
        continue;
      }
      const bool profiles = !plan_.breakdown.empty() || takes_any(interval, buckets, chunk.chunk(), feed.base);
      const std::size_t finer = finer_of(i, feed.partition, firsts, profiles);
      if (finer != i) {
        regroup(plan_.order[finer], interval, feed, profiles, firsts);
      } else {
        group(buckets, chunk, feed, profiles || coarser_needs(i, feed, chunk.chunk()), firsts[interval]);
      }
      count_firsts(interval, buckets, chunk, feed, profiles, firsts[interval]);
    }
  }

  // The interval's sets are made of the finest's: rows of small layers are put into those alone.
  [[nodiscard]] bool is_derived(std::size_t interval, const Feed& feed) const noexcept {
    return derives_ && feed.small && interval != plan_.order.front();
  }

  // Whether rows of the chunk go into sets of the interval.
  [[nodiscard]] bool takes_any(std::size_t interval, const PartitionBuckets& buckets, const Chunk& chunk,
                               bool base) const {
    if (!plan_.uniques) return false;
    const auto touched = buckets.touched(chunk.time_min, chunk.time_max);
    return touched && shared_[interval].takes_any(buckets.first_bucket + touched->first,
                                                  buckets.first_bucket + touched->second, base);
  }

  // Does some interval behind this one in the order need to know rows?
  [[nodiscard]] bool coarser_needs(std::size_t i, const Feed& feed, const Chunk& chunk) const {
    for (std::size_t j = i + 1; j < plan_.order.size(); ++j) {
      const PartitionBuckets& buckets = plan_.intervals[plan_.order[j]].of(feed.partition);
      if (takes_any(plan_.order[j], buckets, chunk, feed.base)) return true;
    }
    return false;
  }

  // The place in the order of an interval whose firsts can be regrouped into those of place i; i itself when none can.
  [[nodiscard]] std::size_t finer_of(std::size_t i, std::int32_t partition, const std::vector<Firsts>& firsts,
                                     bool profiles) const {
    const std::vector<std::uint32_t>& own = plan_.intervals[plan_.order[i]].of(partition).border;
    for (std::size_t j = i; j-- > 0;) {
      const Firsts& finer = firsts[plan_.order[j]];
      const std::vector<std::uint32_t>& borders = plan_.intervals[plan_.order[j]].of(partition).border;
      if (!finer.valid || (profiles && !finer.knows_profiles())) continue;
      if (std::includes(borders.begin(), borders.end(), own.begin(), own.end())) return j;
    }
    return i;
  }

  // Nothing but times and profiles is looked at, of whole chunks. Slow profiles are few: they are counted and taken back.
  [[nodiscard]] bool goes_by_starts(const Feed& feed) const noexcept {
    return feed.profile_start != nullptr && feed.slot == nullptr && feed.hidden.empty() && plan_.breakdown.empty() &&
           context_.where == nullptr && plan_.uniques && !plan_.totals;
  }

  void group(const PartitionBuckets& buckets, const ChunkView& chunk, const Feed& feed, bool profiles, Firsts& out) {
    if (goes_by_starts(feed)) {
      out.valid = out.by_starts = true;
      out.bytes = scratch_.lease<std::uint8_t>(feed.count + simd::kSlack);
      out.count = primitives_.first_of_times(feed.time, feed.profile_start, feed.count, buckets.rule, out.bytes.data());
      return;
    }
    const auto bytes = scratch_.lease<std::uint8_t>(feed.count + simd::kSlack);
    if (feed.slot != nullptr) {
      buckets.bytes_of_slots(feed.slot, feed.count, bytes.data());
    } else {
      primitives_.time_to_bucket(feed.time, feed.count, buckets.rule, bytes.data());
    }
    exclude(chunk, feed, bytes.data());
    for (const std::uint32_t row : feed.hidden) bytes[row] = simd::kOutsideBucket;
    if (plan_.totals) count_totals(buckets, feed, bytes.data(), out.totals);
    out.valid = true;
    if (!plan_.uniques) return;
    cover_hidden(feed, bytes.data());
    out.bytes = scratch_.lease<std::uint8_t>(feed.count + simd::kSlack);
    if (profiles) out.profile = scratch_.lease<std::uint16_t>(feed.count + simd::kSlack);
    out.count = primitives_.first_of_group(bytes.data(), feed.profile, feed.count, out.bytes.data(),
                                           profiles ? out.profile.data() : nullptr);
  }

  // Rows of profiles that do not count go outside.
  void exclude(const ChunkView& chunk, const Feed& feed, std::uint8_t* bytes) {
    if (filter_.everybody()) return;
    if (context_.where == nullptr && feed.first_row) {
      each_slow_stretch(chunk, [&](std::uint32_t first, std::uint32_t last) {
        std::fill(bytes + (first - *feed.first_row), bytes + (last - *feed.first_row), simd::kOutsideBucket);
      });
      return;
    }
    if (excluded_.size() == 0) {
      excluded_ = scratch_.lease<std::uint8_t>(task_.size());
      for (std::uint32_t profile = 0; profile < task_.size(); ++profile)
        excluded_[profile] = filter_.has(profile) ? 0 : simd::kOutsideBucket;
    }
    const std::uint8_t* excluded = excluded_.data() + feed.id_offset;
    for (std::uint32_t row = 0; row < feed.count; ++row) bytes[row] |= excluded[feed.profile[row]];
  }

  // visit(first, last): spine rows of the chunk that belong to slow profiles of the task.
  template <class Visit>
  void each_slow_stretch(const ChunkView& chunk, Visit&& visit) const {
    for (const SlowPlace& place : slow_places_) {
      if (place.chunk == &chunk.chunk()) visit(place.first, place.last);
    }
  }

  // Totals of rows by bucket; with a breakdown they go to their cells at once.
  void count_totals(const PartitionBuckets& buckets, const Feed& feed, const std::uint8_t* bytes,
                    std::uint64_t* totals) {
    if (plan_.breakdown.empty()) return primitives_.count_bytes(bytes, feed.count, buckets.bucket_count - 1, totals);
  }

  void regroup(std::size_t finer, std::size_t interval, const Feed& feed, bool profiles, std::vector<Firsts>& firsts) {
    const PartitionBuckets& fine = plan_.intervals[finer].of(feed.partition);
    const PartitionBuckets& own = plan_.intervals[interval].of(feed.partition);
    alignas(64) std::uint8_t table[128];
    std::fill_n(table, 128, simd::kOutsideBucket);
    for (std::uint32_t bucket = 0; bucket < fine.bucket_count; ++bucket) {
      const std::uint32_t start = bucket == 0 ? 0 : fine.border[bucket - 1];
      table[bucket] =
          static_cast<std::uint8_t>(std::upper_bound(own.border.begin(), own.border.end(), start) - own.border.begin());
    }
    const Firsts& from = firsts[finer];
    Firsts& out = firsts[interval];
    for (std::uint32_t bucket = 0; bucket < fine.bucket_count; ++bucket)
      out.totals[table[bucket]] += from.totals[bucket];
    out.valid = true;
    if (!plan_.uniques) return;
    out.bytes = scratch_.lease<std::uint8_t>(from.count + simd::kSlack);
    out.by_starts = from.by_starts;
    if (!out.by_starts && (profiles || from.profile.size() != 0))
      out.profile = scratch_.lease<std::uint16_t>(from.count + simd::kSlack);
    const bool known = out.profile.size() != 0;
    out.count = primitives_.regroup(from.bytes.data(), known ? from.profile.data() : nullptr, from.count, table,
                                    out.bytes.data(), known ? out.profile.data() : nullptr);
  }

  void count_firsts(std::size_t interval, const PartitionBuckets& buckets, const ChunkView& chunk, const Feed& feed,
                    bool profiles, const Firsts& firsts) {
    Cells& cells = partial_.cells[interval];
    if (!plan_.breakdown.empty()) return count_grouped(interval, buckets, feed, firsts);
    for (std::uint32_t bucket = 0; plan_.totals && bucket < buckets.bucket_count; ++bucket) {
      if (firsts.totals[bucket] != 0) cells.total(cells.at(0, buckets.first_bucket + bucket)) += firsts.totals[bucket];
    }
    if (!plan_.uniques || is_derived(interval, feed)) return;
    std::uint64_t counts[128] = {};
    primitives_.count_bytes(firsts.bytes.data(), firsts.count, buckets.bucket_count - 1, counts);
    if (firsts.by_starts) take_back_slow(buckets, chunk, feed, counts);
    SharedBuckets& shared = shared_[interval];
    for (std::uint32_t bucket = 0; bucket < buckets.bucket_count; ++bucket) {
      const bool direct = counts[bucket] != 0 && !shared.takes(buckets.first_bucket + bucket, feed.base);
      if (direct) cells.unique(cells.at(0, buckets.first_bucket + bucket)) += counts[bucket];
    }
    if (profiles) note_shared(buckets, feed, firsts, shared);
  }

  // By starts everybody was counted; slow profiles are not the scan's. What sets have of them is removed in the end.
  void take_back_slow(const PartitionBuckets& buckets, const ChunkView& chunk, const Feed& feed,
                      std::uint64_t* counts) {
    each_slow_stretch(chunk, [&](std::uint32_t first, std::uint32_t last) {
      std::uint32_t before = kNone;
      for (std::uint32_t row = first; row < last; ++row) {
        const std::uint32_t bucket = buckets.rule.bucket(feed.time[row]);
        counts[bucket] -= bucket != before && bucket != simd::kOutsideBucket;
        before = bucket;
      }
    });
  }

  // Firsts of shared buckets go into their sets; the others into one that nobody reads, so that no branch is needed.
  void note_shared(const PartitionBuckets& buckets, const Feed& feed, const Firsts& firsts, SharedBuckets& shared) {
    const auto no_bytes = scratch_.lease<std::uint8_t>(task_.size());
    const auto no_words = scratch_.lease<std::uint64_t>(shared.words());
    std::uint8_t* bytes[128];
    std::uint64_t* words[128];
    std::fill_n(bytes, 128, no_bytes.data());
    std::fill_n(words, 128, no_words.data());
    bool any_bytes = false, any_words = false;
    for (std::uint32_t local = 0; local < buckets.bucket_count; ++local) {
      const std::uint32_t bucket = buckets.first_bucket + local;
      if (!shared.takes(bucket, feed.base)) continue;
      if (shared.is_bytes(bucket)) {
        bytes[local] = shared.bytes_of(bucket), any_bytes = true;
      } else {
        words[local] = shared.words_of(bucket), any_words = true;
      }
    }
    if (any_bytes) {
      each_first(feed, firsts, [&](std::uint32_t local, std::uint32_t profile) { bytes[local][profile] = 1; });
    }
    if (!any_words) return;
    each_first(feed, firsts, [&](std::uint32_t local, std::uint32_t profile) {
      words[local][profile >> 6] |= std::uint64_t{1} << (profile & 63);
    });
  }

  template <class Visit>
  static void each_first(const Feed& feed, const Firsts& firsts, Visit&& visit) {
    if (!firsts.by_starts) {
      for (std::uint32_t k = 0; k < firsts.count; ++k)
        visit(firsts.bytes[k] & 127u, firsts.profile[k] + feed.id_offset);
      return;
    }
    std::uint32_t start = kNone;  // number of the last start: none before the first byte, which is one
    for (std::uint32_t k = 0; k < firsts.count; ++k) {
      start += firsts.bytes[k] >> 7;
      visit(firsts.bytes[k] & 127u, feed.start_profile[start] + feed.id_offset);
    }
  }

  // With a breakdown by traits: rows of one profile and bucket share a group, so totals are added by runs.
  void count_grouped(std::size_t interval, const PartitionBuckets& buckets, const Feed& feed, const Firsts& firsts) {
    Cells& cells = partial_.cells[interval];
    for (std::uint32_t row = 0; plan_.totals && row < feed.count; ++row) {
      const std::uint32_t profile = feed.profile[row] + feed.id_offset;
      const std::uint16_t bucket = bucket_of(buckets, feed, row);
      if (bucket == PartitionBuckets::kOutside || !filter_.has(profile)) continue;
      ++cells.total(cells.at(groups_[profile], buckets.first_bucket + bucket));
    }
    if (!plan_.uniques || is_derived(interval, feed)) return;
    SharedBuckets& shared = shared_[interval];
    for (std::uint32_t k = 0; k < firsts.count; ++k) {
      const std::uint32_t bucket = firsts.bytes[k] & 127u;
      if (bucket == simd::kOutsideBucket) continue;
      note_unique(cells, shared, buckets.first_bucket + bucket, firsts.profile[k] + feed.id_offset, feed.base);
    }
  }

  void note_unique(Cells& cells, SharedBuckets& shared, std::uint32_t bucket, std::uint32_t profile, bool base) {
    if (shared.takes(bucket, base)) {
      shared.add(bucket, profile);
    } else {
      ++cells.unique(cells.at(plan_.breakdown.empty() ? 0 : groups_[profile], bucket));
    }
  }

  [[nodiscard]] static std::uint16_t bucket_of(const PartitionBuckets& buckets, const Feed& feed,
                                               std::uint32_t row) noexcept {
    if (feed.slot != nullptr) return buckets.slot_bucket[feed.slot[row]];
    return buckets.by_slot ? buckets.slot_bucket[feed.time[row] / limits::kSlotMs] : buckets.bucket(feed.time[row]);
  }

  // Over 127 buckets in a partition (hours), or borders without a rule: row by row.
  void take_wide(std::size_t interval, const PartitionBuckets& buckets, const Feed& feed) {
    Cells& cells = partial_.cells[interval];
    const bool uniques = plan_.uniques && !is_derived(interval, feed);
    std::uint32_t last_profile = kNone, last_bucket = kNone;
    for (std::uint32_t row = 0; row < feed.count; ++row) {
      const std::uint32_t profile = feed.profile[row] + feed.id_offset;
      const std::uint16_t local = bucket_of(buckets, feed, row);
      if (local == PartitionBuckets::kOutside || !filter_.has(profile)) continue;
      const std::uint32_t bucket = buckets.first_bucket + local;
      if (plan_.totals) ++cells.total(cells.at(plan_.breakdown.empty() ? 0 : groups_[profile], bucket));
      if (uniques && (profile != last_profile || bucket != last_bucket))
        note_unique(cells, shared_[interval], bucket, profile, feed.base);
      last_profile = profile;
      last_bucket = bucket;
    }
  }

  void count_shared() {
    for (std::size_t interval = 0; interval < shared_.size(); ++interval) {
      for_each_slow([&](std::uint32_t profile) { shared_[interval].remove(profile); });
      Cells& cells = partial_.cells[interval];
      if (plan_.breakdown.empty()) {
        shared_[interval].each_count([&](std::uint32_t bucket, std::uint64_t count) {
          if (count != 0) cells.unique(cells.at(0, bucket)) += count;
        });
      } else {
        shared_[interval].each(
            [&](std::uint32_t bucket, std::uint32_t profile) { ++cells.unique(cells.at(groups_[profile], bucket)); });
      }
    }
  }

  const TrendPlan& plan_;
  const QueryContext& context_;
  const Task& task_;
  Scratch& scratch_;
  TrendPartial& partial_;
  ProfileFilter filter_;
  const simd::Primitives& primitives_;
  Scratch::Lease<std::uint8_t> excluded_;  // of a profile: kOutsideBucket when it does not count
  Scratch::Lease<std::uint32_t> groups_;   // of a profile, with a breakdown
  std::vector<TaskPlace> places_;          // by (partition, log order, first_id)
  std::vector<SharedBuckets> shared_;      // one an interval, when uniques are asked for
  bool derives_ = false;                   // sets of coarser intervals are made of those of the finest
  std::vector<SlowPlace> slow_places_;     // of the task
};

}  // namespace

void scan_trend_profiles(const TrendPlan& plan, const QueryContext& context, const Task& task, Scratch& scratch,
                         TrendPartial& partial) {
  ProfileScan(plan, context, task, scratch, partial).run();
}

}  // namespace cdp
