"""Which events a question is about: a name, any of several, or any event at all, with conditions on properties.

>>> named("Viewed", "Added").where("price").ge(10).spec()
{'event': ['Viewed', 'Added'], 'where': [{'property': 'price', 'op': 'ge', 'value': 10}]}
>>> named("Viewed").spec(), any_event().spec()
('Viewed', {'event': None})
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.comparison import Comparison, Condition

__all__ = ["Selector", "any_event", "event_of", "named", "place", "to_selector"]


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """Events by name and conditions; all conditions must hold on one and the same event."""

    names: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def where(self, key: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Self]:
        """A condition on a property, completed by its operator."""
        return Comparison(lambda condition: self._with(key, condition), ignore_case=ignore_case, missing=missing)

    def near(self, *, lat: float, lon: float, meters: float, lat_key: str = "lat", lon_key: str = "lon") -> Self:
        """Only events of which two properties are a place at most so many metres away."""
        condition = place(lat, lon, meters, (lat_key, lon_key))
        return dataclasses.replace(self, conditions=(*self.conditions, condition))

    def spec(self) -> str | dict[str, Any]:
        """The selector as a spec: a bare name where nothing more is said."""
        if len(self.names) == 1 and not self.conditions:
            return self.names[0]
        where = {"where": list(self.conditions)} if self.conditions else {}
        return {"event": event_of(self.names), **where}

    def _with(self, key: str, condition: Condition) -> Self:
        return dataclasses.replace(self, conditions=(*self.conditions, {"property": key, **condition}))


def place(lat: float, lon: float, meters: float, keys: tuple[str, str]) -> Condition:
    """The condition that two values are a place at most so many metres away."""
    return {"geo": {"lat": keys[0], "lon": keys[1]}, "within": {"lat": lat, "lon": lon, "meters": meters}}


def named(*names: str) -> Selector:
    """Events of any of these names."""
    if not names:
        raise ValueError("at least one name; any_event() selects all")
    return Selector(names)


def any_event() -> Selector:
    """Every event, whatever its name."""
    return Selector()


def to_selector(selector: str | Selector) -> Selector:
    """The selector itself, or one for the name."""
    return named(selector) if isinstance(selector, str) else selector


def event_of(names: tuple[str, ...]) -> str | list[str] | None:
    """How a spec writes these names."""
    match names:
        case ():
            return None
        case (name,):
            return name
        case _:
            return list(names)
