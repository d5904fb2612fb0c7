// A breakdown by what a profile is in: segments, or groups of a kind. It is in none, one or several at once, as of now: what it did
// counts in the row of each, and in the row of none (null) when it is in none.
//
//   {"segments": [name | {"name"?: text, "where": predicate}, ..] (1 to 32), "name"?: column ("segment")}
//   {"group": kind, "trait"?: key, "name"?: column (the kind; with a trait "kind.key")}
//
// Segments are told by name (A, B, .. where a predicate has none), in this order; groups by their id, or the value that they have of
// the trait. Cost: of a segment what its predicate costs, of groups ~1 us a profile that is in some.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/value.hpp"
#include "query/kernel.hpp"
#include "query/predicate.hpp"
#include "query/table.hpp"

namespace cdp {

struct MemberOperandSpec {
  struct Segment {
    std::string name;
    std::shared_ptr<const PredicateSpec> where;
  };
  std::vector<Segment> segments;  // empty: of groups
  std::string group;              // their kind
  std::string trait;              // empty: by id
};

// Takes the fields when they say so; null when they do not. `title`: the column.
[[nodiscard]] std::shared_ptr<const MemberOperandSpec> take_member_operand(Fields& fields, const CalendarSpec& calendar,
                                                                           std::string& title);

class MemberOperand {
 public:
  MemberOperand(const MemberOperandSpec& spec, const Version& version, const Moment& at);

  // What a profile is in, each once: the number of a segment, the id (or trait's value) of a group; null alone for none.
  void add_values(const Version& version, Origin home, std::int64_t now_ms, std::vector<Value>& out) const;

  // Which profiles of a task are in which segment.
  class OfTask {
   public:
    OfTask(const MemberOperand& operand, const QueryContext& context, const Task& task, Scratch& scratch);
    // As add_values, of a profile of `where`.
    void add_values(const QueryContext& context, const Task& task, std::uint32_t profile,
                    std::vector<Value>& out) const;

   private:
    const MemberOperand& operand_;
    std::vector<std::array<std::uint64_t, kStripeWords>> in_;  // one a segment
  };

  // A value that is no null, in the answer.
  void push(TableColumn& column, const Value& value, const Dictionary& strings) const;
  [[nodiscard]] bool of_segments() const noexcept { return !segments_.empty(); }

 private:
  void add_groups(const Version& version, Origin home, std::int64_t now_ms, std::vector<Value>& out) const;
  static Value number_of(std::size_t segment) noexcept { return {ValueType::kInt, segment}; }

  std::vector<std::string> names_;
  std::vector<Predicate> segments_;
  std::optional<std::uint32_t> kind_;  // empty: of segments, or a kind that the store never heard of
  bool by_trait_ = false;
  std::optional<KeyId> trait_;
};

}  // namespace cdp
