// Conditions on properties: bound to a version once, then evaluated on slices (fast) or on one row.
//
// Meaning (docs/architecture.md): missing or null is false, also for ne and not_in; numbers compare as numbers, int with
// float exactly; strings bytewise; ignore_case folds ASCII letters; a value of another type does not match, so it passes
// ne; on a list any element may match, for ne and not_in none may. Tests that are more than a comparison: value_test.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "column/chunk.hpp"
#include "query/condition_tree.hpp"
#include "query/moment.hpp"
#include "query/scan.hpp"
#include "query/scratch.hpp"
#include "query/spec.hpp"
#include "query/value_test.hpp"

namespace cdp {

// Exact three-way comparison. REQUIRES: number is finite.
[[nodiscard]] int compare_exact(std::int64_t integer, double number) noexcept;

// A test ready to run: literals in the forms that columns need.
class BoundTest {
 public:
  // `at`: when the question is asked. A test that time alone can turn needs it, but for the calls that give a `now_ms`.
  BoundTest(const Test& test, const Dictionary& strings, const Moment& at);

  // Does a value pass? Null type = missing. `strings` resolves dictionary types.
  [[nodiscard]] bool matches(const Value& value) const { return matches_at(value, at_); }
  [[nodiscard]] bool matches(const Value& value, std::int64_t now_ms) const {
    return matches_at(value, {now_ms, at_.zone});
  }
  // The same of a value inside a document (an element of a list, a field of one).
  [[nodiscard]] bool matches(const Node& value, const Moment& at) const;
  [[nodiscard]] bool matches(const Node& value) const { return matches(value, at_); }
  // Whether time alone can turn an answer, and the first instant behind now_ms at which it may: early perhaps, never late.
  [[nodiscard]] bool is_timed() const noexcept { return value_test_ != nullptr && value_test_->is_timed(); }
  [[nodiscard]] std::int64_t valid_until(const Value& value, std::int64_t now_ms) const;
  [[nodiscard]] std::int64_t valid_until(const Node& value, const Moment& at) const;
  // The same for a computed number: a double (may be infinite), or an integer of any size.
  [[nodiscard]] bool matches_number(double value) const {
    return value_test_ != nullptr ? value_test_->matches_number(value) : positive_float(value) != negated_;
  }
  [[nodiscard]] bool matches_wide(__int128 value) const;
  // String ids that decide scalars alone (eq, ne, in, not_in of strings only, few of them); empty when there are none.
  [[nodiscard]] std::span<const std::uint32_t> deciding_ids() const noexcept {
    constexpr std::size_t kFew = 8;
    const bool only = by_id_ && string_ids_.size() == texts_.size() && texts_.size() <= kFew && !missing_ &&
                      numbers_.empty() && datetime_set_.empty() && datetimes_.lo > datetimes_.hi && !match_bool_[0] &&
                      !match_bool_[1];
    return only ? std::span<const std::uint32_t>(string_ids_) : std::span<const std::uint32_t>();
  }
  [[nodiscard]] bool is_negated() const noexcept { return negated_; }
  // Integers that pass as a closed interval; nullopt where they are none (in, not_in, ne).
  using Interval = ValueTest::Interval;  // empty when lo > hi
  [[nodiscard]] std::optional<Interval> int_interval() const noexcept {
    if (is_set() || negated_ || value_test_ != nullptr) return std::nullopt;
    return Interval{ints_.lo, ints_.hi};
  }
  [[nodiscard]] bool passes_missing() const noexcept { return op_ == Op::kNotExists || missing_; }
  // False when some string literal was unknown to the store: bind again when the dictionary has grown.
  [[nodiscard]] bool resolved() const noexcept { return resolved_; }

  // Keeps of `rows[0, count)` (indexes into the view) those whose value of `key` passes; returns how many, in order.
  std::uint32_t filter(const SliceView& view, KeyId key, Scratch& scratch, std::uint32_t* rows,
                       std::uint32_t count) const;

 private:
  friend class ColumnTest;  // condition_scan.cpp
  using IntInterval = Interval;
  struct FloatInterval {
    double lo = 1, hi = 0;
  };

  [[nodiscard]] bool matches_at(const Value& value, const Moment& at) const;
  void check_moment(const Moment& at) const;
  [[nodiscard]] bool positive(const Value& value, const Moment& at) const;  // without negation; value is no null
  [[nodiscard]] bool positive(const Node& value, const Moment& at) const;
  [[nodiscard]] bool positive_int(std::int64_t value) const noexcept;
  [[nodiscard]] bool positive_float(double value) const noexcept;
  [[nodiscard]] bool positive_datetime(std::int64_t value) const noexcept;
  [[nodiscard]] bool positive_string(std::uint32_t id) const;
  [[nodiscard]] bool positive_text(std::string_view text) const;
  [[nodiscard]] bool is_set() const noexcept { return op_ == Op::kIn || op_ == Op::kNotIn; }
  void bind_number(const Literal& literal, std::size_t index);
  void bind_int_bound(IntInterval& interval, const Literal& literal, std::size_t index);
  void bind_float_bound(const Literal& literal, std::size_t index);
  void bind_string(const Literal& literal);

