// Runs a query on a pinned version: parse, bind, `where` and scan task by task on the pool, merge, finish.
//
// Threads: any; a version is immutable. Overhead of a call apart from its tasks: ~10 us.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "query/table.hpp"
#include "store/version.hpp"

namespace cdp {

class Budget;
class Kind;
class Pool;
class Predicate;
struct QueryContext;

struct QueryOptions {
  std::int64_t now_ms = 0;                  // unless the spec gives its own
  unsigned threads = 0;                     // most to use; 0: the calling thread and all helpers of the pool
  Pool* pool = nullptr;                     // null: everything runs in the calling thread
  std::int64_t deadline_ns = INT64_MAX;     // on the steady clock
  bool force_rows = false;                  // every profile through its rows: the plain meaning, slow; for tests
  const std::atomic<bool>* stop = nullptr;  // true: ends as cancelled
  Budget* budget = nullptr;                 // null: one of its own, with the deadline and stop above
};

// Throws Error: BadQuery, LimitExceeded (memory), Timeout (deadline, cancel).
[[nodiscard]] Table run_query(const VersionPtr& version, std::span<const std::uint8_t> spec,
                              const QueryOptions& options);
[[nodiscard]] Table run_query(const VersionPtr& version, std::span<const std::byte> spec, const QueryOptions& options);

// One kind that is bound already, over all profiles of `where` (null: everybody). REQUIRES: a budget in the context.
[[nodiscard]] Table run_kind(const Kind& kind, const Predicate* where, const QueryContext& context,
                             const QueryOptions& options);

}  // namespace cdp
