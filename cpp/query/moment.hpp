// When and where a question is asked: what tests relative to now and tests on local dates need beside a value.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace cdp {

class Budget;  // query/budget.hpp
class Zone;    // query/calendar.hpp

// What a question names and the store has never seen: it selects nothing, and the answer says so.
struct UnknownNames {
  std::set<std::string> events, properties, traits;
};

struct Moment {
  static constexpr std::int64_t kUnset = INT64_MIN;
  std::int64_t now_ms = kUnset;     // unset: given with each evaluation (live segments)
  const Zone* zone = nullptr;       // null: UTC
  UnknownNames* unknown = nullptr;  // what is found unknown while binding is added, where somebody asks for it
  Budget* budget = nullptr;         // of the question, where binding has to look at rows
};

}  // namespace cdp
