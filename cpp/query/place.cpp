#include "query/place.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "query/spec.hpp"

namespace cdp {
namespace {

constexpr double kMetersMost = 20'100'000;  // half around the earth

double read_number(Fields& fields, std::string_view name, double low, double high) {
  const Node& node = fields.require(name, "a number");
  const double number = node.type == Node::Type::kInt ? static_cast<double>(node.integer) : node.number;
  const bool is_number = node.type == Node::Type::kInt || node.type == Node::Type::kFloat;
  if (!is_number || number < low || number > high) {
    fail_expected(fields.path(name),
                  "a number from " + std::to_string(static_cast<std::int64_t>(low)) + " to " +
                      std::to_string(static_cast<std::int64_t>(high)),
                  node);
  }
  return number;
}

std::optional<double> degrees(const Value& value, double most) noexcept {
  if (value.type != ValueType::kInt && value.type != ValueType::kFloat) return std::nullopt;
  const double number = value.type == ValueType::kInt ? static_cast<double>(value.as_int()) : value.as_float();
  return number >= -most && number <= most ? std::optional(number) : std::nullopt;
}

double radians(double degrees) noexcept { return degrees * (std::numbers::pi / 180.0); }

}  // namespace

bool PlaceSpec::contains(const Value& lat_value, const Value& lon_value) const noexcept {
  const std::optional<double> other_lat = degrees(lat_value, 90), other_lon = degrees(lon_value, 180);
  if (!other_lat || !other_lon) return false;
  const double half_lat = std::sin((radians(*other_lat) - radians(lat)) / 2);
  const double half_lon = std::sin((radians(*other_lon) - radians(lon)) / 2);
  const double chord =
      half_lat * half_lat + std::cos(radians(lat)) * std::cos(radians(*other_lat)) * (half_lon * half_lon);
  return 2 * kEarthRadiusM * std::asin(std::min(1.0, std::sqrt(chord))) <= meters;
}

PlaceSpec parse_place(Fields& fields) {
  PlaceSpec out;
  const Path geo = fields.path("geo"), within = fields.path("within");
  Fields keys(fields.require("geo", "a map of lat and lon to keys"), geo);
  out.lat_key = parse_key(keys.require("lat", "the key of the latitude"), keys.path("lat"));
  out.lon_key = parse_key(keys.require("lon", "the key of the longitude"), keys.path("lon"));
  keys.done();
  Fields circle(fields.require("within", "a place and a distance"), within);
  out.lat = read_number(circle, "lat", -90, 90);
  out.lon = read_number(circle, "lon", -180, 180);
  out.meters = read_number(circle, "meters", 0, kMetersMost);
  circle.done();
  return out;
}

}  // namespace cdp
