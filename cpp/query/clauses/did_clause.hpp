// did: how often, and with what values, a profile did an event within a window.
//
// Over a task (did_scan.cpp): one array of counts per profile, integer sums in a second one, both filled from slices; other
// measures gather (profile, value) pairs and group them. For one profile: the rows one by one, and the instant at which
// time alone can change the answer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/clauses/measure.hpp"
#include "query/condition.hpp"
#include "query/scan.hpp"

namespace cdp {

struct Truth;
class ProfileRows;

struct DidClause {
  BoundSelector selector;
  RangeSpec window;
  std::vector<BoundMeasure> measures;  // all must hold
  bool zero_holds = false;             // a profile without any row passes

  DidClause(const PredicateSpec& spec, const Version& version, const Moment& at);
  [[nodiscard]] bool resolved() const noexcept;

  // Truth per profile of the task, for those in `candidates`; slow profiles get nonsense. Words of a stripe.
  void evaluate_task(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const;
  // Rows of one profile in event order, of any names, future ones included.
  [[nodiscard]] Truth evaluate(std::span<const Row> rows, std::int64_t now_ms) const;
  // The value alone; from times where only names and times count.
  [[nodiscard]] bool holds(const ProfileRows& rows, std::int64_t now_ms) const;
};

}  // namespace cdp
