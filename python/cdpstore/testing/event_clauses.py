"""Clauses on the events of one profile, by their definition (`docs/architecture.md`, Events of a profile)."""

import math
from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Final

from cdpstore.model import datetime_of, milliseconds_of
from cdpstore.testing.calendars import WEEKDAYS, Moment, absolute
from cdpstore.testing.predicates import about_times, passes, selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.values import Typed, exact_mean, exact_sum, is_number, typed
from cdpstore.zones import zone_info

__all__ = ["did", "did_not", "predominantly", "regularly", "restarted", "sequence", "share", "stopped"]

_MEASURES: Final = ("count", "sum", "mean", "min", "max", "distinct")
_ALWAYS_MS: Final = 10**15


def did_not(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """Nothing of the kind in the window."""
    return not _found(clause, clause["did_not"], person, moment)


def did(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """The events found, measured."""
    rows = _found(clause, clause["did"], person, moment)
    truths = [
        *(passes(_measured(name, test, rows), test) for name, test in _asked(clause, _MEASURES)),
        *(passes(_at_end(name, rows, test), test) and bool(rows) for name, test in _asked(clause, ("first", "last"))),
        *(_time_passes(name, rows, test, moment) for name, test in _asked(clause, ("first_time", "last_time"))),
        *(passes(_distinct_days(rows, test, moment), test) for _, test in _asked(clause, ("distinct_days",))),
    ]
    if clause.get("include_zero") is False:
        truths.append(bool(rows))
    return all(truths) if truths else bool(rows)


def own(operand: dict[str, Any], person: Person, moment: Moment) -> Any:
    """An aggregate over the events found; None where it is missing, or beyond the floats."""
    rows = _found(operand, operand["did"], person, moment)
    name, key = operand["measure"]
    value = _measured(name, {"property": key, "value": None}, rows)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    return None if value in (math.inf, -math.inf) else value


def _asked(clause: dict[str, Any], names: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, clause[name]) for name in names if clause.get(name)]


def _found(clause: dict[str, Any], event: Any, person: Person, moment: Moment) -> list[Row]:
    """The events that a clause is about."""
    timed = {"event": event, "where": clause.get("where"), "at": clause.get("at")}
    seen = [row for row in person.rows if row.time_ms <= moment.now_ms]
    match clause.get("first_ever"):
        case "event":
            first = [row for row in seen if selects(event, row)][:1]
            rows = [row for row in first if _meets(timed, row, moment)]
        case "matching":
            rows = [row for row in seen if _meets(timed, row, moment)][:1]
        case _:
            rows = [row for row in seen if _meets(timed, row, moment)]
    rows = [row for row in rows if _inside(clause.get("window"), row.time_ms, person, moment)]
    if clause.get("not_followed_by") is None:
        return rows
    return [row for row in rows if _is_abandoned(clause, row, person, moment)]


def _meets(timed: dict[str, Any], row: Row, moment: Moment) -> bool:
    at = timed.get("at")
    return selects({"event": timed["event"], "where": timed["where"]}, row) and (
        at is None or _shows(at, row.time_ms, moment)
    )


def _shows(at: dict[str, Any], time_ms: int, moment: Moment) -> bool:
    """Whether the wall clock shows one of these hours, days, months."""
    local = _local(time_ms, at.get("zone"), moment)
    minute = local.hour * 60 + local.minute
    last = monthrange(local.year, local.month)[1]
    hours, weekdays, days = at.get("hours"), at.get("weekdays"), at.get("days_of_month")
    return bool(
        (hours is None or any(_is_between(minute, *span) for span in hours))
        and (weekdays is None or WEEKDAYS[local.weekday()] in weekdays)
        and (days is None or local.day in days or local.day - last - 1 in days)
        and (at.get("months") is None or local.month in at["months"])
    )


def _is_between(minute: int, begin: int, end: int) -> bool:
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def _local(time_ms: int, zone: str | None, moment: Moment) -> datetime:
    return datetime_of(time_ms).astimezone(zone_info(zone or moment.zone))


def _inside(window: dict[str, Any] | None, time_ms: int, person: Person, moment: Moment) -> bool:
    window = absolute(window or {}, moment)
    if "last" in window:
        return bool(moment.now_ms - window["last"] < time_ms <= moment.now_ms - window["until"])
    if "since" in window:
        value = person.traits.get(window["since"])
        if not isinstance(value, datetime):
            return False
        since_ms = milliseconds_of(value)
        return since_ms <= time_ms < since_ms + (window["within"] or _ALWAYS_MS)
    start_ms, end_ms = window.get("start_ms"), window.get("end_ms")
    return (start_ms is None or start_ms <= time_ms) and (end_ms is None or time_ms < end_ms)


def _is_abandoned(clause: dict[str, Any], row: Row, person: Person, moment: Moment) -> bool:
    """Whether the time is over and nothing of the kind came."""
    last_ms = row.time_ms + clause["within"]
    later = person.rows[person.rows.index(row) + 1 :]
    ends = [each for each in later if each.time_ms <= last_ms and _meets(clause["not_followed_by"], each, moment)]
    keys = _held(clause.get("by"), row)
    return moment.now_ms > last_ms and bool(keys) and not any(keys & _held(clause.get("by"), end) for end in ends)


def _held(key: str | None, row: Row) -> set[Typed]:
    """The values that a row holds: each element of a list; one and the same for all rows when none is asked for."""
    if key is None:
        return {typed(None)}
    value = row.properties.get(key)
    if isinstance(value, list):
        return {typed(each) for each in value if each is not None and not isinstance(each, dict)}
    return set() if value is None else {typed(value)}


def _measured(name: str, test: dict[str, Any], rows: Sequence[Row]) -> Any:
    """The measure, exact and rounded once where it is a float; None when there is none."""
    if name == "count":
        return len(rows)
    values = [row.properties.get(test["property"]) for row in rows]
    if name == "distinct":
        return len({typed(value) for value in values if value is not None})  # 1 and 1.0 are two
    numbers: list[Any] = [value for value in values if is_number(value)]
    if test.get("fill") == "zero":
        numbers = [value if is_number(value) else 0 for value in values]
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


def _at_end(name: str, rows: Sequence[Row], test: dict[str, Any]) -> Any:
    return rows[0 if name == "first" else -1].properties.get(test["property"]) if rows else None


def _time_passes(name: str, rows: Sequence[Row], test: dict[str, Any], moment: Moment) -> bool:
    if not rows:
        return bool(test.get("missing"))
    time_ms = rows[0 if name == "first_time" else -1].time_ms
    match test["op"]:
        case "before":
            return bool(time_ms < test["value"])
        case "after":
            return bool(time_ms > test["value"])
        case "older_than":
            return bool(time_ms <= moment.now_ms - test["value"])
        case _:
            return bool(time_ms > moment.now_ms - test["value"])


def _distinct_days(rows: Sequence[Row], test: dict[str, Any], moment: Moment) -> int:
    days: set[date] = {_local(row.time_ms, test.get("zone"), moment).date() for row in rows}
    return len(days)


def stopped(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """Did it once, and not lately."""
    before, lately = clause["before"] or _ALWAYS_MS, clause["for"]
    return _did_within(clause, "stopped", person, moment, before, lately) and not _did_within(
        clause, "stopped", person, moment, lately, 0
    )


def restarted(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """Did it lately, and before a pause."""
    lately, pause = clause["last"], clause["last"] + clause["gap"]
    return (
        _did_within(clause, "restarted", person, moment, lately, 0)
        and not _did_within(clause, "restarted", person, moment, pause, lately)
        and _did_within(clause, "restarted", person, moment, _ALWAYS_MS, pause)
    )


def regularly(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """So many events in each span, or in so many of them."""
    every, count = clause["every"], clause["count"] or {"op": "ge", "value": 1}
    spans = [(span + 1) * every for span in range(clause["times"])]
    held = [_found_within(clause, "regularly", person, moment, last, last - every) for last in spans]
    return bool(sum(passes(len(rows), count) for rows in held) >= clause["at_least"])


def _did_within(clause: dict[str, Any], form: str, person: Person, moment: Moment, last: int, until: int) -> bool:
    return bool(_found_within(clause, form, person, moment, last, until))


def _found_within(
    clause: dict[str, Any], form: str, person: Person, moment: Moment, last: int, until: int
) -> list[Row]:
    window = {"last": last, "until": until}
    return _found({"where": clause["where"], "window": window}, clause[form], person, moment)


def sequence(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """How many matches fit one behind the other, for each value held apart."""
    rows = [
        row
        for row in person.rows
        if row.time_ms <= moment.now_ms and _inside(clause["window"], row.time_ms, person, moment)
    ]
    held = {value for row in rows for value in _held(clause["hold"], row)}
    units = ([row for row in rows if value in _held(clause["hold"], row)] for value in held)
    return passes(sum(_matches(clause, unit, moment) for unit in units), clause["count"])


def _matches(clause: dict[str, Any], rows: Sequence[Row], moment: Moment) -> int:
    """The match that ends first, then the one that ends first behind it, and so on."""
    count = begin = 0
    for end in range(len(rows)):
        if any(_is_match(clause, rows, chain) for chain in _chains(clause, rows, begin, end, moment)):
            count, begin = count + 1, end + 1
    return count


def _chains(clause: dict[str, Any], rows: Sequence[Row], begin: int, end: int, moment: Moment) -> Iterable[list[int]]:
    """Rows that fill the steps, the last of them `end`, with no broken gap and nothing unwanted between two of them."""
    steps = clause["sequence"]
    chains: list[list[int]] = [[end]] if _meets(steps[-1], rows[end], moment) else []
    for step in reversed(range(len(steps) - 1)):
        chains = [
            [row, *chain]
            for chain in chains
            for row in range(begin, chain[0])
            if _meets(steps[step], rows[row], moment)
            and _gap_passes(clause["gaps"][step], rows[chain[0]].time_ms - rows[row].time_ms)
            and _often_enough(clause["between"][step], rows[row + 1 : chain[0]], moment)
            and not any(_is_unwanted(clause, each, moment) for each in rows[row + 1 : chain[0]])
        ]
    return chains


def _is_match(clause: dict[str, Any], rows: Sequence[Row], chain: Sequence[int]) -> bool:
    return clause["within"] is None or rows[chain[-1]].time_ms - rows[chain[0]].time_ms <= clause["within"]


def _is_unwanted(clause: dict[str, Any], row: Row, moment: Moment) -> bool:
    return clause["without"] is not None and _meets(clause["without"], row, moment)


def _often_enough(between: dict[str, Any] | None, rows: Sequence[Row], moment: Moment) -> bool:
    return between is None or passes(sum(_meets(between, row, moment) for row in rows), between["count"])


def _gap_passes(gap: dict[str, Any] | None, between_ms: int) -> bool:
    return gap is None or passes(between_ms, gap)


def predominantly(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """No other value has more events than these have together."""
    hits, others = 0, Counter[Any]()
    for row in _found(clause, clause["event"], person, moment):
        value = _split_value(clause, row, moment)
        if value is not None and _is_hit(clause, row, moment):
            hits += 1
        elif value is not None:
            others[typed(value)] += 1
    return hits > 0 and all(count <= hits for count in others.values())


def share(clause: dict[str, Any], person: Person, moment: Moment) -> bool:
    """The part of the events that have one of the values."""
    rows = _found(clause, clause["event"], person, moment)
    hits = sum(_is_hit(clause, row, moment) for row in rows)
    return bool(rows) and passes(hits / len(rows), clause)


def _split_value(clause: dict[str, Any], row: Row, moment: Moment) -> Any:
    if "property" in clause:
        return row.properties.get(clause["property"])
    local = _local(row.time_ms, clause["zone"], moment)
    return local.hour if "hours" in clause else local.weekday()


def _is_hit(clause: dict[str, Any], row: Row, moment: Moment) -> bool:
    if "property" in clause:
        return passes(row.properties.get(clause["property"]), {"op": "in", "value": clause["values"]})
    at = {name: clause.get(name) for name in ("hours", "weekdays", "zone")}
    return _shows(at, row.time_ms, moment)
