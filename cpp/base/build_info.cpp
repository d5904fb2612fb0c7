#include "base/build_info.hpp"

namespace cdp {

std::string_view version() noexcept { return CDPSTORE_VERSION; }

}  // namespace cdp
