// geo: two numbers, latitude and longitude in degrees, within so many metres of a place.
//
//   {"geo": {"lat": key, "lon": key}, "within": {"lat": degrees, "lon": degrees, "meters": number}}
//
// Great circles on a sphere of the earth's mean radius, by the haversine: within 0.6 % of the ellipsoid; the border belongs
// to it. A latitude beyond ±90 or a longitude beyond ±180 is no place.
#pragma once

#include <string>

#include "base/value.hpp"
#include "query/document.hpp"

namespace cdp {

inline constexpr double kEarthRadiusM = 6'371'008.8;  // IUGG mean radius R1

struct PlaceSpec {
  std::string lat_key;
  std::string lon_key;
  double lat = 0;
  double lon = 0;
  double meters = 0;
  [[nodiscard]] bool contains(const Value& lat_value, const Value& lon_value) const noexcept;
};

// Takes `geo` and `within` out of the fields.
[[nodiscard]] PlaceSpec parse_place(Fields& fields);

}  // namespace cdp
