#include "engine/engine.hpp"

#include <unistd.h>

#include <algorithm>

#include "column/chunk_check.hpp"
#include "engine/impl.hpp"
#include "engine/state_digest.hpp"
#include "query/calendar.hpp"

namespace cdp {
namespace {

std::shared_ptr<Version> empty_version(const OpenOptions& options) {
  auto version = std::make_shared<Version>();
  version->placement.shard_count = options.shard_count;
  version->shards.resize(options.shard_count);
  return version;
}

}  // namespace

Engine::Impl::Impl(const OpenOptions& open_options) : options(open_options) {
  if (options.shard_count != 1) {
    throw Error(Family::kInvalidRequest, code::kQueryUnsupported, "shards must be 1 in this version", "shards");
  }
  if (!options.path.empty()) log = DurableLog::open(options.path, options.now_ms);
  hash_key = log ? log->hash_key() : options.hash_key;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  pool = std::make_unique<Pool>((options.worker_count == 0 ? cores : options.worker_count) - 1);
  applier = std::make_unique<Applier>(hash_key);
  auto version = empty_version(options);
  applier->fill(*version);
  current.store(std::move(version));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

std::unique_ptr<Engine> Engine::open(const OpenOptions& options) {
  auto engine = std::unique_ptr<Engine>(new Engine(std::make_unique<Impl>(options)));
  Impl& impl = *engine->impl_;
  if (impl.options.background) {
    impl.threads.emplace_back([&impl] { impl.seal_loop(); });
    impl.threads.emplace_back([&impl] { impl.merge_loop(); });
  }
  if (impl.log) {
    impl.recover();
    impl.threads.emplace_back([&impl] { impl.reserve_loop(); });
    impl.threads.emplace_back([&impl] { impl.sync_loop(); });
  }
  impl.threads.emplace_back([&impl] { impl.apply_loop(); });
  return engine;
}

void Engine::close() {
  {
    const std::lock_guard lock(impl_->queue_mutex);
    if (impl_->stopping) return;
    impl_->stopping = true;
  }
  impl_->queue_changed.notify_all();
  {
    const std::lock_guard lock(impl_->publish_mutex);
    impl_->order_stopping = true;
  }
  impl_->order_wanted.notify_all();
  impl_->threads.clear();  // joins: the queue drains first
  if (impl_->log && !impl_->failed) impl_->log->close();
  impl_->log.reset();  // gives back the lock of the directory
  const std::lock_guard lock(impl_->outcome_mutex);
  if (impl_->event_fd >= 0) ::close(impl_->event_fd);
  impl_->event_fd = -1;
}

Engine::~Engine() { close(); }

VersionPtr Engine::pin() const { return impl_->current.load(); }

Table Engine::query(std::span<const std::uint8_t> spec, const QueryOptions& options) const {
  QueryOptions with_pool = options;
  with_pool.pool = impl_->pool.get();
  return run_query(pin(), spec, with_pool);
}

std::vector<Transition> Engine::transitions(std::uint64_t after_cursor, std::size_t limit) const {
  const std::lock_guard lock(impl_->watch_mutex);
  return impl_->watches.transitions(after_cursor, limit);
}

std::vector<Definition> Engine::definitions() const {
  const std::lock_guard lock(impl_->watch_mutex);
  return impl_->watches.definitions();
}

std::vector<StageTime> Engine::stages() const {
  const auto times = impl_->stages.read();
  return {times.begin(), times.end()};
}

std::string Engine::digest() const {
  impl_->wait_applied();
  const std::lock_guard applying(impl_->apply_mutex);
  const std::lock_guard lock(impl_->watch_mutex);
  return state_digest(*pin(), *impl_->applier, impl_->watches);
}

void Engine::verify() const {
  if (impl_->log) impl_->log->verify();
  const VersionPtr version = pin();
  for (const ShardLayers& shard : version->shards) {
    for (const auto& layer : shard.layers) {
      for (const auto& chunk : layer->chunks) {
        if (const std::string fault = check(*chunk); !fault.empty()) {
          throw Error(Family::kCorruption, code::kInternal, "a chunk in memory is damaged: " + fault);
        }
      }
    }
  }
}

void Engine::add_zone(std::string_view name, std::span<const std::pair<std::int64_t, std::int64_t>> transitions) {
  std::vector<ZoneTransition> table;
  for (const auto& [utc_ms, offset_ms] : transitions) table.push_back({utc_ms, offset_ms});
  zones().add(Zone(std::string(name), std::move(table)));
}

std::vector<std::uint64_t> Engine::members(std::string_view watch_name) const {
  const std::lock_guard lock(impl_->watch_mutex);
  return impl_->watches.members(watch_name);
}

}  // namespace cdp
