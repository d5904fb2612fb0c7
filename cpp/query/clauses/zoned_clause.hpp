// A clause whose zone is kept in a trait of the profile: wherever a clause takes a zone,
//
//   "zone": {"trait": key, "else"?: zone}
//
// Meaning: for each profile the clause with the zone that the trait names as of now; with `else` (left out: as if no zone were given)
// where the trait is missing or names none. So a day, a month, nine o'clock are the profile's own. In questions and exports: a live
// segment's log would have to hold the tables of all zones.
//
// How: the clause is compiled once a zone that profiles turn out to have, and asked of all that are in it, a task at a time. Over a
// task: ~5 ns a profile, and once a zone that many are in what the clause costs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "query/clauses/local_clause.hpp"

namespace cdp {

// Somewhere in the node.
[[nodiscard]] bool has_profile_zone(const Node& node);
// What a predicate with such zones will ask for: traits, and instants beside the question's own.
struct ZonesKept {
  std::vector<std::string> traits;
  std::vector<std::int64_t> instants_ms;
};
[[nodiscard]] ZonesKept zones_kept(const Node& node);
// Throws query.zone.needed, the names apart by spaces, when the tables of zones that profiles name are not there: for answers that
// are given piece by piece, and can not be asked again. Cost: ~0.2 us a profile, trait and instant.
void require_zones(const Version& version, const ZonesKept& kept, std::int64_t now_ms);
// Null when the node (a clause that is no and, or, not, cell, quantile) has no such zone.
[[nodiscard]] LocalClausePtr parse_zoned_clause(const Node& node, const Path& path, const CalendarSpec& calendar);

}  // namespace cdp
