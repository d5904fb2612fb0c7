// Tests on a value that are more than a comparison with constants in the terms of columns: one file a family in
// value_tests/, value_test.cpp is the list of their operators.
//
// A ValueTest is immutable and belongs to no store: it sees a value as a document (strings as text, lists as arrays), which
// a BoundTest makes of what a column or trait holds, each distinct string or list once where columns have codes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/value.hpp"
#include "column/dictionary.hpp"
#include "query/document.hpp"
#include "query/moment.hpp"

namespace cdp {

struct Test;

class ValueTest {
 public:
  struct Interval {
    std::int64_t lo = 1, hi = 0;
  };
  virtual ~ValueTest() = default;
  // REQUIRES: the value is not null. A list is an array of scalars or of maps.
  [[nodiscard]] virtual bool matches(const Node& value, const Moment& at) const = 0;
  // Whether time alone can change an answer.
  [[nodiscard]] virtual bool is_timed() const noexcept { return false; }
  // The first instant behind at.now_ms at which it may: may be early, never late.
  [[nodiscard]] virtual std::int64_t valid_until(const Node&, const Moment&) const { return INT64_MAX; }
  // Of a number made of events, beside its integers of 64 bits: a double (may be infinite), an integer of any size.
  [[nodiscard]] virtual bool matches_number(double) const { return false; }
  [[nodiscard]] virtual bool matches_wide(__int128) const { return false; }
  // Where of scalars only datetimes can pass, and at this instant those of one closed interval.
  [[nodiscard]] virtual std::optional<Interval> datetimes(const Moment&) const { return std::nullopt; }

  // `matches` of a stored value, remembered by the number of its text in the store where time has no part in it.
  [[nodiscard]] bool decide(const Value& value, const Dictionary& strings, const Moment& at) const;

 private:
  // A cache, not a table: an entry is the number + 1, shifted, and the answer. Races lose entries, never mix them.
  static constexpr std::size_t kRemembered = 512;
  mutable std::array<std::atomic<std::uint64_t>, kRemembered> memory_{};
};

// Passes when a scalar does: that of the value, or any element of its list.
class ElementTest : public ValueTest {
 public:
  [[nodiscard]] bool matches(const Node& value, const Moment& at) const final;
  [[nodiscard]] std::int64_t valid_until(const Node& value, const Moment& at) const final;

 private:
  [[nodiscard]] virtual bool passes(const Node& scalar, const Moment& at) const = 0;
  [[nodiscard]] virtual std::int64_t passes_until(const Node&, const Moment&) const { return INT64_MAX; }
};

// A stored value as a document. Strings stay views into the dictionary; lists are views into its bytes.
[[nodiscard]] Node node_of(const Value& value, const Dictionary& strings);
// The dictionary of those who have none: tests bound to it compare texts.
[[nodiscard]] const Dictionary& no_strings();

// The operators behind those of `Op`, in the order of their list.
[[nodiscard]] std::span<const std::string_view> value_ops() noexcept;
// Takes the value and what else belongs to the operator out of the fields, into `test`. REQUIRES: op < value_ops().size().
void parse_value_op(std::size_t op, Fields& fields, Test& test);

// ---- of each family's file. The field `value` is at `path`.
[[nodiscard]] std::shared_ptr<const ValueTest> regex_test(const Node& value, bool ignore_case, const Path& path);
[[nodiscard]] std::shared_ptr<const ValueTest> all_test(const Node& values, bool ignore_case, const Path& path);
[[nodiscard]] std::shared_ptr<const ValueTest> size_test(const Node& value, const Path& path);
// any_element: a list of conditions.
[[nodiscard]] std::shared_ptr<const ValueTest> any_element_test(const Node& conditions, const Path& path);
enum class VersionOrder : std::uint8_t { kLt, kLe, kGt, kGe, kEq };
[[nodiscard]] std::shared_ptr<const ValueTest> version_test(VersionOrder order, const Node& value, const Path& path);
[[nodiscard]] std::shared_ptr<const ValueTest> within_test(const Node& value, const Path& path);
[[nodiscard]] std::shared_ptr<const ValueTest> on_test(const Node& value, std::shared_ptr<const Zone> zone,
                                                       const Path& path);
[[nodiscard]] std::shared_ptr<const ValueTest> anniversary_test(const Node& value, std::shared_ptr<const Zone> zone,
                                                                const Path& path);

}  // namespace cdp
