"""Where a spec holds what no query can: found when it cannot be packed, for the error to say.

>>> unpackable({"kind": "trend", "event": {"event": "A", "where": [{"property": "p", "op": "eq", "value": 2**70}]}})
('event.where[0].value', 'an integer beyond 2^63-1: 1180591620717411303424')
>>> unpackable({"kind": "trend"}) is None
True
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgpack

from cdpstore.errors import BadQuery

__all__ = ["refused", "unpackable"]

_DEPTH: Final = 64  # as cpp/query/document.hpp has it
_SHOWN: Final = 64


def refused(spec: Any, error: Exception) -> BadQuery:
    """The error of a spec that could not be packed: with its place, where that can be told."""
    path, message = unpackable(spec) or ("", f"a value that msgpack cannot carry: {error}")
    return BadQuery("query.invalid", message, path=path)


def unpackable(node: Any, path: str = "", depth: int = 0) -> tuple[str, str] | None:
    """The first value that no spec may hold, as its path and what is wrong with it; None when there is none."""
    if depth > _DEPTH:
        return path, "nested over 64 levels"
    match node:
        case Mapping():
            return _in_map(node, path, depth)
        case list() | tuple():
            parts = ((f"{path}[{index}]", part) for index, part in enumerate(node))
            return next((fault for at, part in parts if (fault := unpackable(part, at, depth + 1))), None)
        case None | bool() | bytes() | msgpack.Timestamp():
            return None
        case int():
            return None if -(2**63) <= node < 2**63 else (path, f"an integer beyond 2^63-1: {str(node)[:_SHOWN]}")
        case _:
            wrong = _wrong_scalar(node)
            return None if wrong is None else (path, wrong)


def _wrong_scalar(node: Any) -> str | None:
    match node:
        case float():
            return None if math.isfinite(node) else f"expected a finite number, got {node}"
        case str():
            return "a string that is not UTF-8" if any("\ud800" <= letter <= "\udfff" for letter in node) else None
        case datetime():
            return "expected a datetime with its zone" if node.tzinfo is None else None
        case _:
            return f"expected a map, list, string, number, boolean, datetime or None, got {type(node).__name__}"


def _in_map(node: Mapping[Any, Any], path: str, depth: int) -> tuple[str, str] | None:
    for name, part in node.items():
        if not isinstance(name, str):
            return path, f"a key that is {name!r:.{_SHOWN}}, expected a string"
        at = f"{path}.{name[:_SHOWN]}" if path else name[:_SHOWN]
        if wrong := _wrong_scalar(name):
            return at.encode(errors="replace").decode(), wrong
        if fault := unpackable(part, at, depth + 1):
            return fault
    return None
