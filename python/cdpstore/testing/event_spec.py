"""Clauses on events as a spec writes them, validated: windows, local times, `did` whole, sequences, shares."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from cdpstore.testing.calendars import WEEKDAYS
from cdpstore.testing.spec import (
    NUMBER_OPS,
    Fields,
    alternatives,
    bad,
    boolean,
    choice,
    clause_zone,
    conditions,
    duration,
    each,
    integer,
    is_datetime,
    name_of,
    names_of,
    operand_test,
    parse_test,
    selector,
    selector_fields,
    time,
    unit,
)
from cdpstore.testing.values import is_number

__all__ = ["FORMS", "clause", "did", "in_calendar", "question_selector", "time_range", "window"]

FORMS: Final = ("stopped", "restarted", "regularly", "sequence", "predominantly", "share")
_MEASURES: Final = ("count", "sum", "mean", "min", "max", "distinct")
_CENTURY_MS: Final = 100 * 366 * 86_400_000


def time_range(node: Any, path: str) -> dict[str, Any]:
    """`last`, in the calendar or not, `this` unit of it, or half-open start and end."""
    fields = Fields(node, path)
    parsed = _range(fields)
    fields.done()
    return parsed


def window(node: Any, path: str) -> dict[str, Any]:
    """A range, or the time since a trait's date."""
    fields = Fields(node, path)
    if not fields.has("since"):
        return time_range(node, path)
    parsed = {"since": fields.require("since", _trait), "within": fields.take("within", duration)}
    fields.done()
    return parsed


def in_calendar(spec: Any, zone: str, week_start: str) -> Any:
    """The parsed spec, every part of it that names no zone or week start reading those."""
    if isinstance(spec, dict):
        own = {"zone": zone, "week_start": week_start}
        return {
            name: own[name] if name in own and part is None else in_calendar(part, zone, week_start)
            for name, part in spec.items()
        }
    return [in_calendar(part, zone, week_start) for part in spec] if isinstance(spec, list) else spec


def _trait(node: Any, path: str) -> str:
    fields = Fields(node, path)
    key = fields.require("trait", name_of)
    fields.done()
    return key


def _range(fields: Fields) -> dict[str, Any]:
    last, until = fields.take("last", duration), fields.take("until", duration)
    if last is not None or until is not None:
        return _last(fields, last, until)
    for name in ("this", "previous"):
        of = fields.take(name, unit)
        if of is not None:
            units = {"unit": of, "count": fields.take("count", integer(1, 1_000)) or 1}
            return {**units, "is_past": name == "previous", **_calendar(fields)}
    start_ms, end_ms = fields.take("start_ms", time), fields.take("end_ms", time)
    if start_ms is None and end_ms is None:
        fields.done()
        bad(fields.path("")[:-1], "expected last, this, previous, or start_ms and end_ms")
    if start_ms is not None and end_ms is not None and start_ms > end_ms:
        bad(fields.path("end_ms"), "expected a time not before start_ms")
    return {"start_ms": start_ms, "end_ms": end_ms}


