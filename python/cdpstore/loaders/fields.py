"""Rows of flat files as records: which field is the name, the time, an identity, a property, and of what type.

The same mapping as that of `Store.load` (`docs/architecture.md`, Load), and for files whose fields are all text:

    "types"      {field: "int" | "float" | "bool" | "string" | "datetime"}; a text stays text without
    "time_unit"  "s" | "ms" | "us" of times that are numbers; others are read as ISO 8601, UTC unless they say
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Self

from cdpstore.errors import InvalidRequest
from cdpstore.model import milliseconds_of

__all__ = ["FieldMapping", "RowError"]

_NAMES: Final = ("event", "name")
_TIMES: Final = ("time", "time_ms", "timestamp")
_KINDS: Final = ("user_id", "anonymous_id")
_BOOLS: Final = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "t": True, "f": False}
_FIELDS: Final = {"type", "name", "time", "ids", "event_id", "properties", "nan", "types", "time_unit"}


class RowError(Exception):
    """A field that is not what its type says: code, path, value, what was expected."""

    def __init__(self, code: str, path: str, value: object, expected: str) -> None:
        super().__init__(code)
        self.code, self.path, self.value, self.expected = code, path, str(value)[:64], expected


@dataclasses.dataclass(frozen=True, slots=True)
class FieldMapping:
    """A mapping bound to the fields of a file.

    >>> mapping = FieldMapping.bind({"types": {"price": "float"}}, ["user_id", "event", "time", "price"])
    >>> record = mapping.record({"user_id": "u1", "event": "Charged", "time": "2024-01-01T00:00:00Z", "price": "9.5"})
    >>> record["time_ms"], record["properties"]
    (1704067200000, {'price': 9.5})
    """

    type: str
    name: str | None
    name_value: str | None
    time: str | None
    time_unit: str
    ids: Mapping[str, str]
    event_id: str | None
    properties: Mapping[str, str]
    types: Mapping[str, str]
    nan_is_missing: bool

    @classmethod
    def bind(cls, spec: Mapping[str, Any], fields: Sequence[str]) -> Self:
        """Finds what the mapping leaves out by name. Raises `InvalidRequest` (load.mapping, load.column)."""
        for unknown in spec.keys() - _FIELDS:
            _fail("load.mapping", unknown, f"unknown; expected one of {', '.join(sorted(_FIELDS))}")
        kind = _choice(spec, "type", ("event", "traits"))
        name = spec.get("name") if kind == "event" else None
        name_value = None
        if isinstance(name, Mapping):
            name_value, name = name.get("value"), None
            if not isinstance(name_value, str) or not name_value:
                _fail("load.mapping", "name", 'expected {"value": a name}')
        elif kind == "event":
            name = name or _first(fields, _NAMES)
            if name is None:
                _fail("load.mapping", "name", f"no field event or name among {', '.join(fields)[:300]}")
        time = spec.get("time") or _first(fields, _TIMES)
        ids = spec.get("ids") or {each: each for each in _KINDS if each in fields}
        if not isinstance(ids, Mapping) or not ids:
            _fail("load.mapping", "ids", f"no field user_id or anonymous_id among {', '.join(fields)[:300]}")
        event_id = (spec.get("event_id") or _first(fields, ("event_id",))) if kind == "event" else None
        used = {name, time, event_id, *ids.values()}
        properties = spec.get("properties", [each for each in fields if each not in used])
        if not isinstance(properties, Mapping):
            properties = {each: each for each in properties}
        types = _types(spec.get("types", {}))
        for path, field in (("name", name), ("time", time), ("event_id", event_id)):
            if field is not None and field not in fields:
                _fail("load.column", path, f"no such field: {field}; there are {', '.join(fields)[:300]}")
        for path, field in [*(("ids", each) for each in ids.values()), *(("properties", each) for each in properties)]:
            if field not in fields:
                _fail("load.column", path, f"no such field: {field}; there are {', '.join(fields)[:300]}")
        unit = _choice(spec, "time_unit", ("ms", "s", "us"))
        nan = _choice(spec, "nan", ("reject", "missing")) == "missing"
        return cls(kind, name, name_value, time, unit, dict(ids), event_id, dict(properties), types, nan)

    def record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The record of a row; a field that is None or an empty text is missing. Raises `RowError`."""
        record: dict[str, Any] = {"type": self.type, "ids": {}}
        for kind, field in self.ids.items():
            if (value := _given(row, field)) is not None:
                record["ids"][kind] = _identity(value, f"ids.{kind}")
        if self.name_value is not None:
            record["name"] = self.name_value
        elif self.name is not None and (value := _given(row, self.name)) is not None:
            record["name"] = value
        if self.time is not None and (value := _given(row, self.time)) is not None:
            record["time_ms"] = _time(value, self.time_unit)
        if self.event_id is not None and (value := _given(row, self.event_id)) is not None:
            record["event_id"] = str(value)
        values: dict[str, Any] = {}
        for field, key in self.properties.items():
            value = _given(row, field)
            if value is None or (self.nan_is_missing and isinstance(value, float) and math.isnan(value)):
                continue
            _put(
                values,
                key,
                _READERS[self.types[field]](value, f"properties.{key}") if field in self.types else _plain(value),
            )
        record["properties" if self.type == "event" else "set"] = values
        return record


def _given(row: Mapping[str, Any], field: str) -> Any:
    value = row.get(field)
    return None if value == "" else value


def _plain(value: Any) -> Any:
    """What records can say: exact decimals as they are when whole, instants with their zone."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    return value


def _identity(value: Any, path: str) -> str | int:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    raise RowError("record.field.type", path, value, "a text or an integer")


def _time(value: Any, unit: str) -> int:
    if isinstance(value, datetime):
        return milliseconds_of(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, str) and not value.lstrip("-").isdecimal():
        return milliseconds_of(_instant(value, "time_ms"))
    try:
        number = Decimal(value)
        return int(number * 1000 if unit == "s" else number // 1000 if unit == "us" else number)
    except (ArithmeticError, TypeError, ValueError):
        raise RowError("value.datetime.invalid", "time_ms", value, "a number or an ISO 8601 time") from None


def _instant(value: Any, path: str) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise RowError("value.datetime.invalid", path, value, "an ISO 8601 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _int(value: Any, path: str) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise RowError("record.field.type", path, value, "an integer") from None


def _float(value: Any, path: str) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise RowError("record.field.type", path, value, "a number") from None


def _bool(value: Any, path: str) -> bool:
    try:
        return _BOOLS[str(value).strip().lower()]
    except KeyError:
        raise RowError("record.field.type", path, value, "true or false") from None


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "string": lambda value, _: str(value),
    "datetime": _instant,
}


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """A dotted key is a nested one."""
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RowError(
                "record.key.duplicate", f"properties.{key}", value, "a key that is not both a value and a map"
            )
        values = inner
    if last in values:
        raise RowError("record.key.duplicate", f"properties.{key}", value, "a value in one of the fields of this key")
    values[last] = value


def _first(fields: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in fields), None)


def _choice(spec: Mapping[str, Any], field: str, choices: Sequence[str]) -> str:
    found = spec.get(field, choices[0])
    if found not in choices:
        _fail("load.mapping", field, f"expected one of {', '.join(choices)}")
    return str(found)


def _types(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        _fail("load.mapping", "types", "expected a map of fields to types")
    for field, kind in given.items():
        if kind not in _READERS:
            _fail("load.mapping", f"types.{field}", f"expected one of {', '.join(_READERS)}")
    return dict(given)


def _fail(code: str, path: str, message: str) -> Any:
    raise InvalidRequest(code, message, path=path)
