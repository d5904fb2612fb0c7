#include "engine/engine.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>

#include "column/chunk_check.hpp"
#include "engine/impl.hpp"
#include "engine/state_digest.hpp"
#include "query/calendar.hpp"
#include "query/export.hpp"

namespace cdp {
namespace {

std::shared_ptr<Version> empty_version(std::uint32_t shard_count) {
  auto version = std::make_shared<Version>();
  version->placement.shard_count = shard_count;
  version->shards.resize(shard_count);
  return version;
}

bool is_shard_count(std::uint32_t count) { return count == 1 || count == 4 || count == 16; }

}  // namespace

Engine::Impl::Impl(const OpenOptions& open_options)
    : options(open_options),
      is_durable(!open_options.path.empty()),
      apply_failed(Family::kUnavailable, code::kApplyFailed,
                   "applying failed: nothing more is taken, reads go on as of before; what the log has is applied when "
                   "the store is opened again"),
      log_failed(Family::kUnavailable, code::kLogFailed,
                 "the log failed: nothing is written until the store is opened again"),
      no_memory(Family::kUnavailable, code::kNoMemory, "there was no memory to take it: try again") {
  if (options.shard_count != 0 && !is_shard_count(options.shard_count)) {
    throw Error(Family::kInvalidRequest, code::kShards, "a store has 1, 4 or 16 shards", "shards");
  }
  if (!options.path.empty()) log = DurableLog::open(options.path, options.now_ms);
  hash_key = log ? log->hash_key() : options.hash_key;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  pool = std::make_unique<Pool>((options.worker_count == 0 ? cores : options.worker_count) - 1);
  applier = std::make_unique<Applier>(hash_key);
  std::uint32_t shard_count = std::max(options.shard_count, 1u);
  if (log) {
    if (options.shard_count == 0) shard_count = log->shard_count();
    if (!is_shard_count(shard_count)) {
      throw Error(Family::kConflict, code::kShards,
                  "this store was made with " + std::to_string(shard_count) +
                      " shards, which this version cannot have: open it with 1, 4 or 16",
                  "shards");
    }
    if (shard_count != log->shard_count()) log->keep_shard_count(shard_count);
  }
  auto version = empty_version(shard_count);
  applier->fill(*version);
  current.store(std::move(version));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

std::unique_ptr<Engine> Engine::open(const OpenOptions& options) {
  auto engine = std::unique_ptr<Engine>(new Engine(std::make_unique<Impl>(options)));
  Impl& impl = *engine->impl_;
  if (impl.options.background) {
    impl.start("cdp-seal", &Impl::seal_loop);
    impl.start("cdp-merge", &Impl::merge_loop);
  }
  if (impl.is_durable) {
    impl.recover();
    impl.start("cdp-reserve", &Impl::reserve_loop);
    impl.start("cdp-sync", &Impl::sync_loop);
  }
  impl.start("cdp-apply", &Impl::apply_loop);
  return engine;
}

void Engine::Impl::start(const char* name, void (Impl::*loop)()) {
  threads.emplace_back([this, name, loop] {
    pthread_setname_np(pthread_self(), name);
    (this->*loop)();
  });
}

std::shared_ptr<DurableLog> Engine::Impl::log_in_use() {
  const std::lock_guard lock(queue_mutex);
  return log;
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
  {
    const std::lock_guard lock(impl_->outcome_mutex);
    if (impl_->event_fd >= 0) ::close(impl_->event_fd);
    impl_->event_fd = -1;
  }
  std::shared_ptr<DurableLog> log;
  {
    const std::lock_guard lock(impl_->queue_mutex);
    log.swap(impl_->log);  // its end gives back the lock of the directory
  }
  if (log && !impl_->why_failed()) log->close();
}

Engine::~Engine() {
  try {
    close();
  } catch (const std::exception&) {  // a mark that could not be written: all that was accepted is durable without it
  }
}

VersionPtr Engine::pin() const { return impl_->current.load(); }

Table Engine::query(std::span<const std::uint8_t> spec, const QueryOptions& options) const {
  QueryOptions with_pool = options;
  with_pool.pool = impl_->pool.get();
  with_pool.stop = &impl_->queries_stopped;
  return run_query(pin(), spec, with_pool);
}

std::shared_ptr<const Export> Engine::bind_export(std::span<const std::uint8_t> spec, std::int64_t now_ms) const {
  return Export::bind(pin(), spec, {now_ms, impl_->pool.get(), &impl_->queries_stopped});
}

void Engine::Impl::check_watches() const {
  if (watches_torn) throw apply_failed;
}

std::vector<Transition> Engine::transitions(std::uint64_t after_cursor, std::size_t limit) const {
  const std::lock_guard lock(impl_->watch_mutex);
  impl_->check_watches();
  return impl_->watches.transitions(after_cursor, limit);
}

SchemaView Engine::schema() const {
  const std::lock_guard applying(impl_->apply_mutex);
  if (impl_->state_torn) throw impl_->apply_failed;
  return impl_->applier->schema();
}

void Engine::cancel_queries() noexcept { impl_->queries_stopped.store(true); }

std::vector<Definition> Engine::definitions() const {
  const std::lock_guard lock(impl_->watch_mutex);
  impl_->check_watches();
  return impl_->watches.definitions();
}

std::vector<StageTime> Engine::stages() const {
  const auto times = impl_->stages.read();
  return {times.begin(), times.end()};
}

std::string Engine::digest() const {
  impl_->wait_applied();
  const std::lock_guard applying(impl_->apply_mutex);
  if (impl_->state_torn) throw impl_->apply_failed;
  const std::lock_guard lock(impl_->watch_mutex);
  return state_digest(*pin(), *impl_->applier, impl_->watches);
}

void Engine::verify() const {
  if (const auto log = impl_->log_in_use()) log->verify();
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

void Engine::add_zone(std::string_view name, std::span<const std::pair<std::int64_t, std::int64_t>> transitions,
                      std::string_view table) {
  std::vector<ZoneTransition> changes;
  for (const auto& [utc_ms, offset_ms] : transitions) changes.push_back({utc_ms, offset_ms});
  zones().add(Zone(std::string(name), std::move(changes), std::string(table)));
}

std::vector<std::uint64_t> Engine::members(std::string_view watch_name) const {
  const std::lock_guard lock(impl_->watch_mutex);
  impl_->check_watches();
  return impl_->watches.members(watch_name);
}

}  // namespace cdp
