"""Durations of the query spec."""

import re
from collections.abc import Mapping

from cdpstore.errors import InvalidRequest

__all__ = ["durations", "milliseconds"]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_CENTURY_MS = 100 * 366 * 86_400_000
_FORM = re.compile(r"([0-9]+)(ms|s|m|h|d|w)")


def milliseconds(duration: int | str) -> int:
    """The duration in milliseconds; `ValueError` for what is none.

    >>> milliseconds("15m"), milliseconds("500ms"), milliseconds(7)
    (900000, 500, 7)
    """
    if isinstance(duration, int):
        return duration
    match = _FORM.fullmatch(duration)
    if match is None:
        raise ValueError(f"no duration: {duration!r}")
    return int(match[1]) * _UNITS[match[2]]


def durations(rules: Mapping[str, int | str]) -> dict[str, int]:
    """Each in milliseconds; raises `InvalidRequest` with a path as the store does."""
    found = {}
    for name, given in rules.items():
        try:
            found[name] = milliseconds(given)
        except (ValueError, TypeError):
            found[name] = 0
        if isinstance(given, bool) or not 0 < found[name] <= _CENTURY_MS or not 1 <= len(name.encode()) <= 256:
            path = f"body.{name}" if name else "body"
            raise InvalidRequest("definition.invalid", f"no duration: {given!r}", path=path)
    return found
