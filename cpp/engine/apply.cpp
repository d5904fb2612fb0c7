// The apply thread: groups in log order → state → one published version → watch → outcomes. The same code replays the log.
#include "engine/impl.hpp"
#include "engine/store_rules.hpp"

namespace cdp {
namespace {

// Then apply seals by itself, or waits for the seal at hand: of so many rows that the pause is of tens of milliseconds.
// While rows are loaded in bulk half as many again as are worth a seal.
constexpr std::size_t kTailRowsMost = 16 * std::size_t{limits::kTailRows};

constexpr std::size_t kBatchesAtOnce = 16;

std::uint64_t tail_rows(const Version& version) {
  std::uint64_t rows = 0;
  for (const auto& batch : version.tail) rows += batch->event.size();
  return rows;
}

// The premade error with what was thrown behind it, where there is memory to say so.
Error told(const Error& premade, const std::exception& thrown) noexcept {
  try {
    return Error(premade.family(), premade.code(), std::string(premade.what()) + " (" + thrown.what() + ")");
  } catch (const std::exception&) {
    return premade;
  }
}

Ack ack_of(const AppliedBatch& applied, Pending& pending) {
  Ack ack{applied.sequence, applied.accepted, applied.duplicates, std::move(pending.rejects)};
  for (const auto& reject : applied.rejects) {
    const std::uint32_t index = pending.record_index.empty() ? reject.record : pending.record_index[reject.record];
    ack.rejects.push_back({index, reject.code, reject.path, reject.value, reject.expected});
  }
  std::ranges::sort(ack.rejects, {}, &OwnedReject::index);
  return ack;
}

}  // namespace

Outcome Engine::Impl::apply_batch(Pending& pending, std::vector<Origin>& touched) {
  const auto& record = std::get<BatchRecord>(pending.record);
  if (record.producer) {
    const AppliedBatch* stored = nullptr;
    switch (producers.look_up(*record.producer, &stored)) {
      case Producers::Seen::kResent: return {ack_of(*stored, pending), std::nullopt};
      case Producers::Seen::kStale:
        return {{},
                Error(Family::kConflict, code::kProducerStale,
                      "this producer already sent a higher epoch, or too many batches since this number")};
      case Producers::Seen::kNew: break;
    }
  }
  tick_ms = std::max(tick_ms, record.batch->received_ms);
  ApplyResult result = applier->apply(record.batch, watches.empty() ? nullptr : &touched);
  AppliedBatch applied{result.last_sequence, result.accepted, result.duplicates, {}};
  for (const auto& reject : result.rejects) {
    applied.rejects.push_back({reject.record, std::string(reject.code), reject.path, reject.value, reject.expected});
  }
  if (result.tail && !result.tail->event.empty()) {
    event_count += result.tail->event.size();
    fresh_tail.push_back(std::move(result.tail));
  }
  Ack ack = ack_of(applied, pending);
  if (record.producer) producers.remember(*record.producer, std::move(applied));
  return {std::move(ack), std::nullopt};
}

Outcome Engine::Impl::apply_one(Pending& pending, std::vector<Origin>& touched) {
  if (std::holds_alternative<BatchRecord>(pending.record)) return apply_batch(pending, touched);
  if (const auto* tick = std::get_if<TickRecord>(&pending.record)) {
    tick_ms = std::max(tick_ms, tick->now_ms);
  }
  return {Ack{applier->last_sequence(), 0, 0, {}}, std::nullopt};
}

// A definition that changes what the store keeps or takes. True when what is there already changed with it.
bool Engine::Impl::take_rule(const DefineRecord& define) {
  if (define.kind == kBlockedKind) applier->block(define.name, !define.body.empty());
  if (define.kind != kRetentionKind) return false;
  retention = Retention::replace(retention.get(), parse_retention(define.body), tick_ms);
  return true;
}

void Engine::Impl::publish_applied() {
  const std::lock_guard lock(publish_mutex);
  const VersionPtr before = current.load();
  auto next = std::make_shared<Version>(*before);
  applier->fill(*next);
  next->tick_ms = tick_ms;
  next->event_count = event_count;
  next->retention = retention;
  for (auto& batch : fresh_tail) next->tail.push_back(std::move(batch));
  fresh_tail.clear();
  current.store(std::move(next));
}

void Engine::Impl::publish_segments() {
  const std::lock_guard lock(publish_mutex);
  auto next = std::make_shared<Version>(*current.load());
  next->segments = watches.segments();
  current.store(std::move(next));
}

// A group is applied in runs: its batches up to the next definition or tick are published as one version, then watched; so a
// definition sees just what came before it. Groups are in the log, so replay cuts the same runs.
void Engine::Impl::apply_group(Group& group) {
  const std::lock_guard applying(apply_mutex);
  const auto began = StageTimes::Clock::now();
  StageTimes::Clock::duration watched{0};
  std::vector<Origin> touched;
  const auto watching = [&](auto&& work) {
    const std::lock_guard lock(watch_mutex);
    watches_torn = true;
    work();
    watches_torn = false;
  };
  const auto settle_run = [&] {
    publish_applied();
    if (!watches.empty()) {
      const auto watch_began = StageTimes::Clock::now();
      bool bound_anew = false;
      watching([&] {
        watches.retest(*current.load(), touched, tick_ms);
        bound_anew = watches.take_bound_anew();
      });
      if (bound_anew) publish_segments();
      watched += StageTimes::Clock::now() - watch_began;
    }
    touched.clear();
  };
  state_torn = true;
  for (Pending& pending : group) {
    Outcome outcome = apply_one(pending, touched);
    if (const auto* define = std::get_if<DefineRecord>(&pending.record)) {
      tick_ms = std::max(tick_ms, define->now_ms);
      settle_run();
      if (take_rule(*define)) {
        publish_applied();
        watching([&] { watches.retest_all(*current.load(), tick_ms); });
      }
      bool has_changed = false;
      watching([&] { has_changed = watches.define(*define, current.load(), tick_ms, pool.get()); });
      if (has_changed) publish_segments();
    } else if (std::holds_alternative<TickRecord>(pending.record)) {
      settle_run();
      watching([&] { watches.settle(*current.load(), tick_ms); });
    }
    if (!pending.outcome.empty()) pending.outcome.mapped() = std::move(outcome);
  }
  settle_run();
  state_torn = false;
  stages.add(Stage::kWatch, watched);
  stages.add(Stage::kApply, StageTimes::Clock::now() - began - watched);
}

void Engine::Impl::refuse(Group& group, const Error& error) noexcept {
  for (Pending& pending : group) {
    if (pending.outcome.empty()) continue;
    Outcome& outcome = pending.outcome.mapped();
    outcome.ack = {};
    try {
      outcome.error = error;
    } catch (const std::exception&) {
      outcome.error = no_memory;
    }
  }
}

// Whatever apply throws leaves its state between two batches: nothing is built on that. The log has the whole group, so
// opening the store again finishes it.
void Engine::Impl::settle(Work& work) noexcept {
  if (!work.refused && state_torn) work.refused = why_failed();
  if (!work.refused) {
    try {
      apply_group(work.group);
      return;
    } catch (const std::exception& exception) {
      work.refused = told(apply_failed, exception);
      poison(*work.refused);
    }
  }
  refuse(work.group, *work.refused);
}

// The next group, or groups where each batch came as one of its own. False when all is drained.
bool Engine::Impl::take_work(std::list<Work>& work) {
  {
    std::unique_lock lock(queue_mutex);
    queue_changed.wait(lock, [&] { return !decided.empty() || (stopping && (!is_durable || sync_done)); });
    if (decided.empty()) return false;
    work.splice(work.end(), decided, decided.begin());
    Group& group = work.front().group;
    // Without a log every batch comes as a group of its own: what queued meanwhile is published at once.
    while (!is_durable && !decided.empty() && group.size() < kBatchesAtOnce) {
      group.splice(group.end(), decided.front().group);
      decided.pop_front();
    }
  }
  queue_changed.notify_all();
  return true;
}

void Engine::Impl::apply_loop() {
  for (std::list<Work> work; take_work(work); work.clear()) {
    settle(work.front());
    const VersionPtr version = current.load();
    const std::size_t rows = tail_rows(*version), worth_it = seal_rows();
    if (options.background && (version->tail.size() >= limits::kTailBatches || rows >= worth_it)) {
      order_wanted.notify_all();
      if (rows >= std::max(kTailRowsMost, worth_it + worth_it / 2)) try_seal(1);
    }
    if (sleepers.load() != 0) order_wanted.notify_all();
    complete(work.front().group);
  }
}

}  // namespace cdp
