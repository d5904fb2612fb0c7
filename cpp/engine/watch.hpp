// Live segments: watched predicates, who is in, when time alone may change that, and the transitions so far. Part of the
// state machine: every decision follows from the log alone, so replay gives the same cursors.
//
// Law: after every tick is settled the live set equals a fresh query at that tick's time; after every group it holds for
// each profile that the group touched. Not thread-safe: the engine holds watch_mutex.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "engine/log_record.hpp"
#include "query/predicate.hpp"
#include "query/segments.hpp"
#include "store/version.hpp"

namespace cdp {

class Pool;

// Throws BadQuery or InvalidRequest when a definition could not be applied: asked before it is logged. `segments`: those it
// may name; a cycle, a segment that names itself through others, is refused.
void check_definition(std::string_view kind, std::string_view name, std::string_view body,
                      const NamedSegments* segments);

class WatchSet {
 public:
  static constexpr std::size_t kTransitionsKept = 1'000'000;  // the ring; behind it a cursor is refused

  [[nodiscard]] bool empty() const noexcept { return watches_.empty(); }
  // The definitions, references written out, and their tests, for the versions behind this moment.
  [[nodiscard]] std::shared_ptr<const NamedSegments> segments() const;
  // Kind "watch": body = predicate; present members are marked without transitions. Other kinds are kept as they are.
  // An empty body removes. True when `segments` has changed.
  bool define(const DefineRecord& record, const VersionPtr& version, std::int64_t tick_ms, Pool* pool);
  // Tests the profiles of these origins at engine time `tick_ms`.
  void retest(const Version& version, std::span<const Origin> touched, std::int64_t tick_ms);
  // Tests every profile: what the store keeps changed.
  void retest_all(const Version& version, std::int64_t tick_ms);
  // Tests every profile whose answer time alone may have changed by `tick_ms`.
  void settle(const Version& version, std::int64_t tick_ms);

  // Whether predicates were bound anew since this was last asked: then `segments` has changed.
  [[nodiscard]] bool take_bound_anew() noexcept { return std::exchange(bound_anew_, false); }

  // Transitions after `cursor`. Throws Conflict(cursor.expired) when some of them are gone.
  [[nodiscard]] std::vector<Transition> transitions(std::uint64_t after_cursor, std::size_t limit) const;
  [[nodiscard]] std::vector<Definition> definitions() const;
  [[nodiscard]] std::vector<std::uint64_t> members(std::string_view name) const;
  [[nodiscard]] std::uint64_t last_cursor() const noexcept { return last_cursor_; }

 private:
  struct Watch {
    std::shared_ptr<const PredicateSpec> spec;                 // references written out
    std::vector<std::string> references;                       // as it was defined
    std::shared_ptr<const Predicate> predicate;                // bound to the dictionaries as they were
    std::set<std::uint32_t> members;                           // homes
    std::unordered_map<std::uint32_t, std::int64_t> deadline;  // home → when time alone may change it
    std::set<std::pair<std::int64_t, std::uint32_t>> due;      // the same, by time
  };
  [[nodiscard]] Watch make_watch(std::shared_ptr<const PredicateSpec> spec, const Version& version) const;
  void bind_again(Watch& watch, const Version& version);
  static void set_deadline(Watch& watch, std::uint32_t home, std::int64_t valid_until_ms);
  static void mark_present(Watch& watch, const VersionPtr& version, std::int64_t now_ms, Pool& pool);
  void test(std::string_view name, Watch& watch, const Version& version, Origin home, std::int64_t now_ms, Cause cause);
  void retire(std::string_view name, Watch& watch, const Version& version, Origin origin, std::int64_t now_ms);
  void emit(std::string_view name, const Version& version, std::uint32_t home, bool entered, std::int64_t now_ms,
            Cause cause);

  std::map<std::string, Watch, std::less<>> watches_;
  std::map<std::pair<std::string, std::string>, std::string> definitions_;  // (kind, name) → body
  std::deque<Transition> ring_;
  std::uint64_t last_cursor_ = 0;
  bool bound_anew_ = false;
};

}  // namespace cdp
