// A test on the latest value of a trait.
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

  TraitClause(const PredicateSpec& spec, const Version& version);
  [[nodiscard]] bool resolved() const noexcept { return key.has_value() && test.resolved(); }
  // Candidates whose trait passes. Cost ~2 ns a candidate, ~5 where they are few.
  void evaluate_task(const Task& task, Scratch& scratch, std::span<const std::uint64_t> candidates,
                     std::span<std::uint64_t> out) const;
  [[nodiscard]] bool evaluate(const Version& version, Origin home) const;
};

}  // namespace cdp
