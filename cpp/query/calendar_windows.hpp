// Windows of the calendar ("the last 7 local days", "this month") as absolute ones, once the instant and the zone are known:
// nothing behind this ever sees them. So they are for questions; what is evaluated over and over (a live segment) or has no
// zone refuses them where it parses.
#pragma once

#include "query/calendar.hpp"
#include "query/spec.hpp"

namespace cdp {

// The range, and the windows inside `where`. A window begins with its first local day (or unit) and ends now.
void resolve_calendar_windows(CommonSpec& common, const Zone& zone, std::int64_t now_ms);

}  // namespace cdp
