#include "query/kinds/kinds.hpp"

#include <array>

namespace cdp {
namespace {

constexpr std::array kKinds = {
    KindEntry{"funnel", parse_funnel},
    KindEntry{"profiles", parse_profiles},
};

}  // namespace

std::span<const KindEntry> kinds() noexcept { return kKinds; }

}  // namespace cdp
