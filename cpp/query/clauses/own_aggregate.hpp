// An aggregate over the profile's own events, as the right side of a comparison (trait_operand.hpp).
//
//   {"did": selector-name, "where"?: [condition], "at"?: at, "window"?: window,
//    "measure": "count" | {"sum" | "mean" | "min" | "max" | "distinct": key}}
//
// Meaning: the measure of the events found, as `did` finds and measures them; a number rounded once where it is no integer, a sum
// beyond int64 too. The mean, least and greatest of no numbers are missing, and a sum beyond the floats. What it is compared with may be among the events.
// Cost: reading the profile's events of these names, ~1 us; over a task a scan of them, ~5 ns a row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "query/clauses/local_times.hpp"
#include "query/clauses/window.hpp"
#include "store/profile_store.hpp"

namespace cdp {

struct OwnSpec {
  TimedSelector events;
  RangeSpec window;
  Measure measure = Measure::kCount;
  std::string property;  // empty for count
};
[[nodiscard]] OwnSpec parse_own(const Node& node, const Path& path, const CalendarSpec& calendar);

class OwnAggregate {
 public:
  OwnAggregate(const OwnSpec& spec, const Version& version, const Moment& at);
  // As a trait would be seen: the value, null when missing, and when time alone may change it.
  [[nodiscard]] ProfileView::Seen seen(const Version& version, Origin home, std::int64_t now_ms) const;
  // The value of each profile of a task, by its index; of slow ones nonsense. False, and nothing done, where only `seen` tells.
  // REQUIRES: values.size() == task.size().
  bool scan(const Task& task, std::int64_t now_ms, Scratch& scratch, std::span<Value> values) const;
  [[nodiscard]] bool resolved() const noexcept;

 private:
  BoundTimed events_;
  BoundWindow window_;
  Measure measure_;
  std::optional<KeyId> key_;
  std::int64_t bound_ms_;
};

}  // namespace cdp
