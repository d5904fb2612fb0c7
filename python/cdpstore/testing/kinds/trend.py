"""Trend: rows of the selector in the range, by bucket and breakdown, each cell measured on its own rows."""

from collections.abc import Sequence
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.predicates import selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import Fields, bad, each, integer, name_of, selector, unit
from cdpstore.testing.values import Typed, exact_mean, exact_sum, is_number, typed
from cdpstore.testing.view import View, operand_names, operand_values

__all__ = ["answer", "parse"]

_OTHER = "other"

Hit = tuple[Person, Row]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - the contract of kinds
    """Event, measures, interval, order."""
    measures = fields.take("measures", each(_measure, 1, 64)) or ["total"]
    return {
        "event": fields.require("event", selector),
        "measures": measures,
        "interval": fields.take("interval", _interval),
        "order": fields.take("order", integer(0, len(measures) - 1)) or 0,
    }


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Every bucket that has rows; under a limit, what ranks lower becomes one exact `other`."""
    breakdown, interval = spec["breakdown"], spec["interval"]
    hits = [
        (person, row)
        for person in view.people
        for row in person.rows
        if view.in_range(row) and selects(spec["event"], row)
    ]
    groups = _groups(hits, breakdown, spec)
    units = interval if isinstance(interval, list) else [interval]
    rows = [
        [*([index] if isinstance(interval, list) else []), *row]
        for index, each_unit in enumerate(units)
        for row in _series(view, each_unit, groups, spec)
    ]
    names = [*(["interval"] if isinstance(interval, list) else []), *(["start_ms"] if interval else [])]
    return view.table([*names, *operand_names(breakdown), *map(_title, spec["measures"])], rows)


def _measure(node: Any, path: str) -> Any:
    if node in ("total", "unique"):
        return node
    if not isinstance(node, dict) or list(node) not in (["sum"], ["mean"], ["min"], ["max"]):
        bad(path, "expected total, unique, or one of sum, mean, min, max with a property")
    ((name, key),) = node.items()
    return {name: name_of(key, f"{path}.{name}")}


def _interval(node: Any, path: str) -> Any:
    return each(unit, 1, 8)(node, path) if isinstance(node, list) else unit(node, path)


def _title(measure: Any) -> str:
    if isinstance(measure, str):
        return measure
    name, key = next(iter(measure.items()))
    return f"{name}({key})"


def _groups(hits: Sequence[Hit], breakdown: Any, spec: dict[str, Any]) -> list[tuple[list[Any], list[Hit]]]:
    """(breakdown values, hits), ranked; under a limit the last group is `other`."""
    found: dict[tuple[Typed, ...], tuple[list[Any], list[Hit]]] = {}
    for person, row in hits:
        values = list(operand_values(breakdown, person, row))
        found.setdefault(tuple(map(typed, values)), (values, []))[1].append((person, row))
    measure = spec["measures"][spec["order"]]
    ranked = sorted(
        found.values(),
        key=lambda group: (_descending(_measured(measure, group[1])), [*map(typed, group[0])]),
    )
    limit = spec["limit"]
    if limit is None or len(ranked) <= limit or not breakdown:
        return ranked
    rest = [hit for _, group in ranked[limit:] for hit in group]
    return [*ranked[:limit], ([_OTHER] * len(breakdown), rest)]


def _descending(value: Any) -> tuple[bool, Any]:
    return (True, 0) if value is None else (False, -value)


def _series(
    view: View, interval: Any, groups: Sequence[tuple[list[Any], list[Hit]]], spec: dict[str, Any]
) -> list[Any]:
    rows = []
    for values, hits in groups:
        buckets: dict[int | None, list[Hit]] = {}
        for person, row in hits:
            start = view.calendar(interval).start(row.time_ms) if interval else None
            buckets.setdefault(start, []).append((person, row))
        for start, held in buckets.items():
            cells = [_measured(measure, held) for measure in spec["measures"]]
            rows.append([*([] if start is None else [start]), *values, *cells])
    if not rows and not interval and not spec["breakdown"]:
        rows.append([_measured(measure, []) for measure in spec["measures"]])
    return rows


def _measured(measure: Any, hits: Sequence[Hit]) -> Any:
    match measure:
        case "total":
            return len(hits)
        case "unique":
            return len({person.profile_id for person, _ in hits})
    name, key = next(iter(measure.items()))
    numbers = [value for _, row in hits if is_number(value := row.properties.get(key))]
    match name:
        case "sum":
            return exact_sum(numbers)
        case "mean":
            return exact_mean(numbers)
        case "min":
            return min(numbers, default=None)
        case _:
            return max(numbers, default=None)
