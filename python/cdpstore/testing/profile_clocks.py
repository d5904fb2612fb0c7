"""Questions on each profile's own clock: its rows at the times that the clock showed.

`cpp/query/kinds/profile_clock.hpp` has the same meaning in words.
"""

import dataclasses
from typing import Any, Final

from cdpstore.testing.calendars import Moment, absolute, shown_ms
from cdpstore.testing.local_clauses import zone_kept
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import unsupported
from cdpstore.testing.view import View, resolved

__all__ = ["check_clock", "on_own_clock", "with_clocks"]

_DAY: Final = 86_400_000
_RULES: Final = ("cumulative", "rolling", "moving_mean", "fill", "previous")


def check_clock(kind: str, spec: dict[str, Any], common: dict[str, Any]) -> None:
    """Refuses what has no meaning on the clocks of profiles."""
    if kind not in ("trend", "funnel", "retention"):
        unsupported("zone", "a zone kept in a trait is for trends, funnels and retention")
    if "zone" in (spec.get("range") or {}):
        unsupported("range.zone", "the range has no zone of its own")
    for at, operand in enumerate(common["breakdown"]):
        if "time" not in operand and (operand.get("groups") or {}).get("unit"):
            unsupported(f"breakdown[{at}].unit", "datetimes have no unit on the clocks of profiles yet")
    for name in _RULES:
        if kind == "trend" and spec.get(name):
            unsupported(name, "its buckets are those that hold events")


def on_own_clock(person: Person, common: dict[str, Any], now_ms: int) -> Person:
    """The profile with its rows as its clock showed them."""
    zone = zone_kept(common["clock"], person.traits) or "UTC"
    asked = common["range"] or {}
    of_clocks = "start_ms" in asked or "end_ms" in asked or "unit" in asked
    shown_now = shown_ms(zone, now_ms)
    given = absolute(asked, Moment(shown_now, "UTC", common["week_start"])) if asked else asked
    start_ms, end_ms = resolved(given, now_ms)

    def placed(row: Row) -> Row:
        shown = shown_ms(zone, row.time_ms)
        is_inside = start_ms <= row.time_ms < end_ms
        if of_clocks:
            least, behind = given.get("start_ms"), given.get("end_ms")
            is_inside = (least is None or shown >= least) and (behind is None or shown < behind)
        return dataclasses.replace(row, shown_ms=shown, is_inside=is_inside and row.time_ms <= now_ms)

    return dataclasses.replace(person, zone=zone, rows=[placed(row) for row in person.rows])


def with_clocks(view: View, common: dict[str, Any]) -> View:
    """What a question sees on the clocks of profiles: any time they may show."""
    people = [on_own_clock(person, common, view.now_ms) for person in view.people]
    return dataclasses.replace(
        view,
        people=people,
        zone="UTC",
        start_ms=-(10**15),
        end_ms=view.now_ms + 2 * _DAY,
        origin_ms=_steps_origin_ms(common, view.now_ms),
    )


def _steps_origin_ms(common: dict[str, Any], now_ms: int) -> int:
    """The range's start as the clock shows it of those who have none."""
    zone = common["zone"]
    asked = common["range"] or {}
    given = absolute(asked, Moment(shown_ms(zone, now_ms), "UTC", common["week_start"])) if asked else asked
    if "start_ms" in asked or "end_ms" in asked or "unit" in asked:
        return int(given.get("start_ms") or 0)
    start_ms = resolved(given, now_ms)[0]
    return shown_ms(zone, start_ms) if start_ms >= 0 else 0
