"""Durations of the query spec."""

import re

__all__ = ["milliseconds"]

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
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