  Op op_;         // as sent
  bool negated_;  // ne, not_in, ..: exists and not positive
  bool missing_;  // a missing value passes
  bool ignore_case_;
  bool resolved_ = true;
  const Dictionary* strings_;
  std::shared_ptr<const ValueTest> value_test_;  // kValueTest
  Moment at_;
  IntInterval ints_;  // eq, ne, lt .. between on numbers
  FloatInterval floats_;
  IntInterval datetimes_;
  std::vector<Value> numbers_;         // as sent, for integers beyond 64 bits
  std::vector<std::int64_t> int_set_;  // in, not_in: ascending
  std::vector<double> float_set_;      // ascending; holds the integers too where they are exact
  std::vector<std::int64_t> datetime_set_;
  bool match_bool_[2] = {false, false};
  std::vector<std::uint32_t> string_ids_;  // eq, ne, in, not_in: ascending; empty under ignore_case
  std::vector<std::string> texts_;         // lower-cased under ignore_case; ascending for in
  bool by_id_ = false;                     // strings are decided by string_ids_ alone
};

// A place asked for, of two properties.
struct BoundPlace {
  std::shared_ptr<const PlaceSpec> spec;
  KeyId lat{}, lon{};
};

class ProfileOperand;       // query/profile_operand.hpp
struct BoundConditionTree;  // below

// A condition bound to a version. `key` is empty when the store has never seen the property, and when it is of a place or a
// tree; `place` when it is none, or the store has never seen one of its properties.
struct BoundCondition {
  std::optional<KeyId> key;
  BoundTest test;
  std::optional<BoundPlace> place{};
  bool resolved = true;
  std::shared_ptr<const ProfileOperand> operand{};   // in place of the test, where the right side is the profile's own
  std::shared_ptr<const BoundConditionTree> tree{};  // in place of all of these
  [[nodiscard]] bool matches(const Row& row) const {
    return key && operand == nullptr ? test.matches(property(row, *key)) : matches_otherwise(row, std::nullopt);
  }
  [[nodiscard]] bool matches(const Row& row, std::int64_t now_ms) const {
    return key && operand == nullptr ? test.matches(property(row, *key), now_ms) : matches_otherwise(row, now_ms);
  }
  // As of `now_ms`, else of the instant that it is bound with.
  [[nodiscard]] bool matches_otherwise(const Row& row, std::optional<std::int64_t> now_ms) const;
  [[nodiscard]] bool is_timed() const noexcept;
  [[nodiscard]] std::int64_t valid_until(const Row& row, std::int64_t now_ms) const;
};

struct BoundConditionTree {
  ConditionTree::Type type;
  std::vector<BoundCondition> parts;
  bool of_names;              // `names` alone pass
  std::vector<NameId> names;  // ascending
  [[nodiscard]] bool is_of(NameId name) const noexcept {
    return !of_names || std::binary_search(names.begin(), names.end(), name);
  }
  [[nodiscard]] bool matches(const Row& row, std::optional<std::int64_t> now_ms) const;
};
[[nodiscard]] std::vector<BoundCondition> bind_conditions(std::span<const Condition> conditions, const Version& version,
                                                          const Moment& at);

// A selector bound to a version: names the store does not know drop out.
struct BoundSelector {
  bool any = false;  // any event, and the store knows no system names
  // Any event: names the store got after the binding are selected too, system ones ("Message …", "Segment …") never. When it
  // knew system names, `any` is false and `names` are all others.
  bool open = false;
  std::uint32_t known_names = 0;  // of the store when bound
  const Dictionary* store_names = nullptr;
  std::vector<NameId> names;  // ascending
  std::vector<BoundCondition> where;
  bool resolved = true;  // false: bind again when dictionaries have grown
  [[nodiscard]] bool selects(NameId name) const noexcept;
  [[nodiscard]] bool matches(const Row& row) const;
  [[nodiscard]] bool matches(const Row& row, std::int64_t now_ms) const;
  // When time alone may change what `matches` says of a row that it selects.
  [[nodiscard]] bool is_timed() const noexcept;
  [[nodiscard]] std::int64_t valid_until(const Row& row, std::int64_t now_ms) const;
};
// `at`: as in BoundTest. A live segment has no instant of its own: it gives one with each evaluation.
[[nodiscard]] BoundSelector bind_selector(const Selector& selector, const Version& version, const Moment& at);

// Rows of the slice view that pass all conditions: `rows[0, count)` in (indexes into the view, ascending), kept ones out.
std::uint32_t filter_rows(const SliceView& view, std::span<const BoundCondition> conditions, Scratch& scratch,
                          std::uint32_t* rows, std::uint32_t count);

}  // namespace cdp
