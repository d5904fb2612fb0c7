"""Events at times of the local clock, for clauses that take several selectors.

>>> timed_spec(at_times(named("Viewed"), hours=[(9, 18)], zone="Europe/Vienna"))
{'event': 'Viewed', 'at': {'hours': [[9, 18]], 'zone': 'Europe/Vienna'}}
>>> timed_spec("Viewed")
'Viewed'
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeAlias

from cdpstore.query.selector import Selector, named, to_selector
from cdpstore.query.zone import ZoneOf

__all__ = ["Timed", "at_times", "local_times", "named", "timed_spec"]


@dataclasses.dataclass(frozen=True, slots=True)
class TimedSelector:
    """A selector whose events are at some local times only."""

    selector: Selector
    times: tuple[tuple[str, Any], ...]

    def spec(self) -> dict[str, Any]:
        """The selector as a spec."""
        return {**self.selector.fields(), "at": dict(self.times)}


Timed: TypeAlias = Selector | TimedSelector


def at_times(
    event: str | Selector,
    *,
    hours: Sequence[Sequence[int | str]] | None = None,
    weekdays: Sequence[str] | None = None,
    days_of_month: Sequence[int] | None = None,
    months: Sequence[int] | None = None,
    zone: ZoneOf | None = None,
) -> TimedSelector:
    """The events of a selector at these times of the local clock, as `Did.at` has them."""
    times = local_times(hours, weekdays, days_of_month, months, zone)
    return TimedSelector(to_selector(event), tuple(times.items()))


def local_times(
    hours: Sequence[Sequence[int | str]] | None,
    weekdays: Sequence[str] | None,
    days_of_month: Sequence[int] | None,
    months: Sequence[int] | None,
    zone: ZoneOf | None,
) -> dict[str, Any]:
    """The field `at` of a spec."""
    given = {
        "hours": None if hours is None else [list(span) for span in hours],
        "weekdays": None if weekdays is None else list(weekdays),
        "days_of_month": None if days_of_month is None else list(days_of_month),
        "months": None if months is None else list(months),
        "zone": zone,
    }
    return {name: value for name, value in given.items() if value is not None}


def timed_spec(event: str | Timed) -> str | dict[str, Any]:
    """The spec of a name, a selector, or a selector at some times."""
    return event.spec() if isinstance(event, TimedSelector) else to_selector(event).spec()
