"""Query specs, validated: the same fields, bounds and paths as `cpp/query/spec.cpp`, written as plain checks.

`Fields` takes each field by name and refuses what nobody took, so a typing error is never ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import msgpack

from cdpstore.errors import BadQuery
from cdpstore.model import milliseconds_of
from cdpstore.testing.durations import milliseconds
from cdpstore.testing.regex import compiled
from cdpstore.testing.value_tests import VERSIONS, is_version
from cdpstore.testing.values import is_number
from cdpstore.zones import is_zone

__all__ = [
    "COMMON",
    "Fields",
    "alternatives",
    "bad",
    "clause_zone",
    "conditions",
    "duration",
    "interval",
    "operand_test",
    "parse_test",
    "selector",
    "selector_fields",
    "unit",
    "unsupported",
]

T = TypeVar("T")
Parse: TypeAlias = Callable[[Any, str], dict[str, Any]]
Check: TypeAlias = Callable[[dict[str, Any], str], None]
OPS: Final = (
    *("eq", "ne", "in", "not_in", "lt", "le", "gt", "ge", "between"),
    *("contains", "starts", "ends", "exists", "not_exists"),
)
VALUE_OPS: Final = (
    *("not_contains", "not_starts", "not_ends", "regex", "not_regex", "any", "all", "none", "size"),
    *("before", "after", "on", "within", "anniversary", *VERSIONS),
)
FOLDED: Final = ("not_contains", "not_starts", "not_ends", "regex", "not_regex", "any", "all", "none")
UNITS: Final = ("hour", "day", "week", "month", "quarter", "year")
COMMON: Final = ("kind", "where", "range", "zone", "week_start", "now_ms", "as_of_ms", "breakdown", "limit")
NUMBER_OPS: Final = ("eq", "ne", "in", "not_in", "lt", "le", "gt", "ge", "between")
_ORDERED: Final = ("lt", "le", "gt", "ge", "between")
_TEXT: Final = ("contains", "starts", "ends")
_CENTURY_MS: Final = 100 * 366 * 86_400_000


def bad(path: str, message: str) -> NoReturn:
    """The query cannot be meant."""
    raise BadQuery("query.invalid", message, path=path)


def unsupported(path: str, message: str) -> NoReturn:
    """The query means something that is not built."""
    raise BadQuery("query.unsupported", message, path=path)


class Fields:
    """The fields of one map of the spec; null counts as absent but where it has a meaning."""

    def __init__(self, node: Any, path: str) -> None:
        if not isinstance(node, Mapping) or not all(isinstance(name, str) for name in node):
            bad(path, "expected a map")
        self._node = dict(node)
        self._path = path

    def path(self, name: str) -> str:
        """Where the field lies."""
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        """Whether the field is there, even as null."""
        return name in self._node

    def peek(self, name: str) -> Any:
        """The field without taking it."""
        return self._node.get(name)

    def take_null(self, name: str) -> Any:
        """The field; None when absent or null."""
        return self._node.pop(name, None)

    def take(self, name: str, parse: Callable[[Any, str], T]) -> T | None:
        """The field parsed; None when absent or null."""
        node = self._node.pop(name, None)
        return None if node is None else parse(node, self.path(name))

    def require(self, name: str, parse: Callable[[Any, str], T]) -> T:
        """The field parsed; refused when absent or null."""
        if self._node.get(name) is None:
            bad(self.path(name), "missing")
        return parse(self._node.pop(name), self.path(name))

    def done(self) -> None:
        """Refuses fields that nobody took."""
        for name in self._node:
            raise BadQuery("query.field.unknown", "unknown field", path=self.path(name))


def integer(low: int, high: int) -> Callable[[Any, str], int]:
    """An integer within bounds."""

    def parse(node: Any, path: str) -> int:
        if not isinstance(node, int) or isinstance(node, bool) or not low <= node <= high:
            bad(path, f"expected an integer from {low} to {high}")
        return node

    return parse


def choice(choices: Sequence[str]) -> Callable[[Any, str], str]:
    """One of these words."""

    def parse(node: Any, path: str) -> str:
        if node not in choices or not isinstance(node, str):
            bad(path, f"expected one of {', '.join(choices)}")
        return node

    return parse


def each(parse_one: Callable[[Any, str], T], low: int, high: int) -> Callable[[Any, str], list[T]]:
    """A list of so many."""

    def parse(node: Any, path: str) -> list[T]:
        if not isinstance(node, list | tuple) or not low <= len(node) <= high:
            bad(path, f"expected a list of {low} to {high}")
        return [parse_one(item, f"{path}[{index}]") for index, item in enumerate(node)]

    return parse


def boolean(node: Any, path: str) -> bool:
    """true or false."""
    return node if isinstance(node, bool) else bad(path, "expected true or false")


def name_of(node: Any, path: str) -> str:
    """A name or key of 1 to 256 bytes."""
    if not isinstance(node, str) or not 1 <= len(node.encode()) <= 256:
        bad(path, "expected a string of 1 to 256 bytes")
    return node


def clause_zone(node: Any, path: str) -> Any:
    """The name of a zone, or the trait of a profile that keeps one."""
    if not isinstance(node, Mapping) or "trait" not in node:
        return zone_of(node, path)
    fields = Fields(node, path)
    parsed = {"trait": fields.require("trait", name_of), "else": fields.take("else", zone_of)}
    fields.done()
    return parsed


def zone_of(node: Any, path: str) -> str:
    """The name of a zone."""
    if not is_zone(name_of(node, path)):
        raise BadQuery("query.zone.unknown", "expected an IANA name", path=path)
    return str(node)


def time(node: Any, path: str) -> int:
    """Milliseconds since 1970, or a datetime."""
    time_ms = _datetime_ms(node) if is_datetime(node) else node
    return integer(-20 * _CENTURY_MS, 20 * _CENTURY_MS)(time_ms, path)


def duration(node: Any, path: str) -> int:
    """Milliseconds, or a number with its unit."""
    if not isinstance(node, int | str) or isinstance(node, bool):
        bad(path, "expected a duration")
    try:
        value = milliseconds(node)
    except ValueError:
        bad(path, "expected a duration")
    return value if 0 < value <= _CENTURY_MS else bad(path, "expected a duration above 0 and up to a century")


def unit(node: Any, path: str) -> Any:
    """A calendar unit, or so many days from the start."""
    if isinstance(node, Mapping):
        fields = Fields(node, path)
        parsed = {"days": fields.require("days", integer(1, 36_600))}
        fields.done()
        return parsed
    return choice(UNITS)(node, path)


def interval(node: Any, path: str) -> Any:
    """The same, or minutes that divide a day."""
    if node == "minute":
        return node
    if not isinstance(node, Mapping) or list(node) != ["minutes"]:
        return unit(node, path)
    count = integer(1, 720)(node["minutes"], f"{path}.minutes")
    return {"minutes": count} if 1_440 % count == 0 else bad(f"{path}.minutes", "expected minutes that divide a day")


def selector(node: Any, path: str, own: Parse | None = None) -> dict[str, Any]:
    """Names (None: any) and conditions; with `own` those beside what is the profile's own too."""
    if not isinstance(node, Mapping):
        return {"event": names_of(node, path), "where": []}
    fields = Fields(node, path)
    parsed = selector_fields(fields, own)
    fields.done()
    return parsed


