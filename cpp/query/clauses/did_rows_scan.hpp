// did_rows.hpp over a task: what it finds, by scans of slices and, where one event ends another, a walk; then its measures.
// ~5 ns a row found and measure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "query/clauses/local_times.hpp"
#include "query/clauses/measure.hpp"
#include "query/clauses/row_measure.hpp"
#include "query/clauses/window.hpp"

namespace cdp {

enum class FirstEver : std::uint8_t { kNo, kEvent, kMatching };

// A bound clause, by its parts.
struct DidRowsParts {
  const BoundTimed& events;
  const BoundWindow& window;
  std::span<const BoundMeasure> measures;
  std::span<const RowMeasure> row_measures;
  FirstEver first_ever = FirstEver::kNo;
  const BoundTimed* ended_by = nullptr;  // not_followed_by
  std::int64_t within_ms = 0;
  bool is_keyed = false;
  std::optional<KeyId> by{};
};

// As RowClause::scan. `bound_ms`: the instant that the clause was bound at; `truth_of_none`: of a profile of which nothing is
// found. False, and nothing done, where rows must be read one by one.
bool scan_did_rows(const DidRowsParts& did, std::int64_t bound_ms, bool truth_of_none, const Task& task,
                   std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                   std::span<std::uint64_t> out, std::span<std::uint64_t> left);

}  // namespace cdp
