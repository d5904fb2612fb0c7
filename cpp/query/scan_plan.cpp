#include "query/scan_plan.hpp"

#include <algorithm>

namespace cdp {
namespace {

bool is_prefix(const std::vector<std::shared_ptr<const TailBatch>>& part,
               const std::vector<std::shared_ptr<const TailBatch>>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

void seal_tail(const Version& version, const ScanPlan* before, ScanPlan& plan) {
  if (version.tail.empty()) return;
  if (before != nullptr && is_prefix(before->tail, version.tail) && before->pieces.size() < kSealedPiecesMax) {
    plan.tail = before->tail;
    plan.pieces = before->pieces;
  }
  const std::span fresh = std::span(version.tail).subspan(plan.tail.size());
  if (fresh.empty()) return;
  plan.pieces.push_back(
      std::make_shared<const std::vector<SealedLayer>>(seal(fresh, version.placement, *version.links)));
  plan.tail = version.tail;
}

// Layers of one shard in (partition, log order): the stored ones, then those of the tail.
std::vector<const Layer*> layers_of(const Version& version, const ScanPlan& plan, std::uint32_t shard) {
  std::vector<const Layer*> out;
  for (const auto& layer : version.shards[shard].layers) out.push_back(layer.get());
  for (const auto& piece : plan.pieces) {
    for (const SealedLayer& sealed : *piece) {
      if (sealed.shard == shard) out.push_back(sealed.layer.get());
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const Layer* a, const Layer* b) { return a->partition < b->partition; });
  return out;
}

std::uint32_t stripe_count(const Version& version, std::uint32_t shard) {
  const std::uint32_t shards = version.placement.shard_count;
  if (version.origin_count <= shard) return 0;
  const std::uint32_t ids = (version.origin_count - shard + shards - 1) / shards;
  return (ids + limits::kStripeIds - 1) / limits::kStripeIds;
}

// Rows of a layer built at sequence h can be misplaced for origins linked or unlinked since.
void mark_slow(const Version& version, ScanPlan& plan) {
  plan.slow.resize(version.placement.shard_count);
  std::uint64_t oldest = version.links->last_change();
  for (std::uint32_t shard = 0; shard < version.placement.shard_count; ++shard) {
    for (const Layer* layer : layers_of(version, plan, shard)) oldest = std::min(oldest, layer->homed_sequence);
  }
  if (oldest == version.links->last_change()) return;
  for (const Origin origin : version.links->changed_since(oldest)) {
    const std::uint32_t shard = version.placement.shard(origin), id = version.placement.local_id(origin);
    std::vector<std::uint64_t>& words = plan.slow[shard];
    if (words.empty()) words.resize(std::size_t{stripe_count(version, shard)} * limits::kStripeIds / 64);
    if (id / 64 < words.size()) words[id / 64] |= std::uint64_t{1} << (id % 64);
  }
}

void build_tasks(const Version& version, ScanPlan& plan) {
  for (std::uint32_t shard = 0; shard < version.placement.shard_count; ++shard) {
    const std::size_t first_task = plan.tasks.size();
    const std::uint32_t stripes = stripe_count(version, shard);
    constexpr std::size_t kWords = limits::kStripeIds / 64;
    for (std::uint32_t stripe = 0; stripe < stripes; ++stripe) {
      Task& task = plan.tasks.emplace_back();
      task.version = &version;
      task.shard = shard;
      task.first_id = stripe * limits::kStripeIds;
      task.last_id = task.first_id + limits::kStripeIds;
      if (plan.slow[shard].empty()) continue;
      const std::span words = std::span<const std::uint64_t>(plan.slow[shard]).subspan(stripe * kWords, kWords);
      if (std::any_of(words.begin(), words.end(), [](std::uint64_t word) { return word != 0; })) task.slow = words;
    }
    for (const Layer* layer : layers_of(version, plan, shard)) {
      for (const auto& chunk : layer->chunks) {
        if (chunk->row_count == 0) continue;
        const std::uint32_t first = chunk->first_id / limits::kStripeIds;
        const std::uint32_t last = std::min((chunk->last_id + limits::kStripeIds - 1) / limits::kStripeIds, stripes);
        for (std::uint32_t stripe = first; stripe < last; ++stripe)
          plan.tasks[first_task + stripe].chunks.push_back(chunk.get());
      }
    }
  }
}

}  // namespace

std::shared_ptr<const ScanPlan> scan_plan(const Version& version) {
  if (std::shared_ptr<const ScanPlan> made = version.scan_plan.get()) return made;
  const auto making = version.scan_plan.making();
  if (std::shared_ptr<const ScanPlan> made = version.scan_plan.get()) return made;
  auto plan = std::make_shared<ScanPlan>();
  seal_tail(version, version.scan_plan.newest().get(), *plan);
  mark_slow(version, *plan);
  build_tasks(version, *plan);
  version.scan_plan.set(plan);
  return plan;
}

std::vector<Origin> slow_homes(const Task& task) {
  std::vector<Origin> out;
  for (std::size_t word = 0; word < task.slow.size(); ++word) {
    for (std::uint64_t bits = task.slow[word]; bits != 0; bits &= bits - 1) {
      const Origin origin =
          task.origin(static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits)));
      if (task.version->links->home(origin) == origin) out.push_back(origin);
    }
  }
  return out;
}

}  // namespace cdp
