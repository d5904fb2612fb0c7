// The field "zone" of a clause or test: the name of a zone, or its table.
//
//   zone   = IANA name | {"name": text, "table"?: release of the tables, "transitions": [[utc_ms, offset_ms], ..]}
//
// A name means the table that this process has (query.zone.unknown when it has none: whoever has tables adds it and asks
// again). What stands in a log has to mean the same in every process and for ever, so it holds the table itself.
#pragma once

#include <memory>

#include "query/calendar.hpp"
#include "query/document.hpp"

namespace cdp {

inline constexpr std::size_t kZoneTransitions = 2'000;  // the longest table to 2100 has about 400

[[nodiscard]] std::shared_ptr<const Zone> parse_zone(const Node& node, const Path& path);
// The field `zone` of the map; null when it is absent.
[[nodiscard]] std::shared_ptr<const Zone> take_zone(Fields& fields);

}  // namespace cdp
