"""How much of what a profile does is of one sort.

>>> mostly("Viewed", within="90d").of("category", "shoes", "bags").spec()["predominantly"]["values"]
['shoes', 'bags']
>>> share_of("Opened").at_hours((9, 18), zone="Europe/Vienna").ge(0.5).spec()["share"]["hours"]
[[9, 18]]
"""

import dataclasses
from typing import Any, Generic, TypeVar

from cdpstore.query.comparison import Threshold
from cdpstore.query.predicate import Predicate
from cdpstore.query.selector import Selector, to_selector
from cdpstore.query.zone import ZoneOf

__all__ = ["Split", "mostly", "share_of"]

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True, slots=True)
class _Share(Predicate):
    word: str
    fields: tuple[tuple[str, Any], ...]

    def spec(self) -> dict[str, Any]:
        return {self.word: dict(self.fields)}


@dataclasses.dataclass(frozen=True, slots=True)
class Split(Generic[Result]):
    """The events looked at; completed by what sort of them is asked for."""

    word: str
    found: tuple[tuple[str, Any], ...]

    def of(self, key: str, *values: Any) -> Result:
        """Those whose property is one of the values."""
        return self._finish(property=key, values=list(values))

    def at_hours(self, *spans: tuple[int | str, int | str], zone: ZoneOf | None = None) -> Result:
        """Those of these hours of the local clock, from included to excluded."""
        return self._finish(hours=[list(span) for span in spans], **_zone(zone))

    def on_weekdays(self, *days: str, zone: ZoneOf | None = None) -> Result:
        """Those of these local days of the week."""
        return self._finish(weekdays=list(days), **_zone(zone))

    def _finish(self, **sort: Any) -> Result:
        fields = (*self.found, *sort.items())
        if self.word == "predominantly":
            return _Share(self.word, fields)  # type: ignore[return-value]
        return Threshold(lambda test: _Share(self.word, (*fields, *test.items())))  # type: ignore[return-value]


def mostly(event: str | Selector, *, within: str | int | None = None) -> Split[Predicate]:
    """No other value (hour, day of the week) has more of the profile's events than these together; ties qualify."""
    return Split("predominantly", _found(event, within))


def share_of(event: str | Selector, *, within: str | int | None = None) -> Split[Threshold[Predicate]]:
    """The part, 0 to 1, of the profile's events that are of the sort; never true where there are no events."""
    return Split("share", _found(event, within))


def _found(event: str | Selector, within: str | int | None) -> tuple[tuple[str, Any], ...]:
    window = [] if within is None else [("window", {"last": within})]
    return *to_selector(event).fields().items(), *window


def _zone(zone: ZoneOf | None) -> dict[str, Any]:
    return {} if zone is None else {"zone": zone}
