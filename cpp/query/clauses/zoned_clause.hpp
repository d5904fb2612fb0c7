// A clause whose zone is kept in a trait of the profile: wherever a clause takes a zone,
//
//   "zone": {"trait": key, "else"?: zone}
//
// Meaning: for each profile the clause with the zone that the trait names as of now; with `else` (left out: as if no zone were given)
// where the trait is missing or names none. So a day, a month, nine o'clock are the profile's own. In questions: a live segment's
// log would have to hold the tables of all zones.
//
// How: the clause is compiled once a zone that profiles turn out to have. ~1 us a profile more than the clause costs for one.
#pragma once

#include "query/clauses/local_clause.hpp"

namespace cdp {

// Somewhere in the node.
[[nodiscard]] bool has_profile_zone(const Node& node);
// Null when the node (a clause that is no and, or, not, cell) has no such zone.
[[nodiscard]] LocalClausePtr parse_zoned_clause(const Node& node, const Path& path, const CalendarSpec& calendar);

}  // namespace cdp
