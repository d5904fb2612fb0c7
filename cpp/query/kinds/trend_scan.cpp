// How a trend goes over a task. Two ways:
//
// By profile, when nothing but time, profile and traits matters: rows become bucket bytes (slot_to_bucket), the first row of
// each (profile, bucket) is compressed out (first_of_group) and counted; coarser intervals regroup that output. The rows
// come from the whole spine, from the spine's positions of some codes, or from slices. ~0.3 ns a row and interval. Where
// everybody and every name counts, only times and the starts of profiles are read, in one step (first_of_times): half that.
// By row, when properties are broken down or measured: rows of each slice are selected, filtered, grouped, and added to
// their cells. ~5 ns a selected row and interval.
//
// One profile may have rows of one bucket in several places (layers that overlap in time, a month over two partitions,
// several slices). Such buckets are *shared*: their profiles go into a set that is counted when the task ends. The others,
// nearly all, are counted on the spot. Nothing here depends on the order of places, so nothing is ever late.
#include <algorithm>
#include <cstring>
#include <span>

#include "query/kinds/event_names.hpp"
#include "query/kinds/event_rows.hpp"
#include "query/kinds/profile_filter.hpp"
#include "query/kinds/trend.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

constexpr std::size_t kByteSets = 64;       // sets of a byte a profile (a plain store) up to so many, of bits beyond
constexpr std::size_t kPairedPlaces = 256;  // places of a task compared pair by pair; with more, all buckets are shared
constexpr std::uint32_t kUnshared = kNone;
constexpr std::uint32_t kHiddenShare = 4;  // up to one in so many rows is covered up; of more, the others are gathered

// A place that rows of the task come from: a chunk, or a slice of it. Ids are of the shard, buckets of an interval.
struct Place {
  std::uint32_t first_id;
  std::uint32_t last_id;
  std::uint32_t first_bucket;
  std::uint32_t last_bucket;
};

// How many of the bytes, 0 or 1 each, are 1: eight a step, in counters of a byte that are emptied in time.
std::uint64_t count_ones(std::span<const std::uint8_t> bytes) noexcept {
  constexpr std::uint64_t kEven = 0x00FF00FF00FF00FF;
  std::uint64_t total = 0;
  std::size_t at = 0;
  while (bytes.size() - at >= 8) {
    const std::size_t steps = std::min<std::size_t>((bytes.size() - at) / 8, 255);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < steps; ++i, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + at, 8);
      sum += word;
    }
    total += (((sum & kEven) + ((sum >> 8) & kEven)) * 0x0001000100010001u) >> 48;
  }
  for (; at < bytes.size(); ++at) total += bytes[at];
  return total;
}