def _last(fields: Fields, last: int | None, until: int | None) -> dict[str, Any]:
    if last is not None and until is not None and until >= last:
        bad(fields.path("until"), "expected a shorter duration than that of last")
    if not fields.take("calendar", boolean):
        return {"last": 40 * _CENTURY_MS if last is None else last, "until": until or 0}
    if last is None or until is not None:
        bad(fields.path("until"), "a window of the calendar ends now")
    if last % 86_400_000 != 0:
        bad(fields.path("last"), "a window of the calendar has whole days")
    return {"unit": "day", "count": last // 86_400_000, "is_past": False, **_calendar(fields)}


def _calendar(fields: Fields) -> dict[str, Any]:
    return {"zone": fields.take("zone", clause_zone), "week_start": fields.take("week_start", choice(WEEKDAYS))}


def local_times(node: Any, path: str) -> dict[str, Any]:
    """Hours as minutes of the day, days and months."""
    fields = Fields(node, path)
    parsed = {
        "hours": fields.take("hours", each(_hours, 1, 1_000)),
        "weekdays": fields.take("weekdays", each(choice(WEEKDAYS), 1, 7)),
        "days_of_month": fields.take("days_of_month", each(_day_of_month, 1, 62)),
        "months": fields.take("months", each(integer(1, 12), 1, 12)),
    }
    zone = fields.take("zone", clause_zone)
    if all(value is None for value in parsed.values()):
        bad(path, "expected some of hours, weekdays, days_of_month, months")
    fields.done()
    return {**parsed, "zone": zone}


def _hours(node: Any, path: str) -> tuple[int, int]:
    if not isinstance(node, list | tuple) or len(node) != 2:
        bad(path, "expected two hours")
    begin, end = (_minute(hour, f"{path}[{index}]") for index, hour in enumerate(node))
    if begin in (end, 1_440):
        bad(path, "expected an hour before midnight and a later one")
    return begin, end


def _minute(node: Any, path: str) -> int:
    if isinstance(node, int):
        return integer(0, 24)(node, path) * 60
    parts = node.split(":") if isinstance(node, str) else []
    if [len(part) for part in parts] != [2, 2] or not all(part.isascii() and part.isdigit() for part in parts):
        bad(path, "expected an hour")
    hour, minute = map(int, parts)
    return hour * 60 + minute if minute < 60 and hour * 60 + minute <= 1_440 else bad(path, "expected an hour")


def _day_of_month(node: Any, path: str) -> int:
    return integer(-31, 31)(node, path) or bad(path, "expected a day from 1 to 31, or from -1 to -31")


def timed(node: Any, path: str) -> dict[str, Any]:
    """A selector, at any or at some local times."""
    if not isinstance(node, Mapping):
        return {"event": names_of(node, path), "where": [], "at": None}
    fields = Fields(node, path)
    parsed = _timed_fields(fields)
    fields.done()
    return parsed


def _timed_fields(fields: Fields) -> dict[str, Any]:
    return {**selector_fields(fields), "at": fields.take("at", local_times)}


def _head(form: str, fields: Fields, *, operands: bool = False) -> dict[str, Any]:
    own = own_aggregate if operands else None
    node, path = fields.take_null(form), fields.path(form)
    selected: dict[str, Any] = {"event": None, "where": []}
    if isinstance(node, Mapping):
        inner = Fields(node, path)
        if not inner.has("any_of"):
            bad(path, "expected the name of an event, a list of names, null, or any_of")
        selected = alternatives(inner, own)
        inner.done()
    else:
        selected["event"] = names_of(node, path)
    return {form: selected["event"], "where": selected["where"] + (fields.take("where", conditions(own)) or [])}


def did(form: str, fields: Fields) -> dict[str, Any]:
    """`did` with its measures and rules, or `did_not`."""
    parsed = {**_head(form, fields, operands=True), "window": fields.take("window", window)}
    if form == "did_not":
        return {**parsed, "at": fields.take("at", local_times)}
    for name in _MEASURES:
        parsed[name] = fields.take(name, _measure(name))
    parsed["include_zero"] = fields.take("include_zero", boolean)
    parsed["at"] = fields.take("at", local_times)
    for name in ("first", "last"):
        parsed[name] = fields.take(name, _value_test)
    for name in ("first_time", "last_time"):
        parsed[name] = fields.take(name, _time_test)
    parsed["distinct_days"] = fields.take("distinct_days", _days_test)
    parsed["first_ever"] = fields.take("first_ever", choice(["event", "matching"]))
    if fields.has("not_followed_by"):
        parsed["not_followed_by"] = timed(fields.take_null("not_followed_by"), fields.path("not_followed_by"))
        parsed["within"] = fields.require("within", duration)
        parsed["by"] = fields.take("by", name_of)
    return parsed


def question_selector(node: Any, path: str) -> dict[str, Any]:
    """Which events a question is about; their conditions may be beside what is the profile's own."""
    return selector(node, path, own_aggregate)


def own_aggregate(node: Any, path: str) -> dict[str, Any]:
    """An aggregate over the profile's own events; its measure as (name, key)."""
    fields = Fields(node, path)
    if not fields.has("did"):
        bad(fields.path("did"), "missing; expected names of events, or null for any")
    parsed = {**_head("did", fields), "at": fields.take("at", local_times), "window": fields.take("window", window)}
    measure = fields.require("measure", lambda given, at: (given, at))
    fields.done()
    given, at = measure
    if given == "count":
        return {**parsed, "measure": ("count", None)}
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in _MEASURES[1:]:
        bad(at, "expected count, or one of sum, mean, min, max, distinct with a property")
    ((name, key),) = given.items()
    return {**parsed, "measure": (name, name_of(key, f"{at}.{name}"))}


def _measure(name: str) -> Callable[[Any, str], dict[str, Any]]:
    def parse(node: Any, path: str) -> dict[str, Any]:
        fields = Fields(node, path)
        key = {} if name == "count" else {"property": fields.require("property", name_of)}
        compared = operand_test(fields, own_aggregate)
        test = parse_test(fields, with_missing=False) if compared is None else compared
        datetimes = compared is None and _check_measure(name, test, fields)
        fill: dict[str, Any] = {}
        if name in ("sum", "mean", "min", "max"):
            fill = {"fill": fields.take("missing", choice(["skip", "zero"]))}
            if datetimes and fill["fill"] == "zero":
                bad(fields.path("missing"), "a missing datetime cannot be zero")
        fields.done()
        return key | test | fill

    return parse


def _check_measure(name: str, test: dict[str, Any], fields: Fields) -> bool:
    if test["op"] not in NUMBER_OPS:
        bad(fields.path("op"), "a measure is compared as a number")
    if test["missing"]:
        bad(fields.path("missing"), "it belongs to the value")
    values = test["value"] if isinstance(test["value"], list) else [test["value"]]
    datetimes = name in ("min", "max") and bool(values) and all(is_datetime(value) for value in values)
    if not datetimes and not all(is_number(value) for value in values):
        bad(fields.path("value"), "expected a number")
    return datetimes


def _value_test(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    parsed = {"property": fields.require("property", name_of), **parse_test(fields)}
    fields.done()
    return parsed


def _time_test(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    op = fields.require("op", choice(["before", "after", "older_than", "newer_than"]))
    value = fields.require("value", time if op in ("before", "after") else duration)
    parsed = {"op": op, "value": value, "missing": fields.take("missing", boolean)}
    fields.done()
    return parsed


def _days_test(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    test = _number_test(fields)
    parsed = {**test, "zone": fields.take("zone", clause_zone)}
    fields.done()
    return parsed


def _number_test(fields: Fields) -> dict[str, Any]:
    test = parse_test(fields)
    _check_measure("", test, fields)
    return test


def _count(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    test = _number_test(fields)
    fields.done()
    return test


def clause(form: str, fields: Fields) -> dict[str, Any]:
    """A clause of a form of its own."""
    match form:
        case "stopped":
            return _stopped(fields)
        case "restarted":
            parsed = _head(form, fields)
            return {**parsed, "last": fields.require("last", duration), "gap": fields.require("gap", duration)}
        case "regularly":
            return _regularly(fields)
        case "sequence":
            return _sequence(fields)
        case _:
            return {form: fields.require(form, _share if form == "share" else _predominantly)}


def _stopped(fields: Fields) -> dict[str, Any]:
    parsed = _head("stopped", fields)
    for_ms, before = fields.require("for", duration), fields.take("before", duration)
    if before is not None and before <= for_ms:
        bad(fields.path("before"), "expected a longer duration than that of for")
    return {**parsed, "for": for_ms, "before": before}


def _regularly(fields: Fields) -> dict[str, Any]:
    parsed = _head("regularly", fields)
    every, times = fields.require("every", duration), fields.require("times", integer(1, 60))
    if every * times > _CENTURY_MS:
        bad(fields.path("times"), "expected spans that reach back up to a century")
    at_least = fields.take("at_least", integer(1, times)) or times
    return {**parsed, "every": every, "times": times, "at_least": at_least, "count": fields.take("count", _count)}


def _sequence(fields: Fields) -> dict[str, Any]:
    steps = fields.require("sequence", each(timed, 2, 16))
    parsed: dict[str, Any] = {
        "sequence": steps,
        "within": fields.take("within", duration),
        "gaps": fields.take("gaps", each(_gap, len(steps) - 1, len(steps) - 1)) or [None] * (len(steps) - 1),
        "between": fields.take("between", each(_between, len(steps) - 1, len(steps) - 1)) or [None] * (len(steps) - 1),
        "without": None,
    }
    if fields.has("without"):
        parsed["without"] = timed(fields.take_null("without"), fields.path("without"))
    return {
        **parsed,
        "window": fields.take("window", window),
        "count": fields.take("count", _count) or {"op": "ge", "value": 1},
        "hold": fields.take("hold", name_of),
    }


def _gap(node: Any, path: str) -> dict[str, Any] | None:
    if node is None:
        return None
    fields = Fields(node, path)
    op = fields.require("op", choice(["lt", "le", "gt", "ge", "eq"]))
    parsed = {"op": op, "value": fields.require("value", duration)}
    fields.done()
    return parsed


def _between(node: Any, path: str) -> dict[str, Any] | None:
    if node is None:
        return None
    fields = Fields(node, path)
    parsed = {**_timed_fields(fields), "count": fields.require("count", _count_between)}
    fields.done()
    return parsed


def _count_between(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    op = fields.require("op", choice(["lt", "le", "gt", "ge", "eq"]))
    parsed = {"op": op, "value": fields.require("value", integer(0, 1_000_000_000))}
    fields.done()
    return parsed


def _predominantly(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    parsed = _found(fields)
    fields.done()
    return parsed


def _share(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    parsed = {**_found(fields), **_number_test(fields)}
    fields.done()
    return parsed


def _found(fields: Fields) -> dict[str, Any]:
    parsed = {**_timed_fields(fields), "window": fields.take("window", window)}
    splits = [name for name in ("property", "hours", "weekdays") if fields.has(name)]
    if len(splits) != 1:
        bad(fields.path("")[:-1], "expected one of property (with values), hours, weekdays")
    if splits == ["property"]:
        key = fields.require("property", name_of)
        return {**parsed, "property": key, "values": fields.require("values", each(_literal, 1, 10_000))}
    zone = fields.take("zone", clause_zone)
    if splits == ["hours"]:
        return {**parsed, "hours": fields.require("hours", each(_hours, 1, 1_000)), "zone": zone}
    return {**parsed, "weekdays": fields.require("weekdays", each(choice(WEEKDAYS), 1, 7)), "zone": zone}


def _literal(node: Any, path: str) -> Any:
    if not (isinstance(node, bool | int | float | str) or is_datetime(node)):
        bad(path, "expected a boolean, number, string or datetime")
    return node
