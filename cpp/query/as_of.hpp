// The store as it was valid at an instant: links made by then and not undone by then, with the traits that follow from them.
//
// What lies later in time is hidden by asking at that instant; what was accepted is what the log accepted. Rows stay where they
// are: profiles whose links differ from those of now are slow, all others are read as ever.
#pragma once

#include <cstdint>
#include <optional>

#include "query/document.hpp"
#include "query/moment.hpp"
#include "store/version.hpp"

namespace cdp {

// The version itself when no link differs. Else a copy that shares everything but links, traits and plan. Cost: ~20 ns a link of
// the store, ~1 us a profile whose links differ, and what the first question at a version costs (scan_plan.hpp).
// `only`: right for the relatives of this origin, at the cost of their links.
[[nodiscard]] VersionPtr version_as_of(const VersionPtr& version, std::int64_t as_of_ms,
                                       std::optional<Origin> only = std::nullopt);

// BadQuery under this path when retention has let go of all rows up to the instant of some event that is read: what was true
// then can no longer be told.
void check_kept(const Version& version, const Mentions& read, std::int64_t instant_ms, const Path& path);

}  // namespace cdp
