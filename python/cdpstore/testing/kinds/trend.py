"""Trend: rows of each series in the range, by bucket and breakdown, each line measured on the rows of its window."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.calendars import Calendar
from cdpstore.testing.kinds.trend_formula import formula
from cdpstore.testing.predicates import selects
from cdpstore.testing.quantiles import is_quantile, quantile
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import Fields, bad, boolean, choice, each, integer, name_of, selector, unit
from cdpstore.testing.values import Typed, exact_mean, exact_sum, is_number, typed
from cdpstore.testing.view import View, operand_names, operand_values

__all__ = ["answer", "parse"]

_OTHER = "other"
_OPEN_MS = -(10**14)

Hit = tuple[Person, Row]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - the contract of kinds
    """Series, measures, interval, order, window, formulas."""
    several = fields.has("events")
    if several and fields.has("event"):
        bad(fields.path("events"), "either event or events, not both")
    if several:
        series = fields.require("events", each(_series, 1, 26))
    else:
        series = [fields.require("event", lambda node, path: _series(node, path, may_be_named=False))]
    for at, one in enumerate(series):
        one["name"] = one["name"] or chr(ord("A") + at)
        if one["name"] in [before["name"] for before in series[:at]]:
            bad(fields.path(f"events[{at}]"), "two series of one name")
    measures = fields.take("measures", each(_measure, 1, 64)) or ["total"]
    interval = fields.take("interval", _interval)
    order = fields.take("order", integer(0, len(measures) - 1)) or 0
    cumulative = fields.take("cumulative", boolean) or False
    rolling = fields.take("rolling", integer(2, 366))
    fill = fields.take("fill", boolean) or False
    if cumulative and rolling:
        bad(fields.path("rolling"), "either cumulative or rolling, not both")
    for name, given in (("cumulative", cumulative), ("rolling", rolling), ("fill", fill)):
        if given and interval is None:
            bad(fields.path(name), "needs an interval")
    texts = fields.take("formula", each(lambda node, path: (node, path), 1, 16)) or []
    formulas = [(text, formula(text, path, len(series), [*map(_title, measures)])) for text, path in texts]
    return {
        "series": series,
        "lists_series": several,
        "measures": measures,
        "interval": interval,
        "order": order,
        "window": 0 if cumulative else rolling or 1,
        "fill": fill,
        "formulas": formulas,
    }


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Every line whose window holds rows (or that is filled); what ranks below a limit becomes one exact `other`."""
    breakdown, interval = spec["breakdown"], spec["interval"]
    units = interval if isinstance(interval, list) else [interval]
    hits = [_hits(view, series) for series in spec["series"]]
    axes = [_Axis(view, spec, each_unit, hits) for each_unit in units]
    groups = _groups(view, hits, axes, spec)
    head = [*(["interval"] if isinstance(interval, list) else []), *(["start_ms"] if interval else [])]
    head += operand_names(breakdown)
    rows: list[list[Any]] = []

    def place(index: int, start_ms: int | None, values: list[Any]) -> list[Any]:
        of_unit = [index] if isinstance(interval, list) else []
        return [*of_unit, *([] if start_ms is None else [start_ms]), *values]

    if spec["formulas"]:
        for index, axis in enumerate(axes):
            for values, keys in groups:
                lines: dict[int | None, list[Any]] = {}
                nothing = [_measured(measure, []) for measure in spec["measures"]]
                for at, of_series in enumerate(hits):
                    for start_ms, held in axis.lines(_of_group(of_series, breakdown, keys), spec):
                        line = lines.setdefault(start_ms, [nothing] * len(hits))
                        line[at] = [_measured(measure, held) for measure in spec["measures"]]
                for start_ms in sorted(lines, key=lambda start: start or 0):
                    numbers = [compute(lines[start_ms]) for _, compute in spec["formulas"]]
                    rows.append([*place(index, start_ms, values), *numbers])
        return view.table([*head, *(text for text, _ in spec["formulas"])], rows)
    for series, of_series in zip(spec["series"], hits, strict=True):
        for index, axis in enumerate(axes):
            for values, keys in groups:
                for start_ms, held in axis.lines(_of_group(of_series, breakdown, keys), spec):
                    cells = [_measured(measure, held) for measure in spec["measures"]]
                    named = [series["name"]] if spec["lists_series"] else []
                    rows.append([*named, *place(index, start_ms, values), *cells])
    return view.table([*(["series"] if spec["lists_series"] else []), *head, *map(_title, spec["measures"])], rows)


