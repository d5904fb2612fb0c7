// A test on the latest value of a trait, operations timed after the query's now left out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "query/condition.hpp"
#include "query/scan.hpp"

namespace cdp {

struct Truth;

struct TraitClause {
  std::optional<KeyId> key;  // empty: no profile has the trait
  BoundTest test;

  TraitClause(const PredicateSpec& spec, const Version& version, const Moment& at);
  [[nodiscard]] bool resolved() const noexcept { return key.has_value() && test.resolved(); }
  // Candidates whose trait passes. Cost ~2 ns a candidate, ~5 where they are few; ~50 while the store holds later operations.
  void evaluate_task(const Task& task, std::int64_t now_ms, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const;
  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const;
};

}  // namespace cdp
