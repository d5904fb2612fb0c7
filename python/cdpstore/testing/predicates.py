"""Conditions by their definition, one value, one row at a time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import msgpack

from cdpstore.model import datetime_of, milliseconds_of
from cdpstore.testing.places import is_within
from cdpstore.testing.rows import Row
from cdpstore.testing.value_tests import ELEMENT_TESTS
from cdpstore.testing.values import is_number

__all__ = ["about_times", "compares", "is_operand", "meets", "passes", "passes_operand", "selects", "with_operands"]

_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ORDERED = {"lt": (-1,), "le": (-1, 0), "gt": (1,), "ge": (0, 1), "eq": (0,)}
_NEGATIVE = {
    **{"ne": "eq", "not_in": "in", "none": "any", "not_regex": "regex"},
    **{f"not_{op}": op for op in ("contains", "starts", "ends")},
}
_SAME = {"any": "in", "before": "lt", "after": "gt"}


def selects(selector: Any, row: Row) -> bool:
    """Whether the row is one that the selector means."""
    if not isinstance(selector, dict):
        selector = {"event": selector}
    return _named(selector["event"], row) and all(_holds(each, row) for each in selector.get("where") or [])


def meets(conditions: Sequence[dict[str, Any]], values: Mapping[str, Any]) -> bool:
    """Whether all conditions hold of what has these values: a device, a group, an item."""
    return all(_joined(each, lambda leaf: passes(values.get(leaf["property"]), leaf)) for each in conditions)


def _joined(condition: dict[str, Any], holds: Callable[[dict[str, Any]], bool]) -> bool:
    match condition:
        case {"and": parts}:
            return all(_joined(part, holds) for part in parts)
        case {"or": parts}:
            return any(_joined(part, holds) for part in parts)
        case {"not": part}:
            return not _joined(part, holds)
        case _:
            return holds(condition)


def passes(value: Any, test: dict[str, Any]) -> bool:
    """Whether a value (None: missing) passes op and value of the test."""
    if "operand" in test:
        return passes_operand(value, test, test["operand"])
    if "any_element" in test:
        items = value if isinstance(value, list) else []
        return any(isinstance(item, dict) and meets(test["any_element"], item) for item in items)
    op: str = test["op"]
    wanted: Any = test.get("value")
    if value is None:
        return bool(op == "not_exists" or test.get("missing"))
    if op in ("exists", "not_exists"):
        return bool(op == "exists")
    if op in _NEGATIVE:
        return not passes(value, {**test, "op": _NEGATIVE[op]})
    op = _SAME.get(op, op)
    if op == "size":
        return isinstance(value, list) and passes(len(value), wanted)
    if op == "all":
        return all(passes(value, {**test, "op": "eq", "value": each}) for each in wanted)
    elements = value if isinstance(value, list) else [value]
    if op in ELEMENT_TESTS:
        return any(ELEMENT_TESTS[op](element, test) for element in elements)
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


def passes_operand(value: Any, test: Mapping[str, Any], other: Any) -> bool:
    """Whether a value passes against another of the profile's, times a factor."""
    if value is None:
        return bool(test.get("missing"))
    times = test["value"].get("times")
    if other is None or (times is not None and not is_number(other)):
        return False
    elements = value if isinstance(value, list) else [value]
    return any(_passes(element, test["op"], other, times) for element in elements) is not (test["op"] == "ne")


def _passes(element: Any, op: str, other: Any, times: Any) -> bool:
    if isinstance(element, bool) and op not in ("eq", "ne"):
        return False
    if times is not None and is_number(element):
        left, right = _comparable(element), _product(other, times)
        return int(left > right) - int(left < right) in (_ORDERED[op] if op != "ne" else (0,))
    return times is None and compares(element, other) in (_ORDERED[op] if op != "ne" else (0,))


def is_operand(value: Any) -> bool:
    """Whether the right side of a test is known only of a profile."""
    return isinstance(value, dict) and ("trait" in value or "own" in value)


def with_operands(clause: Any, find: Callable[[dict[str, Any]], Any]) -> Any:
    """The clause, every test whose right side is the profile's own knowing what `find` says it is."""
    if isinstance(clause, dict):
        known = {name: with_operands(each, find) for name, each in clause.items()}
        value: Any = clause.get("value")
        return {**known, "operand": find(value)} if is_operand(value) else known
    return [with_operands(each, find) for each in clause] if isinstance(clause, list) else clause


def _product(number: int | float, factor: int | float) -> Fraction:
    """Of integers exact, any other rounded once to the 53 bits of a float, whatever its exponent."""
    exact = Fraction(number) * Fraction(factor)
    if (isinstance(number, int) and isinstance(factor, int)) or exact == 0:
        return exact
    unit = Fraction(2) ** -1100
    while abs(exact) / unit >= 2**53:
        unit *= 2
    return round(exact / unit) * unit


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


def _holds(condition: dict[str, Any], row: Row) -> bool:
    def of_row(leaf: dict[str, Any]) -> bool:
        if "alternatives" in leaf:
            return any(selects(alternative, row) for alternative in leaf["alternatives"])
        return is_within(row.properties, leaf) if "geo" in leaf else _passes_in(row, leaf)

    return _joined(condition, of_row)


def _passes_in(row: Row, condition: dict[str, Any]) -> bool:
    value = row.properties.get(condition["property"])
    if is_operand(condition.get("value")) and "operand" not in condition:
        assert row.own is not None, "a question's rows know their profile"
        return passes_operand(value, condition, row.own(condition["value"]))
    return passes(value, condition)


def about_times(wanted: Any) -> bool:
    """Whether what is compared with is a datetime, or several."""
    first = wanted[0] if isinstance(wanted, list) and wanted else wanted
    return isinstance(_folded(first, ignore_case=False), datetime)
