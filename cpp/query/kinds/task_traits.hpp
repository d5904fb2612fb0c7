// The values of a trait for the profiles of a task, as of now: a column at a time where nothing is timed later.
#pragma once

#include <cstdint>

#include "query/scan.hpp"
#include "query/scratch.hpp"

namespace cdp {

// One a profile, null where it is missing and for those that are no homes. `now_ms`: operations timed later are left out.
[[nodiscard]] Scratch::Lease<Value> traits_of_task(const Task& task, KeyId key, std::int64_t now_ms, Scratch& scratch);

}  // namespace cdp