// Distinct profiles of the shared buckets of one interval.
class SharedBuckets {
 public:
  SharedBuckets(std::uint32_t buckets, std::span<const Place> places, std::uint32_t profiles, Scratch& scratch)
      : set_(buckets, kUnshared), profiles_(profiles) {
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (places.size() > kPairedPlaces) {
        share(places[i].first_bucket, places[i].last_bucket);
        continue;
      }
      for (std::size_t j = 0; j < i; ++j) {
        if (places[i].first_id >= places[j].last_id || places[j].first_id >= places[i].last_id) continue;
        share(std::max(places[i].first_bucket, places[j].first_bucket),
              std::min(places[i].last_bucket, places[j].last_bucket));
      }
    }
    by_bytes_ = shared_.size() <= kByteSets;
    if (by_bytes_) {
      bytes_ = scratch.zeroed<std::uint8_t>(shared_.size() * profiles_);
    } else {
      words_ = scratch.zeroed<std::uint64_t>(shared_.size() * words_a_set());
    }
  }

  [[nodiscard]] bool shared(std::uint32_t bucket) const noexcept { return set_[bucket] != kUnshared; }
  // The same for a number that may lie before the first bucket.
  [[nodiscard]] bool in_reach(std::uint32_t bucket) const noexcept { return bucket < set_.size() && shared(bucket); }
  [[nodiscard]] bool by_bytes() const noexcept { return by_bytes_; }
  // A byte a profile; null without them. REQUIRES: shared(bucket).
  [[nodiscard]] std::uint8_t* bytes_of(std::uint32_t bucket) noexcept {
    return by_bytes_ ? bytes_.data() + std::size_t{set_[bucket]} * profiles_ : nullptr;
  }
  [[nodiscard]] bool any_shared(std::uint32_t first, std::uint32_t last) const noexcept {
    return std::any_of(set_.begin() + first, set_.begin() + last + 1,
                       [](std::uint32_t set) { return set != kUnshared; });
  }
  // REQUIRES: shared(bucket).
  void add(std::uint32_t bucket, std::uint32_t profile) noexcept {
    if (by_bytes_) {
      bytes_[std::size_t{set_[bucket]} * profiles_ + profile] = 1;
    } else {
      words_[set_[bucket] * words_a_set() + (profile >> 6)] |= std::uint64_t{1} << (profile & 63);
    }
  }
  // visit(bucket, profile) for every pair.
  template <class Visit>
  void each(Visit&& visit) const {
    for (std::uint32_t set = 0; set < shared_.size(); ++set) {
      for (std::uint32_t profile = 0; profile < profiles_; ++profile) {
        if (has(set, profile)) visit(shared_[set], profile);
      }
    }
  }
  // visit(bucket, count).
  template <class Visit>
  void each_count(Visit&& visit) const {
    for (std::uint32_t set = 0; set < shared_.size(); ++set) {
      std::uint64_t count = 0;
      if (by_bytes_) {
        count = count_ones({bytes_.data() + std::size_t{set} * profiles_, profiles_});
      } else {
        for (std::size_t word = 0; word < words_a_set(); ++word) {
          count += static_cast<std::uint64_t>(__builtin_popcountll(words_[set * words_a_set() + word]));
        }
      }
      visit(shared_[set], count);
    }
  }

 private:
  [[nodiscard]] std::size_t words_a_set() const noexcept { return (profiles_ + 63) / 64; }
  [[nodiscard]] bool has(std::uint32_t set, std::uint32_t profile) const noexcept {
    if (by_bytes_) return bytes_[std::size_t{set} * profiles_ + profile] != 0;
    return ((words_[set * words_a_set() + (profile >> 6)] >> (profile & 63)) & 1) != 0;
  }
  void share(std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t bucket = first; bucket <= last && bucket < set_.size(); ++bucket) {
      if (set_[bucket] != kUnshared) continue;
      set_[bucket] = static_cast<std::uint32_t>(shared_.size());
      shared_.push_back(bucket);
    }
  }

  std::vector<std::uint32_t> set_;     // of a bucket; kUnshared
  std::vector<std::uint32_t> shared_;  // bucket of a set
  std::uint32_t profiles_;
  bool by_bytes_ = true;
  Scratch::Lease<std::uint8_t> bytes_;
  Scratch::Lease<std::uint64_t> words_;
};

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
  std::span<const std::uint32_t> hidden = {};  // rows of names that do not count, ascending; all buckets are bytes then
};

