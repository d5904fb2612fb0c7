// A store: collect, log, apply, publish, watch, answer. Everything a binding may call; nothing here touches Python.
//
// Threads: `submit` decodes in the calling thread and queues; one sync thread makes groups durable; one apply thread applies
// them in log order and publishes a version a group; one order thread seals the tail and merges layers. A store without a
// path has no sync thread. Reads pin a version and run in the calling thread, helped by the pool.
//
// Order of things: durable, then applied, then published, then watched, then acknowledged.
//
// When something fails in a thread of ours (memory, disk) the process lives on. Sealing and merging leave things as they
// were and try again; a failed log or apply ends writing for good: every later write throws Unavailable (log_failed,
// store.apply_failed), the last published version stays readable, and opening the store again replays the log.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "codec/canonical_batch.hpp"
#include "engine/log_record.hpp"
#include "engine/stages.hpp"
#include "query/query.hpp"
#include "store/memory_part.hpp"
#include "store/schema.hpp"
#include "store/version.hpp"

namespace cdp {

class ArrowLoad;  // engine/load.hpp
class Export;     // query/export.hpp

struct OpenOptions {
  std::string path;  // empty: in memory, nothing survives
  std::uint32_t shard_count =
      0;  // 1, 4 or 16; 0: as the directory has it, 1 in a new one. Another than the directory's
          // is kept there from now on: every open builds the shards anew from the log
  std::uint32_t worker_count = 0;  // 0: one a core
  std::uint64_t hash_key = 0;      // of a store in memory; one with a path keeps its own
  std::int64_t now_ms = 0;         // of opening: when a new directory says it was made
  bool background = true;          // seal and merge by themselves; off in tests that place them
};

struct OwnedReject {
  std::uint32_t index = 0;
  std::string code, path, value, expected;
};

struct Ack {
  std::uint64_t sequence = 0;  // of the last record that entered the log
  std::uint64_t accepted = 0;
  std::uint64_t duplicates = 0;
  std::vector<OwnedReject> rejects;  // by index
};

// An ack, or why there is none.
struct Outcome {
  Ack ack;
  std::optional<Error> error;
};

struct Submission {
  std::span<const std::byte> bytes;  // a msgpack array of records
  std::int64_t received_ms = 0;
  std::optional<Producer> producer;
  std::string_view source_id;
  bool system = false;  // may name `Message …` and `Segment …`
  bool wanted = true;   // its outcome will be taken by wait or poll; else it is dropped
};

enum class Cause : std::uint8_t { kEvent, kTime, kMerge };  // kMerge: the profile became part of another
[[nodiscard]] std::string_view cause_name(Cause cause) noexcept;

struct Transition {
  std::uint64_t cursor = 0;  // 1, 2, 3 …; the same after every replay
  std::string name;          // of the watched predicate
  std::uint64_t profile_id = 0;
  bool entered = false;
  std::uint64_t sequence = 0;  // watermark that caused it
  std::int64_t time_ms = 0;    // engine time at which it was decided
  Cause cause = Cause::kEvent;
};

struct Definition {
  std::string kind, name, body;
};

using Ticket = std::uint64_t;

class Engine {
 public:
  [[nodiscard]] static std::unique_ptr<Engine> open(const OpenOptions& options);
  ~Engine();     // as close(), and silent
  void close();  // drains, writes a mark; every later call throws store.closed

  // Decodes and queues; throws when the batch cannot be read, waits while over kQueuedBytes are queued.
  Ticket submit(const Submission& submission);
  // The next rows of a load as one batch (`bytes` of the submission is not looked at); nothing at its end. Throws as the load
  // does; rows taken before stay taken.
  struct LoadTicket {
    Ticket ticket = 0;
    std::uint64_t first_row = 0;
    std::uint32_t row_count = 0;
  };
  [[nodiscard]] std::optional<LoadTicket> submit_rows(ArrowLoad& load, const Submission& submission);
  Ticket submit_define(std::int64_t now_ms, std::string_view kind, std::string_view name, std::string_view body);
  Ticket submit_tick(std::int64_t now_ms);
  // Waits for one ticket and takes its outcome.
  Outcome wait(Ticket ticket);
  // Takes all outcomes that are ready, oldest first.
  [[nodiscard]] std::vector<std::pair<Ticket, Outcome>> poll();
  // Outcomes go to `poll` and this descriptor becomes readable (an eventfd). Call before the first submit.
  [[nodiscard]] int event_fd();
  void flush();  // all submitted so far is applied; throws when it cannot be (log_failed, store.apply_failed)

  [[nodiscard]] VersionPtr pin() const;
  [[nodiscard]] Table query(std::span<const std::uint8_t> spec, const QueryOptions& options) const;
  // Rows of this moment's version, for readers in Arrow's layout. REQUIRES: the engine outlives it and its readers.
  [[nodiscard]] std::shared_ptr<const Export> bind_export(std::span<const std::uint8_t> spec,
                                                          std::int64_t now_ms) const;
  void cancel_queries() noexcept;           // those that run and all that come end with query.cancelled: before closing
  [[nodiscard]] SchemaView schema() const;  // what has come in; waits for the group being applied
  [[nodiscard]] std::vector<Transition> transitions(std::uint64_t after_cursor, std::size_t limit) const;
  [[nodiscard]] std::vector<Definition> definitions() const;
  [[nodiscard]] std::vector<std::uint64_t> members(std::string_view watch_name) const;  // of a live segment, ascending

  void seal_now();                           // the tail becomes layers
  void compact();                            // seals, then merges until nothing is worth it and nothing is split
  [[nodiscard]] std::string digest() const;  // SHA-256 hex, by value
  [[nodiscard]] std::vector<MemoryPart> memory() const;
  [[nodiscard]] std::vector<StageTime> stages() const;  // since it was opened
  void verify() const;  // reads the whole log again, checks every chunk; throws Corruption
  void add_zone(std::string_view name, std::span<const std::pair<std::int64_t, std::int64_t>> transitions,
                std::string_view table);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cdp
