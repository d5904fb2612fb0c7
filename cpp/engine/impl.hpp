// What the engine's files share. One struct, four rooms in it: queue (submit → sync → apply), state (apply only), version
// (published), outcomes (taken by wait and poll). Each room has its own lock; no thread holds two at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/pool.hpp"
#include "engine/durable_log.hpp"
#include "engine/engine.hpp"
#include "engine/producers.hpp"
#include "engine/watch.hpp"
#include "query/query.hpp"
#include "store/apply.hpp"
#include "store/version.hpp"

namespace cdp {

// One submission on its way: decoded, waiting for its group.
struct Pending {
  Ticket ticket = 0;
  LogRecord record;
  std::vector<std::byte> payload;           // empty in a store without a log
  std::vector<OwnedReject> rejects;         // of decode
  std::vector<std::uint32_t> record_index;  // canonical ordinal → index as sent; empty = the same
  bool wanted = true;                       // somebody will take the outcome
};
using Group = std::vector<Pending>;

struct Engine::Impl {
  explicit Impl(const OpenOptions& open_options);

  const OpenOptions options;
  std::uint64_t hash_key = 0;
  std::unique_ptr<DurableLog> log;  // null in memory
  std::unique_ptr<Pool> pool;
  StageTimes stages;

  // --- queue
  std::mutex queue_mutex;
  std::condition_variable queue_changed;
  std::deque<Pending> queue;  // decoded, not yet durable
  std::size_t queued_bytes = 0;
  std::deque<Group> durable;  // durable, not yet applied
  Ticket next_ticket = 1;
  bool stopping = false;  // no more submits; threads drain and end
  bool sync_done = false;
  std::optional<Error> failed;  // poisoned: every later write raises this

  // --- state: the apply thread's alone (the opening thread's during recovery); apply_mutex is held for a group, and by
  // those who read the state whole (digest)
  std::mutex apply_mutex;
  std::unique_ptr<Applier> applier;
  Producers producers;
  WatchSet watches;
  std::int64_t tick_ms = 0;
  std::uint64_t event_count = 0;
  std::vector<std::shared_ptr<const TailBatch>> fresh_tail;  // of the group being applied

  // --- version
  std::atomic<std::shared_ptr<const Version>> current;
  std::mutex publish_mutex;
  std::condition_variable order_wanted;  // on publish_mutex: the tail is long, or layers changed
  bool order_stopping = false;
  std::mutex order_mutex;  // held while sealing, and while merging: seal_now and compact wait their turn
  std::mutex merge_mutex;

  // --- outcomes
  std::mutex outcome_mutex;
  std::condition_variable outcome_ready;
  std::unordered_map<Ticket, Outcome> outcomes;
  std::deque<Ticket> ready;    // in order, for poll
  Ticket applied_through = 0;  // every ticket up to this has an outcome
  int event_fd = -1;
  bool polled = false;  // outcomes go to poll

  // --- definitions and transitions, read by anyone
  mutable std::mutex watch_mutex;

  std::vector<std::jthread> threads;

  // submit.cpp
  Ticket enqueue(Pending pending);
  struct Done {
    Ticket ticket = 0;
    bool wanted = true;
    Outcome outcome;
  };
  void complete(std::vector<Done> done);
  void check_open();
  void wait_applied();
  // sync.cpp
  void sync_loop();
  static std::vector<Done> all_failed(const Group& group, const Error& error);
  // apply.cpp
  void apply_loop();
  void apply_group(Group& group, std::vector<Done>* done);
  Outcome apply_one(Pending& pending, std::vector<Origin>& touched);
  Outcome apply_batch(Pending& pending, std::vector<Origin>& touched);
  void publish_applied();
  // order.cpp
  void seal_loop();
  void merge_loop();
  void reserve_loop();
  bool seal_once(std::size_t minimum_rows);
  bool merge_once(bool drain_split);
  void publish_layers(std::vector<SealedLayer> layers, std::size_t sealed_batches);
  // recovery.cpp
  void recover();
};

}  // namespace cdp
