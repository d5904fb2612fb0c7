#include "query/kinds/kinds.hpp"

#include <array>

namespace cdp {
namespace {

constexpr std::array kKinds = {
    KindEntry{"funnel", parse_funnel},
    KindEntry{"profiles", parse_profiles},
    KindEntry{"retention", parse_retention},
    KindEntry{"trend", parse_trend},
};

}  // namespace

std::span<const KindEntry> kinds() noexcept { return kKinds; }

}  // namespace cdp
