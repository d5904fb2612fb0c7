#include "query/kinds/active_buckets.hpp"

#include "query/kinds/event_rows.hpp"

namespace cdp {

ActiveBuckets::ActiveBuckets(const BucketPlan& plan, const BoundSelector& selector, const Task& task,
                             const ProfileFilter& filter, Scratch& scratch)
    : words_((plan.size() + 63) / 64),
      bits_(scratch.zeroed<std::uint64_t>(std::size_t{task.size()} * words_)),
      rows_(plan.size()) {
  const bool everybody = filter.everybody();
  for (const Chunk* each : task.chunks) {
    if (!plan.covers(each->partition)) continue;
    ChunkView chunk(*each, task, scratch);
    const PartitionBuckets& buckets = plan.of(each->partition);
    for_each_event(chunk, selector, scratch, [&](const EventRows& rows) {
      for (std::uint32_t i = 0; i < rows.count(); ++i) {
        const std::uint16_t local = buckets.by_slot ? buckets.slot_bucket[rows.slot(i)] : buckets.bucket(rows.time(i));
        if (local == PartitionBuckets::kOutside) continue;
        const std::uint32_t profile = rows.profile(i);
        if (!everybody && !filter.has(profile)) continue;
        const std::uint32_t bucket = buckets.first_bucket + local;
        bits_[std::size_t{profile} * words_ + (bucket >> 6)] |= std::uint64_t{1} << (bucket & 63);
        ++rows_[bucket];
      }
    });
  }
}

}  // namespace cdp
