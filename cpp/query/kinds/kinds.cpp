#include "query/kinds/kinds.hpp"

#include <array>

#include "column/dictionary.hpp"

namespace cdp {
namespace {

constexpr std::array kKinds = {
    KindEntry{"explain", parse_explain},   KindEntry{"funnel", parse_funnel},       KindEntry{"overlap", parse_overlap},
    KindEntry{"profiles", parse_profiles}, KindEntry{"retention", parse_retention}, KindEntry{"trend", parse_trend},
};

}  // namespace

std::span<const KindEntry> kinds() noexcept { return kKinds; }

void Binding::note_property(const std::string& key) const {
  if (mentions != nullptr && !key.empty() && !version.keys->find(key)) mentions->unknown_properties.insert(key);
}

}  // namespace cdp
