// Bytes by part. Rows: what the layers' vectors hold (capacity, not size). Cost: a walk over all chunks, ~1 ms a thousand.
#include "engine/impl.hpp"
#include "store/event_store.hpp"

namespace cdp {
namespace {

std::uint64_t batch_bytes(const TailBatch& tail) {
  const CanonicalBatch& batch = *tail.batch;
  const EventColumns& events = batch.events;
  return sizeof(CanonicalBatch) + batch.strings.bytes().capacity() + batch.strings.ends().capacity() * 4 +
         batch.identities.capacity() * sizeof(BatchIdentity) + events.time_ms.capacity() * 8 +
         (events.shape.capacity() + events.first_value.capacity() + events.first_identity.capacity() +
          events.identity_refs.capacity()) *
             4 +
         events.event_id.capacity() * sizeof(EventKey) + events.values.capacity() * 8 + tail.event.capacity() * 4 +
         tail.origin.capacity() * 4 + tail.string_id.capacity() * 4;
}

}  // namespace

std::vector<MemoryPart> Engine::memory() const {
  const VersionPtr version = pin();
  MemoryPart rows{"rows", 0, 0};
  MemoryPart chunks{"chunks", 0, 0};
  MemoryPart layers{"layers", 0, 0};
  for (const ShardLayers& shard : version->shards) {
    for (const auto& layer : shard.layers) {
      ++layers.count;
      layers.size_bytes += sizeof(Layer) + layer->chunks.capacity() * sizeof(layer->chunks.front());
      rows.count += layer->row_count;
      for (const auto& chunk : layer->chunks) {
        ++chunks.count;
        rows.size_bytes += chunk->size_bytes();
      }
    }
  }
  MemoryPart tail{"tail", 0, 0};
  for (const auto& batch : version->tail) {
    tail.count += batch->event.size();
    tail.size_bytes += batch_bytes(*batch);
  }
  std::vector<MemoryPart> parts{rows, chunks, layers, tail, {"split", 0, count_split(*version)}};
  {
    const std::lock_guard applying(impl_->apply_mutex);
    impl_->applier->memory(parts);
  }
  if (const auto log = impl_->log_in_use()) parts.push_back({"log_files", log->size_bytes(), 0});
  if (const std::uint64_t count = impl_->failed_seals.load()) parts.push_back({"failed_seals", 0, count});
  if (const std::uint64_t count = impl_->failed_merges.load()) parts.push_back({"failed_merges", 0, count});
  return parts;
}

}  // namespace cdp