def _series(node: Any, path: str, *, may_be_named: bool = True) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {**selector(node, path), "first": None, "name": None}
    own = dict(node)
    fields = Fields({key: own.pop(key) for key in ("first", "name") if key in own}, path)
    if not may_be_named and "name" in node:
        own["name"] = node["name"]
        fields.take_null("name")
    return {
        **selector(own, path),
        "first": fields.take("first", choice(("event", "matching"))),
        "name": fields.take("name", name_of),
    }


def _measure(node: Any, path: str) -> Any:
    if node in ("total", "unique"):
        return node
    if not isinstance(node, dict) or len(node) != 1:
        bad(path, "expected a measure")
    ((name, of),) = node.items()
    if name == "per_profile":
        if not isinstance(of, str) or not (of in ("mean", "min", "max") or is_quantile(of)):
            bad(f"{path}.{name}", "expected mean, min, max, median or p90 (any quantile)")
        return node
    if not isinstance(name, str) or not (name in ("sum", "mean", "min", "max", "distinct") or is_quantile(name)):
        bad(path, "expected a measure")
    return {name: name_of(of, f"{path}.{name}")}


def _interval(node: Any, path: str) -> Any:
    return each(unit, 1, 8)(node, path) if isinstance(node, list) else unit(node, path)


def _title(measure: Any) -> str:
    if isinstance(measure, str):
        return measure
    name, key = next(iter(measure.items()))
    return f"{name}({key})"


def _hits(view: View, series: dict[str, Any]) -> list[Hit]:
    """The rows a series means, whenever they were; of a series of first rows one a profile at most."""
    hits: list[Hit] = []
    for person in view.people:
        rows = [row for row in person.rows if row.time_ms <= view.now_ms]
        matching = [row for row in rows if selects(series, row)]
        if series["first"] == "matching":
            matching = matching[:1]
        elif series["first"] == "event":
            first = next((row for row in rows if selects({**series, "where": []}, row)), None)
            matching = [row for row in matching if row is first]
        hits += [(person, row) for row in matching]
    return hits


class _Axis:
    """The lines of one interval, in order of time."""

    def __init__(self, view: View, spec: dict[str, Any], unit: Any, hits: Sequence[Sequence[Hit]]) -> None:
        self._view, self._calendar = view, view.calendar(unit) if unit else None
        self._counts_before = spec["window"] > 1
        everything = [row for of_series in hits for _, row in of_series if row.time_ms < view.end_ms]
        is_open = view.start_ms < _OPEN_MS
        if self._calendar is None:
            self._starts: list[int] = []
            self._first = 0
            return
        times = [row.time_ms for row in everything]
        if not is_open:
            times.append(view.start_ms)
        last_ms = view.end_ms - 1
        if spec["window"] == 1 and not spec["fill"]:
            last_ms = max((row.time_ms for row in everything), default=view.start_ms - 1)
        self._starts = list(_buckets(self._calendar, min(times), last_ms)) if times and min(times) <= last_ms else []
        first_ms = self._calendar.start(min(times) if is_open and times else view.start_ms) if times else 0
        self._first = sum(start < first_ms for start in self._starts)
        self._window = spec["window"]

    def held(self, hits: Sequence[Hit]) -> list[Hit]:
        """The rows that count for some line."""
        if self._calendar is None:
            return [hit for hit in hits if self._view.in_range(hit[1])]
        reach = self._starts[max(self._first - self._window + 1, 0)] if self._counts_before and self._starts else None
        return [
            hit
            for hit in hits
            if self._view.in_range(hit[1]) or (reach is not None and reach <= hit[1].time_ms < self._view.start_ms)
        ]

    def lines(self, hits: Sequence[Hit], spec: dict[str, Any]) -> Iterator[tuple[int | None, list[Hit]]]:
        """(start, rows of its window) of every line."""
        held = self.held(hits)
        if self._calendar is None:
            if held or not spec["breakdown"]:
                yield None, held
            return
        bucket_of = [(self._calendar.start(hit[1].time_ms), hit) for hit in held]
        for index in range(self._first, len(self._starts)):
            first = 0 if self._window == 0 else max(index - self._window + 1, 0)
            window = [hit for start, hit in bucket_of if self._starts[first] <= start <= self._starts[index]]
            if window or spec["fill"]:
                yield self._starts[index], window


