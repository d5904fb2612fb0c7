// Definitions that change what the store itself does: `retention` (how long events stay) and `blocked` (event names that
// are refused). Part of the state machine: they hold from their place in the log on.
//
//   retention  name "events"; body {event name or "*": duration}; "*" is every name without a rule of its own
//   blocked    name: the event's; body: any map
#pragma once

#include <string_view>

#include "store/retention.hpp"

namespace cdp {

inline constexpr std::string_view kRetentionKind = "retention";
inline constexpr std::string_view kRetentionName = "events";
inline constexpr std::string_view kBlockedKind = "blocked";

// Throws InvalidRequest definition.invalid with a path. REQUIRES: the body is readable as a map, or empty.
void check_store_rule(std::string_view kind, std::string_view name, std::string_view body);
// No rules of an empty body. REQUIRES: checked.
[[nodiscard]] RetentionRules parse_retention(std::string_view body);

}  // namespace cdp
