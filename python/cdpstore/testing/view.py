"""What a query sees: the profiles of `where` at one instant, and the range resolved."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from cdpstore.model import datetime_of
from cdpstore.table import Table
from cdpstore.testing.calendars import Calendar
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import bad
from cdpstore.testing.value_groups import grouped
from cdpstore.testing.values import Typed, typed

__all__ = ["View", "of_row", "operand_names", "operand_values", "resolved", "row_groups"]

_ALWAYS_MS = 10**15


@dataclasses.dataclass(frozen=True)
class View:
    """`people` passed `where`; `start_ms` and `end_ms` are the range, half-open, its end at most now + 1."""

    people: list[Person]
    watermark: int
    now_ms: int
    start_ms: int
    end_ms: int
    zone: str
    week_start: str
    is_broken_down: bool = False
    origin_ms: int | None = None  # what steps of days are counted from, where that is not the start
    segments: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)  # names, by column of a breakdown

    def in_range(self, row: Row) -> bool:
        """Whether the row's time lies in the range."""
        return self.start_ms <= row.time_ms < self.end_ms if row.is_inside is None else row.is_inside

    def calendar(self, unit: Any) -> Calendar:
        """The unit in the query's zone; `{"days": n}` counts from the range's start."""
        origin_ms = self.start_ms if self.origin_ms is None else self.origin_ms
        return Calendar(unit, zone=self.zone, week_start=self.week_start, origin_ms=max(origin_ms, 0))

    def table(self, names: Sequence[str], rows: Sequence[Sequence[Any]], **notes: Any) -> Table:
        """The answer as a table of this view."""
        twice = [name for name in names if list(names).count(name) > 1]
        if twice:
            bad("breakdown" if self.is_broken_down else "measures", f"two columns would be named {twice[0]!r}")
        columns = [self.segments.get(name) for name in names]
        rows = [[_told(cell, of) for cell, of in zip(row, columns, strict=True)] for row in rows]
        return Table.from_rows(names, rows, watermark=self.watermark, now_ms=self.now_ms, notes=notes)


def resolved(time_range: dict[str, Any] | None, now_ms: int) -> tuple[int, int]:
    """[start, end) of a range at this instant."""
    given = time_range or {}
    if "last" in given:
        return now_ms + 1 - given["last"], now_ms + 1 - given["until"]
    start_ms, end_ms = given.get("start_ms"), given.get("end_ms")
    return (
        -_ALWAYS_MS if start_ms is None else start_ms,
        now_ms + 1 if end_ms is None else min(end_ms, now_ms + 1),
    )


def operand_names(breakdown: Sequence[dict[str, Any]]) -> list[str]:
    """Column names of a breakdown."""
    return [operand["name"] for operand in breakdown]


def of_row(operand: dict[str, Any]) -> bool:
    """Whether the operand is of the event, not of the profile."""
    return any(of in operand for of in ("property", "time", "event")) or operand.get("at") == "event"


def operand_values(view: View, operand: dict[str, Any], person: Person, row: Row) -> list[Any]:
    """The groups of an operand that a row of a profile is in; None alone where there is none."""
    match operand:
        case {"segments": _} | {"group": _}:
            return [person.members[operand["name"]]]
        case {"property": key}:
            value = row.properties.get(key)
        case {"trait": key, "at": "event"}:
            value = person.traits_when(row.origin, row.time_ms).get(key)
        case {"trait": key}:
            value = person.traits.get(key)
        case {"event": _}:
            return [row.name]
        case _:
            value = datetime_of(row.clock_ms)
    return grouped(operand["groups"], value, view.calendar)


def row_groups(
    view: View, breakdown: Sequence[dict[str, Any]], person: Person, row: Row
) -> dict[tuple[Typed, ...], list[Any]]:
    """Every combination of them, by its key."""
    several = itertools.product(*(operand_values(view, operand, person, row) for operand in breakdown))
    return {tuple(map(typed, values)): list(values) for values in several}


def _told(cell: Any, names: list[str] | None) -> Any:
    return names[cell] if names is not None and isinstance(cell, int) else cell
