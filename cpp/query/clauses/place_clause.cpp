#include <algorithm>

#include "column/dictionary.hpp"
#include "query/clauses/local_clause.hpp"
#include "query/named_keys.hpp"
#include "query/place.hpp"
#include "query/predicate.hpp"

namespace cdp {
namespace {

class PlaceClause final : public FactClause {
 public:
  PlaceClause(const PlaceSpec& place, const Version& version, const Moment& at)
      : place_(place), lat_(find_trait(place.lat_key, version, at)), lon_(find_trait(place.lon_key, version, at)) {}
  [[nodiscard]] Truth evaluate(const Version& version, Origin home, std::int64_t now_ms) const override {
    if (!resolved()) return {false, INT64_MAX};
    const ProfileView::Seen lat = version.profiles->trait_at(home, *lat_, now_ms, *version.links);
    const ProfileView::Seen lon = version.profiles->trait_at(home, *lon_, now_ms, *version.links);
    return {place_.contains(lat.value, lon.value), std::min(lat.next_ms, lon.next_ms)};
  }
  [[nodiscard]] bool resolved() const noexcept override { return lat_ && lon_; }

 private:
  PlaceSpec place_;
  std::optional<KeyId> lat_, lon_;  // empty: no profile has the trait
};

struct PlaceClauseSpec final : LocalClauseSpec {
  PlaceSpec place;
  [[nodiscard]] std::unique_ptr<const FactClause> bind(const Version& version, const Moment& at) const override {
    return std::make_unique<PlaceClause>(place, version, at);
  }
};

}  // namespace

LocalClausePtr parse_place_clause(Fields& fields) {
  auto out = std::make_shared<PlaceClauseSpec>();
  out->place = parse_place(fields);
  return out;
}

}  // namespace cdp
