"""Conditions and predicates by their definition, one value, one row, one profile at a time."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import msgpack

from cdpstore.model import datetime_of, milliseconds_of
from cdpstore.testing.durations import milliseconds
from cdpstore.testing.facts import Fact
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.values import exact_mean, exact_sum, is_number, typed

__all__ = ["compares", "holds", "passes", "selects"]

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ORDERED = {"lt": (-1,), "le": (-1, 0), "gt": (1,), "ge": (0, 1), "eq": (0,)}
MEASURES = ("count", "sum", "mean", "min", "max", "distinct")
_NEGATIVE = {"ne": "eq", "not_in": "in"}


def holds(predicate: dict[str, Any], person: Person, now_ms: int) -> bool:
    """Whether the predicate is true of the profile at this instant."""
    match predicate:
        case {"and": parts}:
            return all(holds(part, person, now_ms) for part in parts)
        case {"or": parts}:
            return any(holds(part, person, now_ms) for part in parts)
        case {"not": part}:
            return not holds(part, person, now_ms)
        case {"trait": key}:
            return passes(person.traits.get(key), predicate)
        case {"device": conditions}:
            return any(_device_meets(device, conditions) for device in person.facts["device"])
        case {"group": kind}:
            joined = [fact for fact in person.facts["membership"] if fact.state == "joined"]
            return any(_group_meets(fact, kind, predicate.get("where") or [], person) for fact in joined)
        case {"list": name}:
            return any(fact.subject == (name,) and fact.state == "added" for fact in person.facts["list"])
        case {"suppressed": wanted}:
            is_suppressed = any(fact.state == "suppressed" for fact in person.facts["suppress"])
            return is_suppressed is wanted
        case {"consent": channel}:
            subject = (channel, predicate.get("topic"))
            states = [fact.state for fact in person.facts["consent"] if fact.subject == subject]
            return passes(states[0] if states else None, predicate)
        case {"did": event}:
            return _did(predicate, event, person, now_ms)
        case {"did_not": event}:
            return not _matching(predicate, event, person, now_ms)
    raise AssertionError(predicate)


def _device_meets(device: Fact, conditions: Sequence[dict[str, Any]]) -> bool:
    values = {
        **device.texts,
        "id": device.subject[0],
        "dead": device.state == "dead",
        "first_seen": datetime_of(device.first_ms),
        "last_seen": datetime_of(device.last_ms["seen"]) if "seen" in device.last_ms else None,
    }
    return all(passes(values.get(condition["property"]), condition) for condition in conditions)


def _group_meets(fact: Fact, kind: str | None, conditions: Sequence[dict[str, Any]], person: Person) -> bool:
    group_kind, group_id = (str(part) for part in fact.subject)
    traits = person.groups[group_kind, group_id]
    values = {**traits, "$id": group_id, "$role": fact.texts.get("role")}
    return kind in (None, group_kind) and all(passes(values.get(each["property"]), each) for each in conditions)


def selects(selector: Any, row: Row) -> bool:
    """Whether the row is one that the selector means."""
    if not isinstance(selector, dict):
        selector = {"event": selector}
    return _named(selector["event"], row) and _meets(selector.get("where") or [], row)


def passes(value: Any, test: dict[str, Any]) -> bool:
    """Whether a value (None: missing) passes op and value of the test."""
    op, wanted = test["op"], test.get("value")
    if value is None:
        return bool(op == "not_exists")
    if op in ("exists", "not_exists"):
        return bool(op == "exists")
    if op in _NEGATIVE:
        return not passes(value, {**test, "op": _NEGATIVE[op]})
    elements = value if isinstance(value, list) else [value]
    return any(_element_passes(element, op, wanted, bool(test.get("ignore_case"))) for element in elements)


def compares(left: Any, right: Any) -> int | None:
    """-1, 0 or 1, exactly; None for values of types that do not compare.

    >>> compares(2**53 + 1, float(2**53)), compares("a", 1), compares("b", "a")
    (1, None, 1)
    """
    if is_number(left) and is_number(right):
        left, right = _comparable(left), _comparable(right)
    elif type(left) is not type(right) or not isinstance(left, str | bool | datetime):
        return None
    elif isinstance(left, str):
        left, right = left.encode(), right.encode()
    return int(left > right) - int(left < right)


def _comparable(number: int | float) -> Fraction | float:
    """Exact, but for a sum beyond the floats, which is infinite."""
    return number if number in (float("inf"), float("-inf")) else Fraction(number)


def _element_passes(element: Any, op: str, wanted: Any, ignore_case: bool) -> bool:
    element = _folded(element, ignore_case)
    match op:
        case "in":
            return any(_element_passes(element, "eq", each, ignore_case) for each in wanted)
        case "between":
            low, high = wanted
            return all(_element_passes(element, *border, ignore_case) for border in (("ge", low), ("le", high)))
        case "contains" | "starts" | "ends":
            return isinstance(element, str) and _text_passes(element, op, _folded(wanted, ignore_case))
    if isinstance(element, bool) and op != "eq":
        return False
    return compares(element, _folded(wanted, ignore_case)) in _ORDERED[op]


def _text_passes(text: str, op: str, part: str) -> bool:
    match op:
        case "contains":
            return part in text
        case "starts":
            return text.startswith(part)
        case _:
            return text.endswith(part)


def _folded(value: Any, ignore_case: bool) -> Any:
    if isinstance(value, dict) and value.keys() == {"$time"}:
        return datetime_of(value["$time"])
    if isinstance(value, msgpack.Timestamp):
        return datetime_of(value.seconds * 1000 + value.nanoseconds // 1_000_000)
    if isinstance(value, datetime):
        return datetime_of(milliseconds_of(value))
    return value.translate(_LOWER) if ignore_case and isinstance(value, str) else value


def _named(event: Any, row: Row) -> bool:
    match event:
        case None:
            return not row.name.startswith(("Message ", "Segment "))  # the system's own: only when named
        case str():
            return row.name == event
        case _:
            return row.name in event


def _meets(conditions: Sequence[dict[str, Any]], row: Row) -> bool:
    return all(passes(row.properties.get(condition["property"]), condition) for condition in conditions)


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


def _did(clause: dict[str, Any], event: Any, person: Person, now_ms: int) -> bool:
    rows = _matching(clause, event, person, now_ms)
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
    if name in ("min", "max") and _about_times(test["value"]):
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


def _about_times(wanted: Any) -> bool:
    first = wanted[0] if isinstance(wanted, list) and wanted else wanted
    return isinstance(_folded(first, ignore_case=False), datetime)