def selector_fields(fields: Fields, own: Parse | None = None) -> dict[str, Any]:
    """The same out of a map that may say more."""
    if fields.peek("any_of") is None:
        fields.take_null("any_of")
        parsed = _named_selector(fields, own)
    elif fields.has("event"):
        bad(fields.path("any_of"), "either event or any_of, not both")
    else:
        parsed = alternatives(fields, own)
        parsed["where"] += fields.take("where", conditions(own)) or []
    return parsed


def alternatives(fields: Fields, own: Parse | None = None) -> dict[str, Any]:
    """All names that some alternative has, and the condition that one of them means the event."""
    path = fields.path("any_of")
    parsed = fields.require("any_of", each(lambda node, at: _alternative(node, at, own), 1, 64))
    names = [name for one in parsed for name in one["event"] or ()]
    is_any = any(one["event"] is None for one in parsed)
    if is_any and any(name.startswith(("Message ", "Segment ")) for name in names):
        bad(path, "an event of the system is not among any event")
    if len(names) > 1_000:
        bad(path, "over 1,000 names of events")
    return {"event": None if is_any else names, "where": [{"alternatives": parsed}]}


def _alternative(node: Any, path: str, own: Parse | None) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {"event": names_of(node, path), "where": []}
    fields = Fields(node, path)
    parsed = _named_selector(fields, own)
    fields.done()
    return parsed


def _named_selector(fields: Fields, own: Parse | None) -> dict[str, Any]:
    if not fields.has("event"):
        bad(fields.path("event"), "missing")
    names = names_of(fields.take_null("event"), fields.path("event"))
    return {"event": names, "where": fields.take("where", conditions(own)) or []}


def geo(fields: Fields) -> dict[str, Any]:
    """Two keys that are a place, and a circle."""
    return {"geo": fields.require("geo", _keys_of_place), "within": fields.require("within", _circle)}


def _keys_of_place(node: Any, path: str) -> dict[str, str]:
    fields = Fields(node, path)
    parsed = {name: fields.require(name, name_of) for name in ("lat", "lon")}
    fields.done()
    return parsed


