// The sync thread: takes what queued while the last sync ran, makes it durable as one group, hands it to apply.
#include <chrono>

#include "engine/impl.hpp"

namespace cdp {
namespace {

constexpr auto kIdleBeforeMark = std::chrono::seconds(1);
constexpr auto kNoMemoryPause = std::chrono::milliseconds(50);

std::vector<std::span<const std::byte>> payloads_of(const Group& group) {
  std::vector<std::span<const std::byte>> out;
  out.reserve(group.size());
  for (const Pending& pending : group) out.emplace_back(pending.payload);
  return out;
}

}  // namespace

std::optional<Error> Engine::Impl::why_failed() noexcept {
  const std::lock_guard lock(queue_mutex);
  try {
    return failed;
  } catch (const std::exception&) {
    return no_memory;
  }
}

void Engine::Impl::poison(const Error& error) noexcept {
  {
    const std::lock_guard lock(queue_mutex);
    try {
      if (!failed) failed = error;
    } catch (const std::exception&) {
      failed = log_failed;
    }
  }
  queue_changed.notify_all();
}

// What queued while the last group was synced, or nothing when it is time to look again. False when all is drained.
bool Engine::Impl::take_group(Group& group, bool marked) {
  std::unique_lock lock(queue_mutex);
  const auto wanted = [&] { return stopping || !queue.empty(); };
  if (marked) {
    queue_changed.wait(lock, wanted);
  } else {
    queue_changed.wait_for(lock, kIdleBeforeMark, wanted);
  }
  std::size_t taken = 0;
  while (!queue.empty() && (group.empty() || taken + queue.front().payload.size() <= limits::kGroupBytes)) {
    taken += queue.front().payload.size();
    group.splice(group.end(), queue, queue.begin());
  }
  queued_bytes -= taken;
  if (!group.empty() || !stopping) return true;
  sync_done = true;
  return false;
}

Error Engine::Impl::log_failure(const std::exception& exception) const noexcept {
  try {
    if (const auto* error = dynamic_cast<const Error*>(&exception)) return *error;
    return Error(Family::kUnavailable, code::kLogFailed, std::string("the log failed: ") + exception.what());
  } catch (const std::exception&) {
    return log_failed;
  }
}

// Why it is not on the medium, if so. A group that found no space, or no memory to begin with, is refused and later ones
// may fit; anything else leaves the log in doubt and poisons the store.
std::optional<Error> Engine::Impl::make_durable(const Group& group) noexcept {
  if (std::optional<Error> why = why_failed()) return why;
  std::vector<std::span<const std::byte>> payloads;
  try {
    payloads = payloads_of(group);
  } catch (const std::exception&) {
    return no_memory;
  }
  try {
    const auto began = StageTimes::Clock::now();
    log->append(payloads);
    stages.add(Stage::kLog, StageTimes::Clock::now() - began);
    return std::nullopt;
  } catch (const std::exception& exception) {
    Error error = log_failure(exception);
    if (error.code() != code::kLogSpace && error.code() != code::kBatchTooLarge) poison(error);
    return error;
  }
}

void Engine::Impl::mark() noexcept {
  if (why_failed()) return;
  try {
    log->mark();
  } catch (const std::exception& exception) {
    poison(log_failure(exception));
  }
}

bool Engine::Impl::sync_once(bool& marked) {
  std::list<Work> work(1);  // before anything is taken: what is taken must arrive
  Group& group = work.front().group;
  if (!take_group(group, marked)) return false;
  queue_changed.notify_all();
  if (group.empty()) {
    mark();
    marked = true;
    return true;
  }
  work.front().refused = make_durable(group);
  marked = marked && work.front().refused;
  {
    const std::lock_guard lock(queue_mutex);
    decided.splice(decided.end(), work);
  }
  queue_changed.notify_all();
  return true;
}

void Engine::Impl::sync_loop() {
  bool marked = true;
  for (bool more = true; more;) {
    try {
      more = sync_once(marked);
    } catch (const std::bad_alloc&) {  // nothing was taken yet
      std::this_thread::sleep_for(kNoMemoryPause);
    }
  }
  queue_changed.notify_all();
}

}  // namespace cdp
