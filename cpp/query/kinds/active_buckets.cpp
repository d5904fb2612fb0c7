#include "query/kinds/active_buckets.hpp"

#include <algorithm>

#include "query/kinds/event_rows.hpp"
#include "simd/primitives.hpp"

namespace cdp {
namespace {

constexpr std::uint32_t kSpineShare = 2;     // the spine is read where a selector takes one row in so many
constexpr std::uint32_t kRegisterBits = 64;  // buckets of a partition that a profile gathers at once

}  // namespace

class ActiveBuckets::Fill {
 public:
  Fill(ActiveBuckets& active, const TaskBuckets& buckets, const BoundSelector& selector, const Task& task,
       const ProfileFilter& filter, Scratch& scratch, Count count)
      : active_(active),
        buckets_(buckets),
        selector_(selector),
        task_(task),
        filter_(filter),
        scratch_(scratch),
        primitives_(simd::primitives()),
        counts_rows_(count == Count::kRows),
        everybody_(filter.everybody()) {}

  void run() {
    for (const Chunk* each : task_.chunks) {
      if (!buckets_.covers(each->partition)) continue;
      ChunkView chunk(*each, task_, scratch_);
      const BucketPlan* const plan = buckets_.single();
      const PartitionBuckets* const buckets = plan != nullptr ? &plan->of(each->partition) : nullptr;
      if (buckets != nullptr && !buckets->touched(each->time_min, each->time_max)) continue;
      buckets != nullptr&& goes_by_spine(*each, *buckets) ? from_spine(chunk, *buckets) : from_slices(chunk);
    }
    if (everybody_) return;
    for (std::uint32_t profile = 0; profile < task_.size(); ++profile) {
      if (!filter_.has(profile)) std::fill_n(active_.bits_.data() + profile * words(), words(), 0);
    }
  }

 private:
  [[nodiscard]] std::size_t words() const noexcept { return active_.words_; }

  [[nodiscard]] bool goes_by_spine(const Chunk& chunk, const PartitionBuckets& buckets) const {
    if (!selector_.where.empty() || !buckets.by_bytes) return false;
    std::uint64_t rows = 0;
    for (const Slice& slice : chunk.slices) rows += selector_.selects(slice.name) ? slice.row_count : 0;
    return rows >= chunk.row_count / kSpineShare;
  }

  void from_slices(ChunkView& chunk) {
    for_each_event(chunk, selector_, scratch_, [&](const EventRows& rows) {
      buckets_.each(rows, chunk.chunk().partition, [&](std::uint32_t i, std::uint32_t bucket) {
        const std::uint32_t profile = rows.profile(i);
        add(profile, bucket);
        if (counts_rows_) active_.rows_[bucket] += everybody_ || filter_.has(profile) ? 1 : 0;
      });
    });
  }

  void from_spine(ChunkView& chunk, const PartitionBuckets& buckets) {
    const SpineView spine = chunk.spine();
    const std::uint32_t count = spine.size();
    const bool whole =
        std::ranges::all_of(chunk.chunk().slices, [&](const Slice& slice) { return selector_.selects(slice.name); });
    const auto firsts = scratch_.lease<std::uint8_t>(count + simd::kSlack);
    if (whole && spine.profile_start != nullptr && !counts_rows_) {
      const std::uint32_t found =
          primitives_.first_of_times(spine.time.data(), spine.profile_start, count, buckets.rule, firsts.data());
      return gather(buckets, firsts.data(), found, spine.id_offset,
                    [&](std::uint32_t, std::uint32_t start) { return spine.start_profile[start]; });
    }
    const auto bytes = scratch_.lease<std::uint8_t>(count + simd::kSlack);
    primitives_.time_to_bucket(spine.time.data(), count, buckets.rule, bytes.data());
    if (!whole) hide(chunk, spine, bytes.data());
    if (counts_rows_) count_rows(buckets, spine, bytes.data());
    const auto profiles = scratch_.lease<std::uint16_t>(count + simd::kSlack);
    const std::uint32_t found =
        primitives_.first_of_group(bytes.data(), spine.profile, count, firsts.data(), profiles.data());
    gather(buckets, firsts.data(), found, spine.id_offset,
           [&](std::uint32_t at, std::uint32_t) { return profiles[at]; });
  }

  // Rows of other names go outside.
  void hide(ChunkView& chunk, const SpineView& spine, std::uint8_t* bytes) {
    for (const Slice& slice : chunk.chunk().slices) {
      if (selector_.selects(slice.name)) continue;
      const auto view = chunk.slice(slice);
      for (std::uint32_t row = 0; view && row < view->row_count; ++row)
        bytes[slice.posting(view->first_row + row) - spine.first_row] = simd::kOutsideBucket;
    }
  }

