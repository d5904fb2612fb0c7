"""Which events a question is about: a name, any of several, or any event at all, with conditions on properties.

Several with conditions of their own are `any_of`.

>>> named("Viewed", "Added").where("price").ge(10).spec()
{'event': ['Viewed', 'Added'], 'where': [{'property': 'price', 'op': 'ge', 'value': 10}]}
>>> named("Viewed").spec(), any_event().spec()
('Viewed', {'event': None})
>>> any_of(named("Charged").where("amount").gt(100), "Renewed").spec()["any_of"][1]
'Renewed'
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.comparison import Condition
from cdpstore.query.where import Conditional

__all__ = ["Selector", "any_event", "any_of", "event_of", "named", "place", "selector_of", "to_selector"]


@dataclasses.dataclass(frozen=True, slots=True)
class Selector(Conditional):
    """Events by name and conditions; all conditions must hold on one and the same event."""

    names: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    alternatives: tuple["Selector", ...] = ()

    def near(self, *, lat: float, lon: float, meters: float, lat_key: str = "lat", lon_key: str = "lon") -> Self:
        """Only events of which two properties are a place at most so many metres away."""
        condition = place(lat, lon, meters, (lat_key, lon_key))
        return dataclasses.replace(self, conditions=(*self.conditions, condition))

    def spec(self) -> str | dict[str, Any]:
        """The selector as a spec: a bare name where nothing more is said."""
        if len(self.names) == 1 and not self.conditions:
            return self.names[0]
        return self.fields()

    def fields(self) -> dict[str, Any]:
        """The selector as a map, that more may be said of."""
        which = self.events()
        where = {"where": list(self.conditions)} if self.conditions else {}
        return {**(which if isinstance(which, dict) else {"event": which}), **where}

    def events(self) -> str | list[str] | dict[str, Any] | None:
        """Which events, without the conditions that all of them must meet: what a clause is named by."""
        if self.alternatives:
            return {"any_of": [each.spec() for each in self.alternatives]}
        return event_of(self.names)

    def _meeting(self, condition: Condition) -> Self:
        return dataclasses.replace(self, conditions=(*self.conditions, condition))


def place(lat: float, lon: float, meters: float, keys: tuple[str, str]) -> Condition:
    """The condition that two values are a place at most so many metres away."""
    return {"geo": {"lat": keys[0], "lon": keys[1]}, "within": {"lat": lat, "lon": lon, "meters": meters}}


def named(*names: str) -> Selector:
    """Events of any of these names."""
    if not names:
        raise ValueError("at least one name; any_event() selects all")
    return Selector(names)


def any_of(*alternatives: str | Selector) -> Selector:
    """Events that any of these means, each by its own names and conditions. What `where` then adds all must meet.

    >>> big = any_of(named("Charged").where("amount").gt(100), named("Subscribed").where("plan").eq("pro"))
    >>> big.where("country").eq("AT").spec()["where"]
    [{'property': 'country', 'op': 'eq', 'value': 'AT'}]
    """
    if not alternatives:
        raise ValueError("at least one alternative; any_event() selects all")
    selectors = map(to_selector, alternatives)
    return Selector(alternatives=tuple(part for each in selectors for part in _side_by_side(each)))


def _side_by_side(selector: Selector) -> tuple[Selector, ...]:
    if selector.alternatives and selector.conditions:
        raise ValueError("alternatives stand side by side: give each of them its conditions")
    return selector.alternatives or (selector,)


def any_event() -> Selector:
    """Every event, whatever its name."""
    return Selector()


def to_selector(selector: str | Selector) -> Selector:
    """The selector itself, or one for the name."""
    return named(selector) if isinstance(selector, str) else selector


def selector_of(events: tuple[str | Selector, ...]) -> Selector:
    """Events of any of these names, or of one selector; without any, any event."""
    match events:
        case (Selector() as selector,):
            return selector
        case _ if all(isinstance(each, str) for each in events):
            return Selector(tuple(map(str, events)))
        case _:
            return any_of(*events)


def event_of(names: tuple[str, ...]) -> str | list[str] | None:
    """How a spec writes these names."""
    match names:
        case ():
            return None
        case (name,):
            return name
        case _:
            return list(names)
