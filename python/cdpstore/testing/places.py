"""Places on the sphere: two numbers within so many metres of a place."""

from collections.abc import Mapping
from math import asin, cos, radians, sin, sqrt
from typing import Any, Final

from cdpstore.testing.values import is_number

__all__ = ["is_within"]

_EARTH_RADIUS_M: Final = 6_371_008.8


def is_within(values: Mapping[str, Any], clause: Mapping[str, Any]) -> bool:
    """Whether two of the values are a place in the circle."""
    lat, lon = (values.get(clause["geo"][name]) for name in ("lat", "lon"))
    if not (is_number(lat) and is_number(lon) and abs(lat) <= 90 and abs(lon) <= 180):
        return False
    circle = clause["within"]
    half_lat = sin((radians(lat) - radians(circle["lat"])) / 2)
    half_lon = sin((radians(lon) - radians(circle["lon"])) / 2)
    chord = half_lat * half_lat + cos(radians(circle["lat"])) * cos(radians(lat)) * (half_lon * half_lon)
    return bool(2 * _EARTH_RADIUS_M * asin(min(1.0, sqrt(chord))) <= circle["meters"])
