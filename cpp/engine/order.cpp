// Keeping order behind ingest: one thread seals the tail, one merges layers. Both work on a pinned version and publish what
// they made; neither ever blocks apply for longer than the copy of a version.
#include <algorithm>
#include <chrono>

#include "engine/impl.hpp"

namespace cdp {
namespace {

constexpr std::chrono::milliseconds kLookAgain{50};
// A store in which nothing happens is looked at ever more seldom, and soon hardly at all: a thousand of them must not keep a
// core awake (at one look a second of three threads they took a third of one). What is published wakes who sleeps that long.
constexpr std::chrono::milliseconds kLookAgainMost{1'000};
constexpr std::chrono::milliseconds kSleep = std::chrono::seconds(60);
constexpr std::chrono::milliseconds kRestMost = std::chrono::seconds(10);
// Under a stream faster than kTailRows in kSealPause, seals are of more rows, and so each row is merged less often.
constexpr auto kSealPause = std::chrono::milliseconds(30);
// Rows that links misplaced are slow, not wrong, and searching for them costs: so only this often.
constexpr auto kSplitPause = std::chrono::milliseconds(500);
// While rows are loaded in bulk: fewer and larger layers, so that rows are merged less often.
constexpr std::size_t kLoadRows = 512 << 10;
// Between two slices; after it the load is over, or waits for its source.
constexpr std::chrono::milliseconds kLoadPauseMost{250};
constexpr std::uint64_t kTailRowsAtOnce = 4 * std::uint64_t{limits::kTailRows};

bool before(const std::shared_ptr<const Layer>& left, const std::shared_ptr<const Layer>& right) {
  return std::pair(left->partition, left->first_order) < std::pair(right->partition, right->first_order);
}

void insert_sorted(ShardLayers& shard, std::shared_ptr<const Layer> layer) {
  const auto at = std::ranges::upper_bound(shard.layers, layer, before);
  shard.layers.insert(at, std::move(layer));
}

// How long to wait before the next look.
class Patience {
 public:
  std::chrono::milliseconds next(const VersionPtr& seen) noexcept {
    wait_ = seen.get() != seen_ ? kLookAgain : wait_ < kLookAgainMost ? 2 * wait_ : kSleep;
    seen_ = seen.get();
    return wait_;
  }

 private:
  const Version* seen_ =
      nullptr;  // compared, never followed: at worst a new version at an old one's place waits once more
  std::chrono::milliseconds wait_ = kLookAgain;
};

std::uint64_t tail_rows(const Version& version) {
  std::uint64_t rows = 0;
  for (const auto& batch : version.tail) rows += batch->event.size();
  return rows;
}

}  // namespace

void Engine::Impl::publish_layers(std::vector<SealedLayer> layers, std::size_t sealed_batches) {
  const std::lock_guard lock(publish_mutex);
  auto next = std::make_shared<Version>(*current.load());
  next->tail.erase(next->tail.begin(), next->tail.begin() + static_cast<std::ptrdiff_t>(sealed_batches));
  for (SealedLayer& sealed : layers) insert_sorted(next->shards[sealed.shard], std::move(sealed.layer));
  current.store(std::move(next));
}

void Engine::Impl::note_load(bool goes_on) {
  const auto until =
      goes_on ? std::chrono::steady_clock::now() + kLoadPauseMost : std::chrono::steady_clock::time_point{};
  loading_until.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  if (!goes_on) order_wanted.notify_all();
}

bool Engine::Impl::is_loading() const noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  return now < loading_until.load(std::memory_order_relaxed);
}

// Rows of the tail that are worth a seal.
std::size_t Engine::Impl::seal_rows() const noexcept { return is_loading() ? kLoadRows : limits::kTailRows; }

// Seals all of the tail when it has at least `minimum_rows` rows or many batches. Only one thread seals at a time, so the
// tail's front is still what it was when the result is published.
bool Engine::Impl::seal_once(std::size_t minimum_rows, Pool* helpers) {
  const std::lock_guard turn(order_mutex);
  const VersionPtr version = current.load();
  const std::uint64_t rows = tail_rows(*version);
  if (version->tail.empty() || (rows < minimum_rows && version->tail.size() < limits::kTailBatches)) return false;
  publish_layers(seal(version->tail, version->placement, *version->links, helpers), version->tail.size());
  return true;
}

bool Engine::Impl::merge_once(bool drain_split, bool look_for_split) {
  const std::lock_guard turn(merge_mutex);
  const VersionPtr version = current.load();
  const std::vector<Tier> tiers = choose_merge(*version, drain_split, look_for_split, !drain_split && is_loading());
  if (tiers.empty()) return false;
  const std::optional<Horizon> horizon = horizon_of(*version, version->tick_ms);
  Tier merged = merge_tiers(tiers, version->placement, *version->links, horizon ? &*horizon : nullptr);
  const std::lock_guard lock(publish_mutex);
  auto next = std::make_shared<Version>(*current.load());
  for (std::size_t shard = 0; shard < next->shards.size(); ++shard) {
    std::erase_if(next->shards[shard].layers, [&](const auto& layer) {
      return std::ranges::any_of(tiers, [&](const Tier& tier) { return tier.shards[shard] == layer; });
    });
    if (merged.shards[shard]) insert_sorted(next->shards[shard], std::move(merged.shards[shard]));
  }
  current.store(std::move(next));
  return true;
}

// A step of a thread of our own: what throws leaves everything as it was, is counted, and is tried again.
template <class Step>
Engine::Impl::Tried Engine::Impl::attempt(std::atomic<std::uint64_t>& failures, Step&& step) noexcept {
  try {
    return step() ? Tried::kDone : Tried::kNothing;
  } catch (const std::exception&) {
    failures.fetch_add(1);
    return Tried::kFailed;
  }
}

// Questions have the pool to themselves, but a load has everyone at work: apply waits for the seal sooner or later.
Engine::Impl::Tried Engine::Impl::try_seal(std::size_t minimum_rows) noexcept {
  return attempt(failed_seals, [&] { return seal_once(minimum_rows, is_loading() ? pool.get() : nullptr); });
}

// Longer each time: what fails again and again must not keep a core busy.
void Engine::Impl::rest_after_failure(std::chrono::milliseconds& rest) {
  rest = std::clamp(2 * rest, kLookAgain, kRestMost);
  std::unique_lock lock(publish_mutex);
  order_wanted.wait_for(lock, rest, [&] { return order_stopping; });
}

// REQUIRES: `lock` holds publish_mutex, and the wait was chosen by the version that is current: so whoever publishes the next
// one sees that somebody sleeps.
void Engine::Impl::wait_for_work(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds wait) {
  const bool is_sleep = wait >= kSleep;
  if (is_sleep) sleepers.fetch_add(1);
  order_wanted.wait_for(lock, wait);
  if (is_sleep) sleepers.fetch_sub(1);
}

void Engine::Impl::seal_loop() {
  auto sealed = std::chrono::steady_clock::now() - kSealPause;
  std::chrono::milliseconds rest{0};
  Patience patience;
  while (true) {
    {
      std::unique_lock lock(publish_mutex);
      if (order_stopping) return;
      const VersionPtr version = current.load();
      const std::uint64_t rows = tail_rows(*version);
      if (rows < seal_rows() && version->tail.size() < limits::kTailBatches) {
        wait_for_work(lock, patience.next(version));
        if (order_stopping) return;
      } else if (const auto now = std::chrono::steady_clock::now();
                 rows < kTailRowsAtOnce && now < sealed + kSealPause) {
        order_wanted.wait_for(lock, sealed + kSealPause - now);
        continue;
      }
    }
    const Tried tried = try_seal(seal_rows());
    if (tried == Tried::kFailed) rest_after_failure(rest);
    if (tried != Tried::kDone) continue;
    rest = {};
    sealed = std::chrono::steady_clock::now();
    order_wanted.notify_all();
  }
}

void Engine::Impl::merge_loop() {
  std::chrono::milliseconds rest{0};
  auto looked = std::chrono::steady_clock::now() - kSplitPause;
  Patience patience;
  while (true) {
    {
      std::unique_lock lock(publish_mutex);
      if (order_stopping) return;
    }
    const auto now = std::chrono::steady_clock::now();
    const bool look_for_split = now >= looked + kSplitPause;
    if (look_for_split) looked = now;
    const Tried tried = attempt(failed_merges, [&] { return merge_once(false, look_for_split); });
    if (tried == Tried::kFailed) {
      rest_after_failure(rest);
      continue;
    }
    rest = {};
    if (tried == Tried::kDone) continue;
    std::unique_lock lock(publish_mutex);
    if (!order_stopping) wait_for_work(lock, patience.next(current.load()));
  }
}

// A full disk is not the end: appends are refused while there is no space, and it is asked for again.
void Engine::Impl::reserve_loop() {
  Patience patience;
  while (true) {
    try {
      while (log->reserve_step()) {
      }
    } catch (const std::exception&) {  // told to whoever needs the space: append asks for it too
    }
    std::unique_lock lock(publish_mutex);
    if (order_stopping) return;
    wait_for_work(lock, patience.next(current.load()));
    if (order_stopping) return;
  }
}

void Engine::seal_now() { impl_->seal_once(1, impl_->pool.get()); }

void Engine::compact() {
  impl_->seal_once(1);
  while (impl_->merge_once(true, true)) {
  }
}

}  // namespace cdp
