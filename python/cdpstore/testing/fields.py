"""Values of properties and traits as sent, turned into values as stored, or refused with a code and a path."""

import math
from collections.abc import Iterator
from typing import Any, NoReturn

import msgpack

from cdpstore.model import datetime_of
from cdpstore.testing.decode import Pairs, is_utf8
from cdpstore.testing.limits import LIMITS

__all__ = ["Defect", "flatten", "joined", "key_of", "refuse", "time_of", "value_of"]


class Defect(Exception):
    """Why a record is refused."""

    def __init__(self, code: str, path: str) -> None:
        super().__init__(f"{code} at {path}")
        self.code = code
        self.path = path


def refuse(code: str, path: str = "") -> NoReturn:
    """Refuses the record."""
    raise Defect(code, path)


def joined(path: str, name: str) -> str:
    """The path of a field; indexes follow without a dot."""
    return f"{path}.{name}" if path else name


def key_of(key: Any, path: str) -> str:
    """A key of a client's map, checked; the defect's path is that of the map."""
    if not isinstance(key, str):
        refuse("record.key.not_string", path)
    size = len(key.encode(errors="surrogateescape"))
    if not 1 <= size <= LIMITS["kNameBytes"]:
        refuse("record.key.length", path)
    if not is_utf8(key):
        refuse("record.key.utf8", path)
    if key.startswith("$"):
        refuse("record.key.reserved", path)
    if "." in key:
        refuse("record.key.dot", path)
    return key


def flatten(pairs: Pairs, path: str, depth: int, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, stored value) of every leaf, in the order sent; an empty map is nothing."""
    _check_depth(depth, path)
    seen: set[str] = set()
    for raw_key, raw_value in pairs:
        key = key_of(raw_key, path)
        if key in seen:
            refuse("record.key.duplicate", path)
        seen.add(key)
        dotted = joined(prefix, key)
        if len(dotted.encode()) > LIMITS["kNameBytes"]:
            refuse("record.key.length", path)
        if isinstance(raw_value, Pairs) and not _is_time(raw_value):
            yield from flatten(raw_value, joined(path, key), depth + 1, dotted)
        else:
            yield dotted, value_of(raw_value, joined(path, key), depth)


def value_of(raw: Any, path: str, depth: int) -> Any:
    """The stored value of a scalar, datetime or list; `depth` is that of the map that holds it."""
    if isinstance(raw, list) and not isinstance(raw, Pairs):
        return _list_of(raw, path, depth + 1)
    return _scalar_of(raw, path)


def time_of(raw: Any, path: str) -> int:
    """An integer of milliseconds within 1973 to 2100."""
    if not isinstance(raw, int) or isinstance(raw, bool):
        refuse("record.field.type", path)
    if not LIMITS["kTimeMinMs"] <= raw <= LIMITS["kTimeMaxMs"]:
        refuse("event.time.out_of_range", path)
    return raw


def _scalar_of(raw: Any, path: str) -> Any:
    match raw:
        case None | bool():
            return raw
        case int():
            return raw if raw < 2**63 else refuse("value.int.out_of_range", path)
        case float():
            return raw + 0.0 if math.isfinite(raw) else refuse("value.float.not_finite", path)
        case str():
            return _string_of(raw, path)
        case msgpack.Timestamp():
            return datetime_of(time_of(raw.seconds * 1000 + raw.nanoseconds // 1_000_000, path))
        case msgpack.ExtType():
            return refuse("value.ext.unsupported", path)
        case Pairs():
            return datetime_of(_time_value_of(raw[0][1], path))
    return refuse("value.binary.unsupported", path)


def _string_of(raw: str, path: str) -> str:
    if len(raw.encode(errors="surrogateescape")) > LIMITS["kStringBytes"]:
        refuse("value.string.length", path)
    return raw if is_utf8(raw) else refuse("value.string.utf8", path)


def _time_value_of(raw: Any, path: str) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        refuse("value.datetime.invalid", path)
    return time_of(raw, path)


def _is_time(raw: Any) -> bool:
    return isinstance(raw, Pairs) and len(raw) == 1 and raw[0][0] == "$time"


def _list_of(raw: list[Any], path: str, depth: int) -> list[Any]:
    _check_depth(depth, path)
    of_items = bool(raw) and isinstance(raw[0], Pairs) and not _is_time(raw[0])
    return [_element_of(each, f"{path}[{index}]", depth, of_items) for index, each in enumerate(raw)]


def _element_of(raw: Any, path: str, depth: int, of_items: bool) -> Any:
    is_item = isinstance(raw, Pairs) and not _is_time(raw)
    if is_item != of_items or (isinstance(raw, list) and not isinstance(raw, Pairs)):
        refuse("value.list.mixed", path)
    if not is_item:
        return _scalar_of(raw, path)
    return dict(sorted(flatten(raw, path, depth + 1), key=lambda entry: entry[0].encode()))


def _check_depth(depth: int, path: str) -> None:
    if depth > LIMITS["kDepth"]:
        refuse("record.too_deep", path)
