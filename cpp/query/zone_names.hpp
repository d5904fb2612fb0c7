// The names of all zones there are, as Python's tables have them: what tells a zone kept in a trait from any other text, before its
// table is asked for. Threads: both lock.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cdp {

namespace code {
inline constexpr std::string_view kQueryZoneNames = "query.zone.names";  // add the names and ask again
inline constexpr std::string_view kQueryZoneNeeded =
    "query.zone.needed";  // add the tables of the zones in `path`, apart by spaces; ask again
}  // namespace code

using ZoneNameSet = std::set<std::string, std::less<>>;
void set_zone_names(std::vector<std::string> names);
[[nodiscard]] std::shared_ptr<const ZoneNameSet> zone_names();  // null: nobody has set them

}  // namespace cdp
