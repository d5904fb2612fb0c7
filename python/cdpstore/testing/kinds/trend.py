"""Trend: rows of each series in the range, by bucket and breakdown, each line measured on the rows of its window."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.calendars import Calendar
from cdpstore.testing.event_spec import question_selector
from cdpstore.testing.kinds import previous_range
from cdpstore.testing.kinds.trend_formula import formula
from cdpstore.testing.predicates import selects
from cdpstore.testing.quantiles import is_quantile, quantile
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import Fields, bad, boolean, choice, each, integer, interval, name_of
from cdpstore.testing.values import Typed, exact_mean, exact_sum, is_number, typed
from cdpstore.testing.view import View, operand_names, row_groups

__all__ = ["answer", "counted", "parse"]

_OTHER = "other"
_OPEN_MS = -(10**14)

Hit = tuple[Person, Row]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """Series, measures, interval, order, window, what to compare with, formulas."""
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
    moving_mean = fields.take("moving_mean", integer(2, 366))
    if moving_mean and (cumulative or rolling):
        bad(fields.path("moving_mean"), "the buckets of a moving mean stand alone")
    windows = {"cumulative": cumulative, "rolling": rolling, "moving_mean": moving_mean, "fill": fill}
    for name, given in windows.items():
        if given and interval is None:
            bad(fields.path(name), "needs an interval")
    previous = fields.take("previous", previous_range.parse)
    if previous is not None and not previous_range.has_start(common["range"]):
        bad(fields.path("previous"), "only a range that has a start is compared")
    texts = fields.take("formula", each(lambda node, path: (node, path), 1, 16)) or []
    formulas = [(text, formula(text, path, len(series), [*map(_title, measures)])) for text, path in texts]
    return {
        "series": series,
        "lists_series": several,
        "measures": measures,
        "interval": interval,
        "order": order,
        "window": 0 if cumulative else rolling or 1,
        "moving_mean": moving_mean,
        "previous": previous,
        "fill": fill,
        "formulas": formulas,
    }


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Every line whose window holds rows (or that is filled); what ranks below a limit becomes one exact `other`."""
    breakdown, interval, formulas = spec["breakdown"], spec["interval"], spec["formulas"]
    units = interval if isinstance(interval, list) else [interval]
    hits = [_hits(view, series) for series in spec["series"]]
    axes = [_Axis(view, spec, each_unit, hits) for each_unit in units]
    earlier = [*_earlier(view, spec)]
    befores = [_Axis(each_view, spec, each_unit, hits) for each_view in earlier for each_unit in units]
    groups = _groups(view, hits, [*axes, *befores], spec)
    titles = [text for text, _ in formulas] or [*map(_title, spec["measures"])]
    rows: list[list[Any]] = []
    for at in [None] if formulas else range(len(hits)):
        for index, axis in enumerate(axes):
            for values, keys in groups:
                of_series = [_of_group(view, each, breakdown, keys) for each in (hits if at is None else [hits[at]])]
                nothing = _columns(spec, [[] for _ in of_series])
                nothing = [_mean([number]) for number in nothing] if spec["moving_mean"] else nothing
                own = _lines(axis, of_series, spec)
                compared = _lines(befores[index], of_series, spec) if befores else {}
                if interval is None and not breakdown:
                    own.setdefault(0, nothing)
                beside = _beside(view, spec, interval and units[index], axis, befores[index]) if befores else {}
                for place in sorted(own.keys() | {place for place, there in beside.items() if there in compared}):
                    line = [spec["series"][at]["name"]] if at is not None and spec["lists_series"] else []
                    line += [index] if isinstance(interval, list) else []
                    line += [axis.start(place)] if interval else []
                    there = beside.get(place)
                    line += [None if there is None else befores[index].start(there)] if befores and interval else []
                    line += [*values, *own.get(place, nothing)]
                    if befores:
                        line += [None] * len(titles) if there is None else compared.get(there, nothing)
                    rows.append(line)
    head = ["series"] if spec["lists_series"] and not formulas else []
    head += ["interval"] if isinstance(interval, list) else []
    head += ["start_ms", *(["previous_start_ms"] if befores else [])] if interval else []
    before_titles = [f"previous({title})" for title in titles] if befores else []
    notes = {"previous_start_ms": earlier[0].start_ms, "previous_end_ms": earlier[0].end_ms} if earlier else {}
    return view.table([*head, *operand_names(breakdown), *titles, *before_titles], rows, **notes)


