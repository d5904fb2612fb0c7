"""Clauses on the events of one profile, by their definition."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from cdpstore.testing.durations import milliseconds
from cdpstore.testing.predicates import about_times, passes, selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.values import exact_mean, exact_sum, is_number, typed

__all__ = ["did", "did_not"]

MEASURES: Final = ("count", "sum", "mean", "min", "max", "distinct")


def _matching(clause: dict[str, Any], event: Any, person: Person, now_ms: int) -> list[Row]:
    selector = {"event": event, "where": clause.get("where")}
    return [
        row
        for row in person.rows
        if row.time_ms <= now_ms and _inside(clause.get("window"), row.time_ms, now_ms) and selects(selector, row)
    ]


def _inside(window: dict[str, Any] | None, time_ms: int, now_ms: int) -> bool:
    window = window or {}
    if "last" in window:
        return now_ms - milliseconds(window["last"]) < time_ms <= now_ms
    start_ms, end_ms = window.get("start_ms"), window.get("end_ms")
    return (start_ms is None or start_ms <= time_ms) and (end_ms is None or time_ms < end_ms)


def did_not(clause: dict[str, Any], person: Person, now_ms: int) -> bool:
    """Nothing of the kind in the window."""
    return not _matching(clause, clause["did_not"], person, now_ms)


def did(clause: dict[str, Any], person: Person, now_ms: int) -> bool:
    """The events found, measured."""
    rows = _matching(clause, clause["did"], person, now_ms)
    measures = {name: clause[name] for name in MEASURES if clause.get(name)}
    if not measures:
        return bool(rows)
    return all(passes(_measured(name, test, rows), {**test, "ignore_case": False}) for name, test in measures.items())


def _measured(name: str, test: dict[str, Any], rows: Sequence[Row]) -> Any:
    """The measure, exact and rounded once where it is a float; None when there is none."""
    if name == "count":
        return len(rows)
    values = [row.properties.get(test["property"]) for row in rows]
    if name == "distinct":
        return len({_distinct_key(value) for value in values if value is not None})
    numbers: list[Any] = [value for value in values if is_number(value)]
    if name == "sum":
        return exact_sum(numbers)
    if name in ("min", "max") and about_times(test["value"]):
        numbers = [value for value in values if isinstance(value, datetime)]
    if not numbers:
        return None
    match name:
        case "mean":
            return exact_mean(numbers)
        case "min":
            return min(numbers, key=_exact)
        case _:
            return max(numbers, key=_exact)


def _exact(value: Any) -> Any:
    return Fraction(value) if is_number(value) else value


def _distinct_key(value: Any) -> Any:
    """1 and 1.0 are one value here; true is another."""
    return ("number", Fraction(value)) if is_number(value) else typed(value)