// --- by profile
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
    if (!filter_.everybody()) {
      excluded_ = scratch.lease<std::uint8_t>(task.size());
      for (std::uint32_t profile = 0; profile < task.size(); ++profile) {
        excluded_[profile] = filter_.has(profile) ? 0 : simd::kOutsideBucket;
      }
    }
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
    find_shared(by_slices);
    for (const Chunk* each : task_.chunks) {
      ChunkView chunk(*each, task_, scratch_);
      if (chunk.outside(context_.range)) continue;
      by_slices ? feed_slices(chunk) : feed_spine(chunk);
    }
    count_shared();
  }

 private:
  void find_shared(bool by_slices) {
    if (!plan_.uniques) return;
    std::vector<Place> places;
    for (const BucketPlan& interval : plan_.intervals) {
      places.clear();
      for (const Chunk* chunk : task_.chunks) {
        if (!interval.covers(chunk->partition)) continue;
        const PartitionBuckets& buckets = interval.of(chunk->partition);
        const auto touched = buckets.touched(chunk->time_min, chunk->time_max);
        if (!touched) continue;
        const std::size_t copies = buckets.returns() ? 2 : by_slices ? selected_slices(*chunk) : 1;
        for (std::size_t i = 0; i < std::min<std::size_t>(copies, 2); ++i) {
          places.push_back({chunk->first_id, chunk->last_id, buckets.first_bucket + touched->first,
                            buckets.first_bucket + touched->second});
        }
      }
      shared_.emplace_back(interval.size(), places, task_.size(), scratch_);
    }
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

  void feed_spine(ChunkView& chunk) {
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
    if (selected == slices.size()) {
      return take(chunk, {chunk.chunk().partition, spine.size(), spine.time.data(), nullptr, spine.profile,
                          spine.id_offset, spine.profile_start, spine.start_profile});
    }
    if (hidden <= chunk.chunk().row_count / kHiddenShare && can_hide(chunk.chunk().partition)) {
      const auto rows = scratch_.lease<std::uint32_t>(hidden);
      const std::span hidden_rows(rows.data(), find_hidden(chunk, spine, wanted.data(), rows.data()));
      return take(chunk, {chunk.chunk().partition, spine.size(), spine.time.data(), nullptr, spine.profile,
                          spine.id_offset, nullptr, nullptr, hidden_rows});
    }
    const auto rows = scratch_.lease<std::uint32_t>(spine.size() + simd::kSlack);
    const std::uint32_t count = wanted_positions(spine, wanted.data(), rows.data());
    const auto times = scratch_.lease<std::uint32_t>(count);
    const auto profiles = scratch_.lease<std::uint16_t>(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      times[i] = spine.time[rows[i]];
      profiles[i] = spine.profile[rows[i]];
    }
    take(chunk, {chunk.chunk().partition, count, times.data(), nullptr, profiles.data(), spine.id_offset});
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
      if (!buckets.by_bytes) {
        take_wide(interval, buckets, feed);
        continue;
      }
      const bool profiles = !plan_.breakdown.empty() || touches_shared(interval, buckets, chunk.chunk());
      const std::size_t finer = finer_of(i, feed.partition, firsts, profiles);
      if (finer != i) {
        regroup(plan_.order[finer], interval, feed, profiles, firsts);
      } else {
        group(buckets, feed, profiles || coarser_needs(i, feed.partition, chunk.chunk()), firsts[interval]);
      }
      count_firsts(interval, buckets, feed, profiles, firsts[interval]);
    }
  }

  [[nodiscard]] bool touches_shared(std::size_t interval, const PartitionBuckets& buckets, const Chunk& chunk) const {
    if (!plan_.uniques) return false;
    const auto touched = buckets.touched(chunk.time_min, chunk.time_max);
    return touched &&
           shared_[interval].any_shared(buckets.first_bucket + touched->first, buckets.first_bucket + touched->second);
  }

  // Does some interval behind this one in the order need to know rows?
  [[nodiscard]] bool coarser_needs(std::size_t i, std::int32_t partition, const Chunk& chunk) const {
    for (std::size_t j = i + 1; j < plan_.order.size(); ++j) {
      if (touches_shared(plan_.order[j], plan_.intervals[plan_.order[j]].of(partition), chunk)) return true;
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

  // Nothing but times and profiles is looked at, of whole chunks.
  [[nodiscard]] bool goes_by_starts(const Feed& feed) const noexcept {
    return feed.profile_start != nullptr && feed.slot == nullptr && feed.hidden.empty() && plan_.breakdown.empty() &&
           filter_.everybody() && plan_.uniques && !plan_.totals;
  }

  void group(const PartitionBuckets& buckets, const Feed& feed, bool profiles, Firsts& out) {
    if (goes_by_starts(feed)) {
      out.valid = out.by_starts = true;
      out.bytes = scratch_.lease<std::uint8_t>(feed.count + simd::kSlack);
      out.count = primitives_.first_of_times(feed.time, feed.profile_start, feed.count, buckets.rule, out.bytes.data());
      return;
    }
    const auto bytes = scratch_.lease<std::uint8_t>(feed.count + simd::kSlack);
    if (feed.slot != nullptr) {
      primitives_.slot_to_bucket(feed.slot, feed.count, buckets.slot_byte.data(), bytes.data());
    } else {
      primitives_.time_to_bucket(feed.time, feed.count, buckets.rule, bytes.data());
    }
    if (!filter_.everybody()) {
      const std::uint8_t* excluded = excluded_.data() + feed.id_offset;
      for (std::uint32_t row = 0; row < feed.count; ++row) bytes[row] |= excluded[feed.profile[row]];
    }
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

  void count_firsts(std::size_t interval, const PartitionBuckets& buckets, const Feed& feed, bool profiles,
                    const Firsts& firsts) {
    Cells& cells = partial_.cells[interval];
    if (!plan_.breakdown.empty()) return count_grouped(interval, buckets, feed, firsts);
    for (std::uint32_t bucket = 0; plan_.totals && bucket < buckets.bucket_count; ++bucket) {
      if (firsts.totals[bucket] != 0) cells.total(cells.at(0, buckets.first_bucket + bucket)) += firsts.totals[bucket];
    }
    if (!plan_.uniques) return;
    std::uint64_t counts[128] = {};
    primitives_.count_bytes(firsts.bytes.data(), firsts.count, buckets.bucket_count - 1, counts);
    SharedBuckets& shared = shared_[interval];
    for (std::uint32_t bucket = 0; bucket < buckets.bucket_count; ++bucket) {
      const bool direct = counts[bucket] != 0 && !shared.in_reach(buckets.first_bucket + bucket);
      if (direct) cells.unique(cells.at(0, buckets.first_bucket + bucket)) += counts[bucket];
    }
    if (profiles) note_shared(buckets, feed, firsts, shared);
  }

  // Firsts of shared buckets go into their sets; the others into one that nobody reads, so that no branch is needed.
  void note_shared(const PartitionBuckets& buckets, const Feed& feed, const Firsts& firsts, SharedBuckets& shared) {
    const auto nowhere = scratch_.lease<std::uint8_t>(task_.size());
    std::uint32_t start = kNone;  // number of the last start: none before the first byte, which is one
    std::uint8_t* set[128];
    std::fill_n(set, 128, nowhere.data());
    for (std::uint32_t bucket = 0; bucket < buckets.bucket_count; ++bucket) {
      if (shared.in_reach(buckets.first_bucket + bucket)) set[bucket] = shared.bytes_of(buckets.first_bucket + bucket);
    }
    if (shared.by_bytes() && firsts.by_starts) {
      for (std::uint32_t k = 0; k < firsts.count; ++k) {
        start += firsts.bytes[k] >> 7;
        set[firsts.bytes[k] & 127u][feed.start_profile[start] + feed.id_offset] = 1;
      }
      return;
    }
    if (shared.by_bytes()) {
      for (std::uint32_t k = 0; k < firsts.count; ++k)
        set[firsts.bytes[k] & 127u][firsts.profile[k] + feed.id_offset] = 1;
      return;
    }
    for (std::uint32_t k = 0; k < firsts.count; ++k) {
      start += firsts.bytes[k] >> 7;
      const std::uint32_t bucket = firsts.bytes[k] & 127u;
      if (bucket == simd::kOutsideBucket || !shared.in_reach(buckets.first_bucket + bucket)) continue;
      const std::uint32_t profile = firsts.by_starts ? feed.start_profile[start] : firsts.profile[k];
      shared.add(buckets.first_bucket + bucket, profile + feed.id_offset);
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
    if (!plan_.uniques) return;
    SharedBuckets& shared = shared_[interval];
    for (std::uint32_t k = 0; k < firsts.count; ++k) {
      const std::uint32_t bucket = firsts.bytes[k] & 127u;
      if (bucket == simd::kOutsideBucket) continue;
      note_unique(cells, shared, buckets.first_bucket + bucket, firsts.profile[k] + feed.id_offset);
    }
  }

  void note_unique(Cells& cells, SharedBuckets& shared, std::uint32_t bucket, std::uint32_t profile) {
    if (shared.shared(bucket)) {
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
    std::uint32_t last_profile = kNone, last_bucket = kNone;
    for (std::uint32_t row = 0; row < feed.count; ++row) {
      const std::uint32_t profile = feed.profile[row] + feed.id_offset;
      const std::uint16_t local = bucket_of(buckets, feed, row);
      if (local == PartitionBuckets::kOutside || !filter_.has(profile)) continue;
      const std::uint32_t bucket = buckets.first_bucket + local;
      if (plan_.totals) ++cells.total(cells.at(plan_.breakdown.empty() ? 0 : groups_[profile], bucket));
      if (plan_.uniques && (profile != last_profile || bucket != last_bucket))
        note_unique(cells, shared_[interval], bucket, profile);
      last_profile = profile;
      last_bucket = bucket;
    }
  }

  void count_shared() {
    for (std::size_t interval = 0; interval < shared_.size(); ++interval) {
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
  std::vector<SharedBuckets> shared_;      // one an interval, when uniques are asked for
};

// --- by row
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
    const auto rows = scratch_.lease<std::uint32_t>(view->row_count + simd::kSlack);
    std::uint32_t count = select_rows(chunk, *view, context_.range, rows.data());
    count = filter_rows(*view, plan_.event.where, scratch_, rows.data(), count);
    if (!filter_.everybody()) count = keep_counted(*view, rows.data(), count);
    if (count == 0) return;
    const auto groups = scratch_.lease<std::uint32_t>(count);
    plan_.breakdown.row_groups(traits_, *view, rows.data(), count, partial_.groups, scratch_, groups.data());
    if (plan_.shown)
      std::transform(groups.data(), groups.data() + count, groups.data(),
                     [&](std::uint32_t group) { return plan_.folded(group); });
    std::vector<Scratch::Lease<Value>> numbers;
    for (const TrendKey& key : plan_.keys) {
      numbers.push_back(scratch_.lease<Value>(key.key ? count : 0));
      if (key.key) read_property(*view, *key.key, rows.data(), count, numbers.back().data());
    }
    const auto cells = scratch_.lease<std::uint32_t>(count);
    for (std::size_t i = 0; i < plan_.intervals.size(); ++i) {
      add_cells(chunk, *view, i, rows.data(), groups.data(), count, cells.data());
      Cells& into = partial_.cells[i];
      for (std::uint32_t at = 0; at < count; ++at) ++into.total(cells[at]);
      for (std::size_t key = 0; key < numbers.size(); ++key) {
        if (numbers[key].size() == 0) continue;
        NumberCells& sums = into.numbers(key);
        for (std::uint32_t at = 0; at < count; ++at) sums.add(cells[at], numbers[key][at]);
      }
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

  void count_seen() {
    for (std::size_t interval = 0; interval < seen_.size(); ++interval) {
      std::vector<std::uint64_t>& seen = seen_[interval];
      std::sort(seen.begin(), seen.end());
      seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
      for (const std::uint64_t key : seen) ++partial_.cells[interval].unique(static_cast<std::uint32_t>(key >> 16));
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
};

}  // namespace

void scan_trend(const TrendPlan& plan, const QueryContext& context, Task& task, Scratch& scratch,
                TrendPartial& partial) {
  if (plan.reads_rows()) {
    RowScan(plan, context, task, scratch, partial).run();
  } else {
    ProfileScan(plan, context, task, scratch, partial).run();
  }
}

}  // namespace cdp