def _circle(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    bounds = {"lat": (-90, 90), "lon": (-180, 180), "meters": (0, 20_100_000)}
    parsed = {name: fields.require(name, _bounded(*low_high)) for name, low_high in bounds.items()}
    fields.done()
    return parsed


def _bounded(low: int, high: int) -> Callable[[Any, str], int | float]:
    return lambda node, path: (
        node if is_number(node) and low <= node <= high else bad(path, f"expected a number from {low} to {high}")
    )


def value_condition(fields: Fields) -> dict[str, Any]:
    """A test of a value, or of one and the same of its items."""
    if not fields.has("any_element"):
        return parse_test(fields)
    return {"any_element": fields.require("any_element", conditions(check=_of_item, low=1))}


def _of_item(parsed: dict[str, Any], path: str) -> None:
    if "geo" in parsed:
        bad(f"{path}.geo", "an item has no place of its own")


def operand_test(fields: Fields, own: Parse) -> dict[str, Any] | None:
    """A comparison with a trait, or an aggregate that `own` parses; None, and nothing taken, where it is none."""
    value = fields.peek("value")
    if not isinstance(value, Mapping) or not ("trait" in value or "own" in value):
        return None
    op = fields.require("op", choice(("eq", "ne", "lt", "le", "gt", "ge")))
    return {"op": op, "value": fields.require("value", lambda node, path: _operand(node, path, own))}


def _operand(node: Any, path: str, own: Parse) -> dict[str, Any]:
    fields = Fields(node, path)
    if fields.has("own") and fields.has("trait"):
        bad(fields.path("own"), "either a trait or an aggregate, not both")
    name, parse = ("own", own) if fields.has("own") else ("trait", name_of)
    parsed: dict[str, Any] = {name: fields.require(name, parse), "times": fields.take("times", _number)}
    fields.done()
    return parsed


def _number(node: Any, path: str) -> int | float:
    return node if is_number(node) else bad(path, "expected a number")


def conditions(
    own: Parse | None = None, check: Check | None = None, low: int = 0
) -> Callable[[Any, str], list[dict[str, Any]]]:
    """A list of them that all must hold: tests of a property, places, and what joins them by and, or, not.

    With `own` beside what is the profile's own too; `check` refuses what does not go here.
    """

    def parse(node: Any, path: str) -> list[dict[str, Any]]:
        count = 0

        def one(node: Any, path: str, depth: int) -> dict[str, Any]:
            nonlocal count
            count += 1
            if depth > 32 or count > 1_000:
                bad(path, "nested over 32 levels, or over 1,000 conditions")
            fields = Fields(node, path)
            word = next((word for word in ("and", "or", "not") if fields.has(word)), None)
            parsed: dict[str, Any]
            match word:
                case None:
                    parsed = _leaf(fields, own)
                    if check is not None:
                        check(parsed, path)
                case "not":
                    parsed = {"not": fields.require("not", lambda part, at: one(part, at, depth + 1))}
                case _:
                    parsed = {word: fields.require(word, each(lambda part, at: one(part, at, depth + 1), 1, 64))}
            fields.done()
            return parsed

        return each(lambda part, at: one(part, at, 0), low, 64)(node, path)

    return parse


def _leaf(fields: Fields, own: Parse | None) -> dict[str, Any]:
    if fields.has("geo"):
        return geo(fields)
    key = fields.require("property", name_of)
    test = operand_test(fields, own) if own is not None else None
    if test is not None:
        test["missing"] = fields.take("missing", boolean) or False
    return {"property": key, **(value_condition(fields) if test is None else test)}


def parse_test(fields: Fields, *, with_missing: bool = True) -> dict[str, Any]:
    """op, its value, and what belongs to it."""
    op = fields.require("op", choice((*OPS, *VALUE_OPS)))
    parsed = value_test(op, fields) if op in VALUE_OPS else _plain_test(op, fields)
    missing = fields.take("missing", boolean) if with_missing else None
    if missing is not None and op in ("exists", "not_exists"):
        bad(fields.path("missing"), "exists and not_exists say it themselves")
    return {**parsed, "missing": bool(missing)}


def _plain_test(op: str, fields: Fields) -> dict[str, Any]:
    has_value, value = fields.has("value"), fields.take_null("value")
    ignore_case = fields.take("ignore_case", boolean) or False
    path = fields.path("value")
    if op in ("exists", "not_exists"):
        return bad(path, "exists takes no value") if has_value else {"op": op, "ignore_case": ignore_case}
    if not has_value:
        bad(path, "missing; expected a value to compare with")
    return {"op": op, "value": constants(op, value, path), "ignore_case": ignore_case}


def value_test(op: str, fields: Fields) -> dict[str, Any]:
    """The tests that are more than a comparison."""
    path = fields.path("value")
    if not fields.has("value"):
        bad(path, "missing; expected a value to test with")
    value = fields.take_null("value")
    ignore_case = fields.take("ignore_case", boolean) or False
    if ignore_case and op not in FOLDED:
        bad(fields.path("ignore_case"), f"{op} knows no letters")
    zone = fields.take("zone", clause_zone) if op in ("on", "anniversary") else None
    return {"op": op, "value": _value_of_test(op, value, path), "ignore_case": ignore_case, "zone": zone}


def _value_of_test(op: str, node: Any, path: str) -> Any:
    match op:
        case "not_contains" | "not_starts" | "not_ends" | "regex" | "not_regex":
            if not isinstance(node, str) or (op.endswith("regex") and not _is_regex(node)):
                bad(path, "expected a text" if op.startswith("not_") else "expected a regular expression")
        case "any" | "all" | "none":
            return constants("in", node, path)
        case "before" | "after":
            if not is_datetime(node):
                bad(path, "expected a datetime")
        case "on":
            if not _is_date(node):
                bad(path, "expected a date")
        case "within":
            return one_duration("last", "next")(node, path)
        case "anniversary":
            return _anniversary(node, path)
        case "size":
            return _size(node, path)
        case _:
            if not is_version(node):
                bad(path, "expected a version")
    return node


def _is_regex(node: str) -> bool:
    try:
        compiled(node)
    except ValueError:
        return False
    return True


def _is_date(node: Any) -> bool:
    try:
        return isinstance(node, str) and len(node) == 10 and date.fromisoformat(node).isoformat() == node
    except ValueError:
        return False


def one_duration(first: str, second: str) -> Callable[[Any, str], dict[str, int]]:
    """A duration under one of two names."""

    def parse(node: Any, path: str) -> dict[str, int]:
        fields = Fields(node, path)
        found = {name: fields.take(name, duration) for name in (first, second)}
        given = {name: span for name, span in found.items() if span is not None}
        if len(given) != 1:
            bad(path, f"expected {first} or {second}")
        fields.done()
        return given

    return parse


def _anniversary(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    days = {name: fields.take(name, integer(0, 366)) for name in ("days_before", "days_after")}
    leap_day = fields.take("leap_day", choice(("feb_28", "mar_1")))
    fields.done()
    return {**days, "leap_day": leap_day}


def _size(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    size = parse_test(fields)
    fields.done()
    if size["op"] not in NUMBER_OPS:
        bad(fields.path("op"), "a number is compared as one")
    if size["missing"]:
        bad(fields.path("missing"), "it belongs to the value")
    values = size["value"] if isinstance(size["value"], list) else [size["value"]]
    if not all(is_number(value) for value in values):
        bad(fields.path("value"), "expected a number")
    return size


def constants(op: str, node: Any, path: str) -> Any:
    if op not in ("in", "not_in", "between"):
        _check_literal(op, node, path)
        return node
    low, high = (2, 2) if op == "between" else (0, 10_000)
    values = each(lambda item, at: _literal(op, item, at), low, high)(node, path)
    if op == "between" and len({_class_of(value) for value in values}) != 1:
        bad(path, "expected two values of one type")
    if op == "between" and not isinstance(values[0], str):
        low_value, high_value = (_datetime_ms(value) if is_datetime(value) else value for value in values)
        if low_value > high_value:
            bad(path, "expected the smaller value first")
    return values


def _literal(op: str, node: Any, path: str) -> Any:
    _check_literal(op, node, path)
    return node


def _check_literal(op: str, node: Any, path: str) -> None:
    if not (isinstance(node, bool | int | float | str) or is_datetime(node)):
        bad(path, "expected a boolean, number, string or datetime")
    if op in _ORDERED and isinstance(node, bool):
        bad(path, "true and false have no order")
    if op in _TEXT and not isinstance(node, str):
        bad(path, "expected a string")


def _class_of(node: Any) -> str:
    if is_datetime(node):
        return "datetime"
    return "number" if is_number(node) else type(node).__name__


def names_of(node: Any, path: str) -> list[str] | None:
    """Names of events; None: any."""
    if node is None:
        return None
    if isinstance(node, str):
        return [name_of(node, path)]
    return each(name_of, 1, 1_000)(node, path)


def is_datetime(node: Any) -> bool:
    """Whether the literal is a datetime, in any of its forms."""
    if isinstance(node, datetime | msgpack.Timestamp):
        return True
    return isinstance(node, Mapping) and list(node) == ["$time"] and type(node["$time"]) is int


def _datetime_ms(node: Any) -> int:
    match node:
        case datetime():
            return milliseconds_of(node)
        case msgpack.Timestamp():
            return int(node.seconds * 1000 + node.nanoseconds // 1_000_000)
        case _:
            return int(node["$time"])
