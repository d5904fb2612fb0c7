// When and where a question is asked: what tests relative to now and tests on local dates need beside a value.
#pragma once

#include <cstdint>

namespace cdp {

class Zone;  // query/calendar.hpp

struct Moment {
  static constexpr std::int64_t kUnset = INT64_MIN;
  std::int64_t now_ms = kUnset;  // unset: given with each evaluation (live segments)
  const Zone* zone = nullptr;    // null: UTC
};

}  // namespace cdp
