// When and where a question is asked: what tests relative to now and tests on local dates need beside a value.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/ids.hpp"

namespace cdp {

class Budget;  // query/budget.hpp
class Zone;    // query/calendar.hpp

// What a question names, gathered while it is bound.
struct Mentions {
  // What the store has never seen: it selects nothing, and the answer says so.
  std::set<std::string> unknown_events, unknown_properties, unknown_traits;
  std::set<std::string> unknown_channels, unknown_topics, unknown_lists;
  // Events whose rows it reads; every event but the system's own.
  std::set<NameId> events;
  bool any_event = false;
};

struct Moment {
  static constexpr std::int64_t kUnset = INT64_MIN;
  std::int64_t now_ms = kUnset;  // unset: given with each evaluation (live segments)
  const Zone* zone = nullptr;    // null: UTC
  Mentions* mentions = nullptr;  // where somebody asks for it; only what binds a question adds, never what runs it
  Budget* budget = nullptr;      // of the question, where binding has to look at rows
};

}  // namespace cdp
