// What the engine's files share. One struct, four rooms in it: queue (submit → sync → apply), state (apply only), version
// (published), outcomes (taken by wait and poll). Each room has its own lock; no thread holds two at once
// (but for that of `current`, a leaf).
//
// What our own threads do when something throws: sync refuses the group, or poisons when the log is in doubt; apply
// poisons; sealing, merging and reserving leave everything as it was and try again. Poisoned: every later write raises,
// the last published version stays readable. So that a refusal can always be told, places for outcomes are made at
// submit, and what travels between the threads travels by splicing lists: that takes no memory.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/pool.hpp"
#include "codec/event_record.hpp"
#include "engine/durable_log.hpp"
#include "engine/engine.hpp"
#include "engine/producers.hpp"
#include "engine/watch.hpp"
#include "query/query.hpp"
#include "store/apply.hpp"
#include "store/version.hpp"

namespace cdp {

using Outcomes = std::map<Ticket, Outcome>;

// One submission on its way: decoded, waiting for its group.
struct Pending {
  Ticket ticket = 0;
  LogRecord record;
  std::vector<std::byte> payload;           // empty in a store without a log
  std::vector<OwnedReject> rejects;         // of decode
  std::vector<std::uint32_t> record_index;  // canonical ordinal → index as sent; empty = the same
  Outcomes::node_type outcome;              // empty when nobody will take it
};
using Group = std::list<Pending>;

// A group on its way to apply; with `refused` nothing of it is applied.
struct Work {
  Group group;
  std::optional<Error> refused;
};

// The published version. Not std::atomic<std::shared_ptr>: that of libstdc++ lets go of its lock bit with a relaxed store
// after a load, so on a weakly ordered machine a reader may pair one version's pointer with another's count.
class Published {
 public:
  [[nodiscard]] VersionPtr load() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }
  void store(VersionPtr next) {
    {
      const std::lock_guard lock(mutex_);
      version_.swap(next);
    }  // the one before ends behind the lock: its last holder frees whole layers
  }

 private:
  mutable std::mutex mutex_;
  VersionPtr version_;
};

struct Engine::Impl {
  explicit Impl(const OpenOptions& open_options);

  const OpenOptions options;
  const bool is_durable;
  std::uint64_t hash_key = 0;
  std::shared_ptr<DurableLog> log;  // null in memory, and once closed; others than our own threads take `log_in_use`
  std::unique_ptr<Pool> pool;
  StageTimes stages;
  std::atomic<bool> queries_stopped{false};

  // --- queue
  std::mutex queue_mutex;
  std::condition_variable queue_changed;
  Group queue;  // decoded, not yet durable
  std::size_t queued_bytes = 0;
  std::list<Work> decided;  // durable or refused, not yet applied; in order of tickets
  Ticket next_ticket = 1;
  bool stopping = false;  // no more submits; threads drain and end
  bool sync_done = false;
  std::optional<Error> failed;                      // poisoned: every later write raises this
  const Error apply_failed, log_failed, no_memory;  // made ahead: for when there is no memory to say more

  // --- state: the apply thread's alone (the opening thread's during recovery); apply_mutex is held for a group, and by
  // those who read the state whole (digest)
  std::mutex apply_mutex;
  std::unique_ptr<Applier> applier;
  Producers producers;
  WatchSet watches;
  std::int64_t tick_ms = 0;
  std::uint64_t event_count = 0;
  std::shared_ptr<const Retention> retention;
  std::vector<std::shared_ptr<const TailBatch>> fresh_tail;  // of the group being applied
  bool state_torn = false;  // a group was left half applied: state behind the published version is not to be read

  // --- version
  Published current;
  std::mutex publish_mutex;
  std::condition_variable order_wanted;  // on publish_mutex: the tail is long, or layers changed
  bool order_stopping = false;
  std::atomic<int> sleepers{0};  // threads that wait so long that they are to be woken by a new version
  std::mutex order_mutex;        // held while sealing, and while merging: seal_now and compact wait their turn
  std::mutex merge_mutex;
  std::atomic<std::chrono::steady_clock::rep> loading_until{0};  // rows come in bulk: seals are of many
  std::atomic<std::uint64_t> failed_seals{0};
  std::atomic<std::uint64_t> failed_merges{0};

  // --- outcomes
  std::mutex outcome_mutex;
  std::condition_variable outcome_ready;
  Outcomes outcomes;
  Ticket applied_through = 0;  // every ticket up to this has an outcome
  int event_fd = -1;
  bool polled = false;  // outcomes go to poll

  // --- definitions and transitions, read by anyone
  mutable std::mutex watch_mutex;
  bool watches_torn = false;  // a decision broke off: they do not belong to the published version

  std::vector<std::jthread> threads;

  // engine.cpp
  void start(const char* name, void (Impl::*loop)());
  [[nodiscard]] std::shared_ptr<DurableLog> log_in_use();
  void check_watches() const;  // REQUIRES: watch_mutex held
  // submit.cpp
  DecodeOptions decode_options(const Submission& submission);
  Ticket enqueue_decoded(DecodeResult decoded, const Submission& submission);
  Ticket enqueue(Pending pending, bool wanted);
  void complete(Group& group) noexcept;
  void check_open();
  void wait_applied();
  // sync.cpp
  void sync_loop();
  bool sync_once(bool& marked);
  bool take_group(Group& group, bool marked);
  std::optional<Error> make_durable(const Group& group) noexcept;
  void mark() noexcept;
  Error log_failure(const std::exception& exception) const noexcept;
  std::optional<Error> why_failed() noexcept;
  void poison(const Error& error) noexcept;
  // apply.cpp
  void apply_loop();
  bool take_work(std::list<Work>& work);
  void settle(Work& work) noexcept;
  void refuse(Group& group, const Error& error) noexcept;
  void apply_group(Group& group);
  Outcome apply_one(Pending& pending, std::vector<Origin>& touched);
  Outcome apply_batch(Pending& pending, std::vector<Origin>& touched);
  bool take_rule(const DefineRecord& define);
  void publish_applied();
  void publish_segments();
  // order.cpp
  void seal_loop();
  void merge_loop();
  void wait_for_work(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds wait);
  void reserve_loop();
  enum class Tried { kDone, kNothing, kFailed };
  template <class Step>
  static Tried attempt(std::atomic<std::uint64_t>& failures, Step&& step) noexcept;
  Tried try_seal(std::size_t minimum_rows) noexcept;
  void rest_after_failure(std::chrono::milliseconds& rest);
  bool seal_once(std::size_t minimum_rows, Pool* helpers = nullptr);
  void note_load(bool goes_on);
  [[nodiscard]] bool is_loading() const noexcept;
  [[nodiscard]] std::size_t seal_rows() const noexcept;
  bool merge_once(bool drain_split, bool look_for_split);
  void publish_layers(std::vector<SealedLayer> layers, std::size_t sealed_batches);
  // recovery.cpp
  void recover();
};

}  // namespace cdp
