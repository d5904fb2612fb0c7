// Which questions a live segment may ask the cells of: those whose answer for one profile follows from its rows, changes at
// instants that can be told, never ends with an error, and costs no more than a pass over the rows and a search an entry.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "query/condition_tree.hpp"
#include "query/spec.hpp"
#include "query/value_test.hpp"

namespace cdp {

// Of what all of them have in common; empty when nothing is against it.
[[nodiscard]] inline std::string_view needs_question(const CommonSpec& common, const std::optional<Unit>& unit) {
  if (!common.breakdown.empty()) return "a cell of a live segment has no breakdown: give the events conditions";
  const bool moves = common.range.type != RangeSpec::Type::kAbsolute || common.range.start_ms == INT64_MIN;
  if (unit && unit->type == Unit::Type::kDays && moves)
    return "steps of days begin where the range does: a live segment needs one that has a start";
  return {};
}

[[nodiscard]] inline std::string_view needs_question(const Selector& selector) {
  if (any_leaf(selector.where, [](const Condition& each) { return each.test.operand != nullptr; }))
    return "a cell of a live segment compares its events with constants alone";
  const auto is_timed = [](const Condition& each) {
    return each.test.value_test != nullptr && each.test.value_test->is_timed();
  };
  if (any_leaf(selector.where, is_timed)) return "a cell of a live segment has no conditions relative to now";
  return {};
}

}  // namespace cdp