  void count_rows(const PartitionBuckets& buckets, const SpineView& spine, const std::uint8_t* bytes) {
    std::uint64_t counts[128] = {};
    if (everybody_) {
      primitives_.count_bytes(bytes, spine.size(), buckets.bucket_count - 1, counts);
    } else {
      for (std::uint32_t row = 0; row < spine.size(); ++row)
        counts[bytes[row]] += filter_.has(spine.profile[row] + spine.id_offset);
    }
    for (std::uint32_t local = 0; local < buckets.bucket_count; ++local) {
      if (counts[local] != 0) active_.rows_[buckets.first_bucket + local] += counts[local];
    }
  }

  // The buckets of the firsts, each profile's one behind the other. profile_of(first, start): of the first, and of its start.
  template <class ProfileOf>
  void gather(const PartitionBuckets& buckets, const std::uint8_t* firsts, std::uint32_t count, std::uint32_t id_offset,
              ProfileOf&& profile_of) {
    if (buckets.bucket_count > kRegisterBits) {
      std::uint32_t start = kNone;  // of the first byte, which is one: 0
      for (std::uint32_t at = 0; at < count; ++at) {
        start += firsts[at] >> 7;
        const std::uint32_t local = firsts[at] & 127u;
        if (local != simd::kOutsideBucket) add(profile_of(at, start) + id_offset, buckets.first_bucket + local);
      }
      return;
    }
    std::uint64_t bit[128] = {};
    for (std::uint32_t local = 0; local < buckets.bucket_count; ++local) bit[local] = std::uint64_t{1} << local;
    const auto masks = scratch_.lease<std::uint64_t>(count + std::size_t{1});
    const auto profiles = scratch_.lease<std::uint16_t>(count + std::size_t{1});
    std::uint64_t mask = 0;
    std::uint32_t start = kNone;
    for (std::uint32_t at = 0; at < count; ++at) {
      const std::uint32_t starts = firsts[at] >> 7;
      start += starts;
      mask = (mask & (std::uint64_t{starts} - 1)) | bit[firsts[at] & 127u];
      masks[start] = mask;
      profiles[start] = profile_of(at, start);
    }
    const std::uint32_t profile_count = start + 1;
    // No row lies in the buckets laid to the front, whose numbers wrap.
    const auto first = static_cast<std::int32_t>(buckets.first_bucket);
    const std::uint32_t before = first < 0 ? static_cast<std::uint32_t>(-first) : 0;
    const std::uint32_t from = first < 0 ? 0 : buckets.first_bucket, shift = from & 63;
    const std::size_t word = from >> 6;
    const bool crosses = shift + buckets.bucket_count > 64 && word + 1 < words();
    for (std::uint32_t i = 0; i < profile_count; ++i) {
      std::uint64_t* const bits = active_.bits_.data() + (profiles[i] + std::size_t{id_offset}) * words() + word;
      const std::uint64_t found = before < 64 ? masks[i] >> before : 0;
      bits[0] |= found << shift;
      if (crosses) bits[1] |= found >> 1 >> (63 - shift);
    }
  }

  void add(std::uint32_t profile, std::uint32_t bucket) noexcept {
    active_.bits_[profile * words() + (bucket >> 6)] |= std::uint64_t{1} << (bucket & 63);
  }

  ActiveBuckets& active_;
  const TaskBuckets& buckets_;
  const BoundSelector& selector_;
  const Task& task_;
  const ProfileFilter& filter_;
  Scratch& scratch_;
  const simd::Primitives& primitives_;
  bool counts_rows_;
  bool everybody_;
};

ActiveBuckets::ActiveBuckets(const TaskBuckets& buckets, const BoundSelector& selector, const Task& task,
                             const ProfileFilter& filter, Scratch& scratch, Count count)
    : words_((buckets.size() + 63) / 64),
      bits_(scratch.zeroed<std::uint64_t>(std::size_t{task.size()} * words_)),
      rows_(count == Count::kRows ? buckets.size() : 0) {
  Fill(*this, buckets, selector, task, filter, scratch, count).run();
}

BucketCounts::BucketCounts(const TaskBuckets& buckets, const BoundSelector& selector, const Task& task,
                           Scratch& scratch)
    : buckets_(buckets.size()), counts_(scratch.zeroed<std::uint8_t>(std::size_t{task.size()} * buckets_)) {
  for (const Chunk* each : task.chunks) {
    if (!buckets.covers(each->partition)) continue;
    ChunkView chunk(*each, task, scratch);
    for_each_event(chunk, selector, scratch, [&](const EventRows& rows) {
      buckets.each(rows, each->partition, [&](std::uint32_t i, std::uint32_t bucket) {
        std::uint8_t& count = counts_[std::size_t{rows.profile(i)} * buckets_ + bucket];
        count += count < UINT8_MAX ? 1 : 0;
      });
    });
  }
}

}  // namespace cdp
