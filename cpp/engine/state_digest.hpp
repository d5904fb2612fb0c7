// SHA-256 of a store by value: what two stores must share to answer alike. Over profiles, identities, rows, traits with
// their history, links, dedupe window, definitions and live sets; never over chunk borders, dictionary numbers or table
// order. Expired dedupe entries are outside. Cost: ~1 µs a row, for tests, verify and comparing replicas.
#pragma once

#include <string>

#include "engine/watch.hpp"
#include "store/apply.hpp"
#include "store/version.hpp"

namespace cdp {

// REQUIRES: the version is the applier's newest and nothing is applied meanwhile.
[[nodiscard]] std::string state_digest(const Version& version, const Applier& applier, const WatchSet& watches);

}  // namespace cdp
