// Keys that a question names, looked up in one place: what the store has never seen is noted for the answer to say.
#pragma once

#include <optional>
#include <string>

#include "base/ids.hpp"
#include "query/moment.hpp"
#include "store/version.hpp"

namespace cdp {

[[nodiscard]] std::optional<KeyId> find_property(const std::string& key, const Version& version, const Moment& at);
[[nodiscard]] std::optional<KeyId> find_trait(const std::string& key, const Version& version, const Moment& at);

}  // namespace cdp
