// A predicate over profiles, bound to a version once. Two evaluations of the same form:
//  - all profiles at once (`evaluate_task`): per task, accumulators per profile filled from slices;
//  - one profile (`evaluate`), with the instant until which time alone cannot change the answer.
// Clauses live in clauses/; what and, or, not do with them is in predicate.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "query/condition.hpp"
#include "query/profile_mask.hpp"
#include "query/scan.hpp"
#include "query/spec.hpp"

namespace cdp {

class RowClause;    // clauses/row_clause.hpp
class ProfileRows;  // query/profile_rows.hpp

struct Truth {
  bool value = false;
  std::int64_t valid_until_ms = INT64_MAX;  // first instant at which the value may differ: may be early, never late
};

class Predicate {
 public:
  // `at`: of the question. A live segment has none: it gives an instant with each evaluation of a profile, and its zone is UTC.
  Predicate(const PredicateSpec& spec, const Version& version, const Moment& at = {});
  Predicate(Predicate&&) noexcept;
  Predicate& operator=(Predicate&&) noexcept;
  ~Predicate();

  // Profiles of the task for which it holds at `now_ms`, of those in `candidates`; both in words of the task.
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const;
  // One profile: its rows in event order, of at least the names in names() (future rows included), and its traits.
  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::span<const Row> rows,
                               std::int64_t now_ms) const;
  // The value alone, for a profile whose rows several predicates look at.
  [[nodiscard]] bool holds(const Version& version, Origin home, const ProfileRows& rows, std::int64_t now_ms) const;
  // Event names whose rows matter, ascending; `any_name` when a clause asks for any event.
  [[nodiscard]] const std::vector<NameId>& names() const noexcept;
  [[nodiscard]] bool any_name() const noexcept;
  [[nodiscard]] bool reads_rows() const noexcept;  // some clause is about events
  // Traits it reads: for the index of watched predicates.
  [[nodiscard]] const std::vector<KeyId>& traits() const noexcept;
  // False when it names an event, key or string that the store had not seen: bind again when dictionaries grow.
  [[nodiscard]] bool resolved() const noexcept;
  // Of a predicate that is one clause on rows, or none of it (`not`): that clause; else null.
  [[nodiscard]] const RowClause* row_clause() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The truth for one profile, rows gathered: a point query. ~1 us a layer.
[[nodiscard]] Truth evaluate_profile(const Version& version, const Predicate& predicate, Origin home,
                                     std::int64_t now_ms);

}  // namespace cdp
