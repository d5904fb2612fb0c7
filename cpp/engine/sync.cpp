// The sync thread: takes what queued while the last sync ran, makes it durable as one group, hands it to apply.
#include <chrono>

#include "engine/impl.hpp"

namespace cdp {
namespace {

constexpr auto kIdleBeforeMark = std::chrono::seconds(1);

std::vector<std::span<const std::byte>> payloads_of(const Group& group) {
  std::vector<std::span<const std::byte>> out;
  out.reserve(group.size());
  for (const Pending& pending : group) out.emplace_back(pending.payload);
  return out;
}

}  // namespace

std::vector<Engine::Impl::Done> Engine::Impl::all_failed(const Group& group, const Error& error) {
  std::vector<Done> out;
  for (const Pending& pending : group) out.push_back({pending.ticket, pending.wanted, Outcome{{}, error}});
  return out;
}

void Engine::Impl::sync_loop() {
  bool marked = true;
  while (true) {
    Group group;
    {
      std::unique_lock lock(queue_mutex);
      const auto wanted = [&] { return stopping || !queue.empty(); };
      if (!queue_changed.wait_for(lock, kIdleBeforeMark, wanted) && !marked) {
        lock.unlock();
        log->mark();
        marked = true;
        continue;
      }
      if (queue.empty()) {
        if (!stopping) continue;
        sync_done = true;
        break;
      }
      std::size_t taken = 0;
      while (!queue.empty() && (group.empty() || taken + queue.front().payload.size() <= limits::kGroupBytes)) {
        taken += queue.front().payload.size();
        group.push_back(std::move(queue.front()));
        queue.pop_front();
      }
      queued_bytes -= taken;
    }
    queue_changed.notify_all();
    try {
      const auto began = StageTimes::Clock::now();
      log->append(payloads_of(group));
      stages.add(Stage::kLog, StageTimes::Clock::now() - began);
      marked = false;
    } catch (const Error& error) {
      // Out of reserved space refuses this group and lets later ones try; a failed sync poisons the store.
      if (error.code() != code::kLogSpace) {
        const std::lock_guard lock(queue_mutex);
        failed = error;
      }
      complete(all_failed(group, error));
      continue;
    }
    {
      const std::lock_guard lock(queue_mutex);
      durable.push_back(std::move(group));
    }
    queue_changed.notify_all();
  }
  queue_changed.notify_all();
}

}  // namespace cdp
