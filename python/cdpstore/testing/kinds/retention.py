"""Retention: a profile's start puts it into a cohort; a period counts it when it returned in it, later than its start.

When the return is the very selector of the start, every profile returns in period 0: that row is the cohort's size.
Periods without a return have no row.
"""

from typing import Any

from cdpstore.table import Table
from cdpstore.testing.predicates import selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import Fields, choice, integer, selector, unit, unsupported
from cdpstore.testing.view import View

__all__ = ["answer", "parse"]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """Start, return, interval, population, criterion, periods."""
    for name in ("breakdown", "limit"):
        if common[name] not in (None, []):
            unsupported(fields.path(name), f"retention has no {name} yet")
    start = fields.require("start", selector)
    return {
        "start": start,
        "return": fields.take("return", selector) or start,
        "interval": fields.require("interval", unit),
        "population": fields.take("population", choice(["first_in_range", "first_ever"])) or "first_in_range",
        "criterion": fields.take("criterion", choice(["on"])),
        "periods": fields.take("periods", integer(1, 65_534)),
    }


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Profiles that returned, by cohort and period, beside the size of the cohort."""
    calendar = view.calendar(spec["interval"])
    eligible: dict[int, int] = {}
    returned: dict[tuple[int, int], int] = {}
    for person in view.people:
        birth = _birth(view, person, spec)
        if birth is None:
            continue
        cohort = calendar.start(birth.time_ms)
        eligible[cohort] = eligible.get(cohort, 0) + 1
        for period in _periods(person, birth, calendar, spec):
            returned[cohort, period] = returned.get((cohort, period), 0) + 1
    rows = [[cohort, period, count, eligible[cohort]] for (cohort, period), count in sorted(returned.items())]
    return view.table(["cohort_ms", "period", "profiles", "eligible"], rows)


def _birth(view: View, person: Person, spec: dict[str, Any]) -> Row | None:
    starts = [row for row in person.rows if selects(spec["start"], row)]
    if spec["population"] == "first_ever":
        starts = starts[:1]
    return next((row for row in starts if view.in_range(row)), None)


def _periods(person: Person, birth: Row, calendar: Any, spec: dict[str, Any]) -> set[int]:
    later = [row for row in person.rows if row.event_order > birth.event_order and selects(spec["return"], row)]
    periods = {calendar.periods(birth.time_ms, row.time_ms) for row in later}
    if repr(spec["return"]) == repr(spec["start"]):
        periods.add(0)
    return {period for period in periods if spec["periods"] is None or period < spec["periods"]}