def _buckets(calendar: Calendar, first_ms: int, last_ms: int) -> Iterator[int]:
    start_ms = calendar.start(first_ms)
    while start_ms <= last_ms:
        yield start_ms
        start_ms = calendar.next_start(start_ms)


def _key(person: Person, row: Row, breakdown: Any) -> tuple[Typed, ...]:
    return tuple(map(typed, operand_values(breakdown, person, row)))


def _of_group(hits: Sequence[Hit], breakdown: Any, keys: set[tuple[Typed, ...]]) -> list[Hit]:
    return [hit for hit in hits if _key(*hit, breakdown) in keys]


def _groups(
    view: View, hits: Sequence[Sequence[Hit]], axes: Sequence[_Axis], spec: dict[str, Any]
) -> list[tuple[list[Any], set[tuple[Typed, ...]]]]:
    """(breakdown values, their keys), ranked by the first series over the range; under a limit the last is `other`."""
    breakdown = spec["breakdown"]
    found: dict[tuple[Typed, ...], list[Any]] = {}
    for of_series in hits:
        for person, row in [hit for axis in axes for hit in axis.held(of_series)]:
            found.setdefault(_key(person, row, breakdown), list(operand_values(breakdown, person, row)))
    if not breakdown:
        return [([], {()})]
    measure = spec["measures"][spec["order"]]
    in_range = [hit for hit in hits[0] if view.in_range(hit[1])]
    ranked = sorted(
        found, key=lambda key: (_descending(_measured(measure, _of_group(in_range, breakdown, {key}))), [*key])
    )
    limit = spec["limit"]
    if limit is None or len(ranked) <= limit:
        return [(found[key], {key}) for key in ranked]
    best = [(found[key], {key}) for key in ranked[:limit]]
    return [*best, ([_OTHER] * len(breakdown), set(ranked[limit:]))]


def _descending(value: Any) -> tuple[bool, Any]:
    return (True, 0) if value is None else (False, -value)


def _measured(measure: Any, hits: Sequence[Hit]) -> Any:
    match measure:
        case "total":
            return len(hits)
        case "unique":
            return len({person.profile_id for person, _ in hits})
        case {"per_profile": statistic}:
            return _statistic(statistic, [*Counter(person.profile_id for person, _ in hits).values()])
    name, key = next(iter(measure.items()))
    values = [row.properties.get(key) for _, row in hits]
    if name == "distinct":
        return len({typed(value) for value in values if value is not None})
    numbers = [value for value in values if is_number(value)]
    return exact_sum(numbers) if name == "sum" else _statistic(name, numbers)


def _statistic(name: str, numbers: Sequence[int | float]) -> Any:
    match name:
        case "mean":
            return exact_mean(numbers)
        case "min":
            return min(numbers, default=None)
        case "max":
            return max(numbers, default=None)
        case _:
            return quantile(numbers, name) if numbers else None
