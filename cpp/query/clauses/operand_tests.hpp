// The conditions and thresholds of a `did` whose right side is a profile's own value: bound once, then put down as plain
// tests for one profile at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "query/condition_tree.hpp"
#include "query/named_keys.hpp"
#include "query/trait_operand.hpp"

namespace cdp {

[[nodiscard]] inline bool has_operand(std::span<const Condition> conditions) {
  return any_leaf(conditions, [](const Condition& each) { return each.test.operand != nullptr; });
}

inline void take_out_operands(std::vector<MeasureSpec>& measures) {
  std::erase_if(measures, [](const MeasureSpec& each) { return each.test.operand != nullptr; });
}
// Takes out of a spec's conditions and measures those with an operand: what is left can be bound for all profiles.
inline void take_out_operands(std::vector<Condition>& conditions, std::vector<MeasureSpec>& measures) {
  std::erase_if(conditions, [](const Condition& each) { return has_operand({&each, 1}); });
  take_out_operands(measures);
}

class OperandTests {
 public:
  OperandTests(std::span<const Condition> conditions, std::span<const MeasureSpec> measures, const Version& version,
               const Moment& at) {
    const auto add = [&](const Test& test) {
      if (test.operand) operands_.emplace_back(*test.operand, version, at);
    };
    for_each_leaf(conditions, [&](const Condition& condition) {
      add(condition.test);
      if (!condition.place) static_cast<void>(find_property(condition.property, version, at));
    });
    for (const MeasureSpec& measure : measures) {
      add(measure.test);
      static_cast<void>(find_property(measure.property, version, at));
    }
  }

  // Puts what remains for the profile into copies of what this was made of. `until_ms` is lowered to when an operand changes.
  void put(const Version& version, Origin home, std::int64_t now_ms, std::span<Condition> conditions,
           std::span<MeasureSpec> measures, std::int64_t& until_ms) const {
    auto operand = operands_.begin();
    const auto replace = [&](Test& test) {
      if (!test.operand) return;
      const ProfileView::Seen seen = operand->operand(version, home, now_ms);
      until_ms = std::min(until_ms, seen.next_ms);
      test.value_test = (operand++)->test_of(seen.value);
    };
    change_leaves(conditions, [&](Condition& condition) { replace(condition.test); });
    for (MeasureSpec& measure : measures) replace(measure.test);
  }

  [[nodiscard]] bool resolved() const noexcept { return std::ranges::all_of(operands_, &BoundOperandTest::resolved); }

 private:
  std::vector<BoundOperandTest> operands_;  // of the conditions, then of the measures
};

}  // namespace cdp
