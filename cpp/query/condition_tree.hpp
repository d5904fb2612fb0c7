// Conditions joined by and, or, not: what may stand in place of one condition on a property (Condition::tree).
//
// What holds of a plain list, that all of it must, is said by the list: a tree is only where something else is meant, so plain
// conditions cost what they always did.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "query/spec.hpp"

namespace cdp {

struct ConditionTree {
  enum class Type : std::uint8_t { kAnd, kOr, kNot };
  Type type = Type::kAnd;
  std::vector<Condition> parts;    // kNot: one
  std::vector<std::string> names;  // of an alternative of any_of: these events alone; empty: any
};

// visit(condition) for every condition on a property or a place, in the order of the spec.
template <class Visit>
void for_each_leaf(std::span<const Condition> conditions, Visit&& visit) {
  for (const Condition& condition : conditions) {
    if (condition.tree == nullptr) {
      visit(condition);
    } else {
      for_each_leaf(std::span<const Condition>(condition.tree->parts), visit);
    }
  }
}

// Whether some condition on a property or a place is such.
template <class Is>
[[nodiscard]] bool any_leaf(std::span<const Condition> conditions, Is&& is) {
  bool found = false;
  for_each_leaf(conditions, [&](const Condition& condition) { found = found || is(condition); });
  return found;
}

// change(condition) in the same order; trees, which copies of a spec share, are written anew.
template <class Change>
void change_leaves(std::span<Condition> conditions, Change&& change) {
  for (Condition& condition : conditions) {
    if (condition.tree == nullptr) {
      change(condition);
      continue;
    }
    auto tree = std::make_shared<ConditionTree>(*condition.tree);
    change_leaves(std::span<Condition>(tree->parts), change);
    condition.tree = std::move(tree);
  }
}

// Conditions on something that is no event (a device, a group, an item), bound: what is asked at each leaf is the caller's.
template <class Leaf>
class BoundConditions {
 public:
  // bind(condition) makes a leaf of one on a property.
  template <class Bind>
  BoundConditions(std::span<const Condition> conditions, Bind&& bind) {
    add(root_, conditions, bind);
  }
  [[nodiscard]] std::span<const Leaf> leaves() const noexcept { return leaves_; }
  // Whether all hold, by passes(index of the leaf); it is asked no more than is needed.
  template <class Passes>
  [[nodiscard]] bool hold(Passes&& passes) const {
    return holds(root_, passes);
  }

 private:
  struct Part {
    ConditionTree::Type type = ConditionTree::Type::kAnd;
    std::vector<Part> parts;
    std::size_t leaf = kNoLeaf;
  };
  static constexpr std::size_t kNoLeaf = SIZE_MAX;

  template <class Bind>
  void add(Part& to, std::span<const Condition> conditions, Bind& bind) {
    for (const Condition& condition : conditions) {
      Part& part = to.parts.emplace_back();
      if (condition.tree == nullptr) {
        part.leaf = leaves_.size();
        leaves_.push_back(bind(condition));
      } else {
        part.type = condition.tree->type;
        add(part, condition.tree->parts, bind);
      }
    }
  }

  template <class Passes>
  [[nodiscard]] static bool holds(const Part& part, Passes& passes) {
    if (part.leaf != kNoLeaf) return passes(part.leaf);
    const auto holds_too = [&](const Part& each) { return holds(each, passes); };
    switch (part.type) {
      case ConditionTree::Type::kAnd: return std::ranges::all_of(part.parts, holds_too);
      case ConditionTree::Type::kOr: return std::ranges::any_of(part.parts, holds_too);
      case ConditionTree::Type::kNot: break;
    }
    return !holds_too(part.parts.front());
  }

  Part root_;
  std::vector<Leaf> leaves_;
};

}  // namespace cdp
