// A comparison whose right side is a trait of the same profile, or an aggregate over its own events, times a factor
// (exact_product.hpp).
//
//   "op": "eq" | "ne" | "lt" | "le" | "gt" | "ge", "value": {"trait": key, "times"?: number}
//                                                         | {"own": aggregate (clauses/own_aggregate.hpp), "times"?: number}
//
// Without `times` values of one type compare as everywhere: numbers exactly, strings by bytes, datetimes; true and false only
// for eq and ne. With `times` the trait must be a number. A missing operand makes every test false; operands of types that do
// not compare make all false but ne. On a list any element may pass, for ne none may be equal; a list on the right never is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/ids.hpp"
#include "query/moment.hpp"
#include "query/spec.hpp"
#include "store/profile_store.hpp"
#include "store/version.hpp"

namespace cdp {

struct Task;         // query/scan.hpp
class Scratch;       // query/scratch.hpp
struct OwnSpec;      // clauses/own_aggregate.hpp
class OwnAggregate;  // the same

struct OperandTest {
  Op op = Op::kEq;  // kEq kNe kLt kLe kGt kGe
  std::string trait;
  std::shared_ptr<const OwnSpec> own{};  // in place of a trait
  std::optional<Literal> times;
  bool missing = false;  // a missing left side passes
};

// Takes op and value out of the fields; nullopt, and nothing taken, where the value is no map with "trait" or "own".
[[nodiscard]] std::optional<OperandTest> parse_operand_test(Fields& fields, const CalendarSpec& calendar);

class BoundOperandTest {
 public:
  BoundOperandTest(const OperandTest& test, const Version& version, const Moment& at);
  [[nodiscard]] bool resolved() const noexcept;
  // The right side as a query at `now_ms` sees it.
  [[nodiscard]] ProfileView::Seen operand(const Version& version, Origin home, std::int64_t now_ms) const;
  // The same of each profile of a task that is in `candidates` (words), by its index, as `operand` tells it; slow ones too.
  // REQUIRES: values.size() == task.size().
  void operands(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<const std::uint64_t> candidates,
                std::span<Value> values) const;
  // An aggregate over own events: one profile costs as much as many of a task.
  [[nodiscard]] const OwnAggregate* own() const noexcept { return own_.get(); }
  // REQUIRES: left is not null.
  [[nodiscard]] bool passes(const Value& left, const Value& right) const;
  // The test that remains when the right side is this.
  [[nodiscard]] std::shared_ptr<const ValueTest> test_of(const Value& right) const;

 private:
  friend class FixedOperandTest;
  [[nodiscard]] bool passes(const Node& left, const Value& right) const;
  [[nodiscard]] bool passes_order(int order) const noexcept;
  [[nodiscard]] bool passes_scalar(const Node& left, const Value& right) const;
  Op op_;
  std::optional<Value> times_;
  std::optional<KeyId> key_;                 // empty: no profile has the trait
  std::shared_ptr<const OwnAggregate> own_;  // in place of it
  const Dictionary* strings_;
};

}  // namespace cdp