def counted(spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The question that counts each group over the whole range, and the column that does."""
    plain: dict[str, Any] = {
        "interval": None,
        "window": 1,
        "moving_mean": None,
        "previous": None,
        "fill": False,
        "formulas": [],
    }
    own = {"series": spec["series"][:1], "lists_series": False, "measures": ["total"], "order": 0, **plain}
    return {**spec, **own}, "total"


def _earlier(view: View, spec: dict[str, Any]) -> Iterator[View]:
    """The view of the range that is compared with, if any."""
    if spec["previous"] is not None:
        start_ms, end_ms = previous_range.previous_range(spec["previous"], spec["range"], view)
        yield dataclasses.replace(view, start_ms=start_ms, end_ms=end_ms)


def _beside(view: View, spec: dict[str, Any], unit: Any, axis: "_Axis", before: "_Axis") -> dict[int, int]:
    """The line of the range before that each line is compared with, where there is one."""
    if unit is None:
        return {0: 0}
    starts, before_starts = ([each.start(place) for place in range(each.count)] for each in (axis, before))
    found = previous_range.compared_lines(spec["previous"], unit, starts, before_starts, view)
    return {place: there for place, there in enumerate(found) if there is not None}


def _columns(spec: dict[str, Any], of_series: Sequence[Sequence[Hit]]) -> list[Any]:
    """What these rows, a list a series, measure: a number a measure of the only series, or a number a formula."""
    measured = [[_measured(measure, rows) for measure in spec["measures"]] for rows in of_series]
    return [compute(measured) for _, compute in spec["formulas"]] or measured[0]


def _lines(axis: "_Axis", of_series: Sequence[Sequence[Hit]], spec: dict[str, Any]) -> dict[int, list[Any]]:
    """The columns of every line, by its place from the first."""
    lines: dict[int, list[Any]] = {}
    placed = [[(axis.place(hit), hit) for hit in axis.held(rows)] for rows in of_series]

    def rows(first: int, last: int) -> list[list[Hit]]:
        return [[hit for place, hit in each if first <= place <= last] for each in placed]

    for place in range(axis.count):
        if spec["moving_mean"]:
            first = place - spec["moving_mean"] + 1
            buckets = [rows(at, at) for at in range(max(first, 0) if axis.is_open else first, place + 1)]
            if spec["fill"] or any(any(each) for each in buckets):
                lines[place] = [*map(_mean, zip(*(_columns(spec, each) for each in buckets), strict=True))]
            continue
        window = rows(place - spec["window"] + 1 if spec["window"] else 0, place)
        if spec["fill"] or any(window):
            lines[place] = _columns(spec, window)
    return lines


def _mean(numbers: Iterable[int | float | None]) -> float | None:
    kept = [number for number in numbers if number is not None]
    return exact_mean(kept) if all(map(math.isfinite, kept)) else None


def _series(node: Any, path: str, *, may_be_named: bool = True) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {**question_selector(node, path), "first": None, "name": None}
    own = dict(node)
    fields = Fields({key: own.pop(key) for key in ("first", "name") if key in own}, path)
    if not may_be_named and "name" in node:
        own["name"] = node["name"]
        fields.take_null("name")
    return {
        **question_selector(own, path),
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
    return each(interval, 1, 8)(node, path) if isinstance(node, list) else interval(node, path)


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
        self._reach = spec["moving_mean"] or spec["window"]
        self.is_open = view.start_ms < _OPEN_MS
        if self._calendar is None:
            self.count = 1
            return
        times = [row.clock_ms for of_series in hits for _, row in of_series if row.clock_ms < view.end_ms]
        last_ms = view.end_ms - 1
        if self._reach == 1 and not spec["fill"] and spec["previous"] is None:
            last_ms = max(times, default=view.start_ms - 1)
        times += [] if self.is_open else [view.start_ms]
        exist = view.start_ms < view.end_ms and bool(times) and min(times) <= last_ms
        self._starts = list(_buckets(self._calendar, min(times), last_ms)) if exist else []
        first_ms = self._calendar.start(min(times) if self.is_open and times else view.start_ms) if times else 0
        self._first = sum(start < first_ms for start in self._starts)
        self.count = len(self._starts) - self._first
        self._index = {start: index for index, start in enumerate(self._starts)}

    def start(self, place: int) -> int:
        """Where the bucket of a line begins."""
        return self._starts[self._first + place]

    def place(self, hit: Hit) -> int:
        """Which line's bucket a row lies in; below 0 before the first."""
        return self._index[self._calendar.start(hit[1].clock_ms)] - self._first if self._calendar else 0

    def held(self, hits: Sequence[Hit]) -> list[Hit]:
        """The rows that count for some line."""
        if any(row.is_inside is not None for _, row in hits):
            return [hit for hit in hits if self._view.in_range(hit[1])]
        looks_back = self._calendar is not None and self._reach > 1 and bool(self._starts)
        reach = self._starts[max(self._first - self._reach + 1, 0)] if looks_back else self._view.start_ms
        return [hit for hit in hits if reach <= hit[1].time_ms < self._view.end_ms]


def _buckets(calendar: Calendar, first_ms: int, last_ms: int) -> Iterator[int]:
    start_ms = calendar.start(first_ms)
    while start_ms <= last_ms:
        yield start_ms
        start_ms = calendar.next_start(start_ms)


def _of_group(view: View, hits: Sequence[Hit], breakdown: Any, keys: set[tuple[Typed, ...]]) -> list[Hit]:
    # A row counts once, however many of the groups it or its profile is in.
    held = {
        (person.profile_id, row.order): (person, row)
        for person, row in hits
        if keys & row_groups(view, breakdown, person, row).keys()
    }
    return list(held.values())


def _groups(
    view: View, hits: Sequence[Sequence[Hit]], axes: Sequence[_Axis], spec: dict[str, Any]
) -> list[tuple[list[Any], set[tuple[Typed, ...]]]]:
    """(breakdown values, their keys), ranked by the first series over the range; under a limit the last is `other`."""
    breakdown = spec["breakdown"]
    found: dict[tuple[Typed, ...], list[Any]] = {}
    for of_series in hits:
        for person, row in [hit for axis in axes for hit in axis.held(of_series)]:
            found = {**row_groups(view, breakdown, person, row), **found}
    if not breakdown:
        return [([], {()})]
    measure = spec["measures"][spec["order"]]
    in_range = [hit for hit in hits[0] if view.in_range(hit[1])]
    ranked = sorted(
        found, key=lambda key: (_descending(_measured(measure, _of_group(view, in_range, breakdown, {key}))), [*key])
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
