"""Retention: a start puts a profile into a cohort; a cell counts it when it returned on, after or up to a period.

When the return is the very selector of the start, the start counts as a return of period 0: that row is the cohort's
size. Periods that count nobody have no row. `cpp/query/kinds/retention_ruled.cpp` has the same meaning in words.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.calendars import Calendar, shown_ms
from cdpstore.testing.event_spec import question_selector
from cdpstore.testing.predicates import selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import Fields, bad, boolean, choice, each, integer, name_of, unit, unsupported
from cdpstore.testing.values import Typed, exact_mean, exact_sum, is_number, typed
from cdpstore.testing.view import View, of_row, operand_names, operand_values, row_groups

__all__ = ["answer", "counted", "parse"]

_HOUR = 3_600_000
_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """Start, return, interval, and every rule; which of them go together."""
    start = fields.require("start", question_selector)
    returned = fields.take("return", question_selector) or start
    order = fields.take("order", choice(["later", "ignored"])) or "later"
    own = {
        "start": start,
        "return": returned,
        "interval": fields.require("interval", unit),
        "population": fields.take("population", choice(["first_in_range", "first_ever", "every_period"]))
        or "first_in_range",
        "alignment": fields.take("alignment", choice(["calendar", "rolling", "rolling_hour"])) or "calendar",
        "criterion": fields.take("criterion", _criterion) or "on",
        "min_count": fields.take("min_count", integer(1, 1_000_000_000)) or 1,
    }
    count_birth = fields.take("count_birth", boolean)
    own["count_birth"] = repr(returned) == repr(start) if count_birth is None else count_birth
    own["order"], own["fill"] = order, fields.take("fill", boolean) or False
    own["share_value"] = fields.take("share_value", boolean) or False
    own["periods"] = fields.take("periods", integer(1, 65_534))
    own["measures"] = fields.take("measures", each(_measure, 1, 16)) or []
    if own["share_value"] and not any(of_row(operand) for operand in common["breakdown"]):
        bad(fields.path("share_value"), "there is no breakdown by a property")
    if isinstance(own["criterion"], list) and own["periods"] is not None:
        bad(fields.path("periods"), "brackets say which periods")
    if common["limit"] is not None and not common["breakdown"]:
        unsupported(fields.path("limit"), "retention has no limit without a breakdown")
    return own


def _measure(node: Any, path: str) -> tuple[str, str]:
    if not isinstance(node, Mapping) or len(node) != 1 or next(iter(node)) not in ("sum", "mean"):
        bad(path, "expected sum or mean of a property")
    ((name, key),) = node.items()
    return name, name_of(key, f"{path}.{name}")


def _criterion(node: Any, path: str) -> Any:
    if not isinstance(node, Mapping):
        return choice(["on", "on_or_after", "on_or_before", "streak"])(node, path)
    fields = Fields(node, path)
    parsed = fields.require("brackets", each(_bracket, 1, 100))
    fields.done()
    return parsed


def _bracket(node: Any, path: str) -> tuple[int, int]:
    if not isinstance(node, list | tuple) or len(node) != 2:
        bad(path, "expected two periods")
    first = integer(0, 65_534)(node[0], f"{path}[0]")
    return first, integer(first, 65_534)(node[1], f"{path}[1]")


@dataclasses.dataclass
class _Cohort:
    """Births with their periods."""

    members: list["_Member"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Member:
    profile_id: int
    returns: list[int]  # the period of each
    rows: list[Row]  # of each
    now_period: int


class _Ends:
    """Where the periods of one birth lie."""

    def __init__(self, view: View, zone: str | None, birth: Row, spec: dict[str, Any]) -> None:
        self._zone, self._birth = zone, birth
        self._unit, self._rolls = spec["interval"], spec["alignment"] != "calendar"
        self._calendar = view.calendar(self._unit)
        self._from_ms = birth.time_ms
        if spec["alignment"] == "rolling_hour":
            self._from_ms = Calendar("hour", zone=zone or view.zone).start(birth.time_ms)
        match self._unit:
            case "hour":
                self._length = _HOUR
            case {"days": days}:
                self._length = days * 24 * _HOUR
            case _:
                self._length = _DAYS[self._unit] * 24 * _HOUR

    def has_begun(self, row: Row, birth: Row) -> bool:
        """Whether another row lies in period 0 or behind it."""
        if self._rolls:
            return row is not birth and row.time_ms >= self._from_ms
        return row is not birth and row.clock_ms >= self._calendar.start(birth.clock_ms)

    def period(self, time_ms: int) -> int:
        """Of an instant at or behind the birth."""
        if self._rolls:
            return (time_ms - self._from_ms) // self._length
        shown = time_ms if self._zone is None else shown_ms(self._zone, time_ms)
        return self._calendar.periods(self._birth.clock_ms, shown)


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Profiles that returned, by group, cohort and period, beside the size of the cohort and how many have it over."""
    calendar = view.calendar(spec["interval"])
    cohorts: dict[tuple[Typed, ...], dict[int, _Cohort]] = {}
    values: dict[tuple[Typed, ...], list[Any]] = {}
    for person in view.people:
        for birth in _births(view, person, spec):
            member = _member(view, person, birth, spec)
            for key, group in row_groups(view, spec["breakdown"], person, birth).items():
                values.setdefault(key, group)
                cohort = cohorts.setdefault(key, {}).setdefault(calendar.start(birth.clock_ms), _Cohort())
                cohort.members.append(member)
    rows = [
        [*named, start_ms, *cell]
        for named, group_cohorts in _groups(cohorts, values, spec)
        for start_ms, cohort in sorted(group_cohorts.items())
        for cell in _cells(cohort, spec)
    ]
    names = [*operand_names(spec["breakdown"]), "cohort_ms", "period", "profiles", "eligible", "elapsed"]
    names += [f"{name}({key})" for name, key in spec["measures"]]
    return view.table(names, rows)


def _births(view: View, person: Person, spec: dict[str, Any]) -> Iterator[Row]:
    starts = [row for row in person.rows if selects(spec["start"], row)]
    if spec["population"] == "first_ever":
        starts = starts[:1]
    inside = [row for row in starts if view.in_range(row)]
    if spec["population"] != "every_period":
        yield from inside[:1]
        return
    calendar, seen = view.calendar(spec["interval"]), set[int]()
    for row in inside:
        if calendar.start(row.clock_ms) not in seen:
            seen.add(calendar.start(row.clock_ms))
            yield row


def _member(view: View, person: Person, birth: Row, spec: dict[str, Any]) -> _Member:
    ends = _Ends(view, person.zone, birth, spec)
    compared = [operand for operand in spec["breakdown"] if of_row(operand)]
    later = [
        row
        for row in person.rows
        if (row.event_order > birth.event_order or (spec["order"] == "ignored" and ends.has_begun(row, birth)))
        and row.time_ms <= view.now_ms
        and selects(spec["return"], row)
        and not (spec["share_value"] and any(_differs(view, person, row, birth, operand) for operand in compared))
    ]
    returns = [*([(0, birth)] if spec["count_birth"] else []), *((ends.period(row.time_ms), row) for row in later)]
    returns.sort(key=lambda each_return: each_return[0])
    periods, rows = [period for period, _ in returns], [row for _, row in returns]
    return _Member(person.profile_id, periods, rows, ends.period(view.now_ms))


def _differs(view: View, person: Person, left: Row, right: Row, operand: dict[str, Any]) -> bool:
    of_left, of_right = ({*map(typed, operand_values(view, operand, person, row))} for row in (left, right))
    return of_left != of_right


def counted(spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The question that counts each group over the whole range, and the column that does."""
    births = {"return": spec["start"], "count_birth": True, "criterion": "on", "min_count": 1, "periods": 1}
    return {
        **spec,
        **births,
        "alignment": "calendar",
        "order": "later",
        "fill": False,
        "share_value": False,
    }, "eligible"


def _cells(cohort: _Cohort, spec: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    brackets = spec["criterion"] if isinstance(spec["criterion"], list) else None
    last = max(max([member.now_period, *member.returns]) for member in cohort.members)
    periods = range(len(brackets)) if brackets else range(min(last + 1, spec["periods"] or last + 1))
    for period in periods:
        first, end = brackets[period] if brackets else (period, period)
        count = sum(_counts(member, first, end, spec) for member in cohort.members)
        over = sum(member.now_period > end for member in cohort.members)
        if count or spec["fill"]:
            yield period, count, len(cohort.members), over, *_amounts(cohort, first, end, spec)


def _amounts(cohort: _Cohort, first: int, last: int, spec: dict[str, Any]) -> Iterator[Any]:
    rows = [
        row
        for member in cohort.members
        if _counts(member, first, last, spec)
        for period, row in zip(member.returns, member.rows, strict=True)
        if _lies_in(period, first, last, spec["criterion"])
    ]
    for name, key in spec["measures"]:
        numbers = [row.properties[key] for row in rows if is_number(row.properties.get(key))]
        if name == "sum":
            yield exact_sum(numbers)
        else:
            yield exact_mean(numbers) if numbers else None


def _lies_in(period: int, first: int, last: int, criterion: Any) -> bool:
    match criterion:
        case "on_or_after":
            return period >= first
        case "on_or_before":
            return period <= first
        case _:
            return first <= period <= last


def _counts(member: _Member, first: int, last: int, spec: dict[str, Any]) -> bool:
    """Whether the member is counted in the period, or bracket."""
    wanted, returns = int(spec["min_count"]), member.returns
    match spec["criterion"]:
        case "on_or_after":
            return sum(period >= first for period in returns) >= wanted
        case "on_or_before":
            return first <= member.now_period and sum(period <= first for period in returns) >= wanted
        case "streak":
            return all(returns.count(period) >= wanted for period in range(1, first + 1))
        case _:
            return sum(first <= period <= last for period in returns) >= wanted


def _groups(
    cohorts: dict[tuple[Typed, ...], dict[int, _Cohort]],
    values: dict[tuple[Typed, ...], list[Any]],
    spec: dict[str, Any],
) -> list[tuple[list[Any], dict[int, _Cohort]]]:
    def size(key: tuple[Typed, ...]) -> int:
        return sum(len(cohort.members) for cohort in cohorts[key].values())

    ranked, limit = sorted(cohorts, key=lambda key: (-size(key), key)), spec["limit"]
    shown = ranked if limit is None else ranked[:limit]
    out = [(values[key], cohorts[key]) for key in shown]
    rest: dict[int, _Cohort] = {}
    for key in ranked[len(shown) :]:
        for start_ms, cohort in cohorts[key].items():
            of_rest = rest.setdefault(start_ms, _Cohort()).members
            there = {member.profile_id for member in of_rest}  # once, however many of the groups it is in
            of_rest += [member for member in cohort.members if member.profile_id not in there]
    return [*out, (["other"] * len(spec["breakdown"]), rest)] if rest else out
