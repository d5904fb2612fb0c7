"""The tests on a value that are more than a comparison, by definition: one value, one instant at a time."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from cdpstore.model import datetime_of, milliseconds_of
from cdpstore.testing.durations import milliseconds
from cdpstore.testing.regex import compiled
from cdpstore.zones import zone_info

__all__ = ["ELEMENT_TESTS", "VERSIONS", "at_instant", "is_version", "local_date"]

_VERSION: Final = re.compile(
    r"[vV]?([0-9]+(?:\.[0-9]+)*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
VERSIONS: Final = ("version_lt", "version_le", "version_gt", "version_ge", "version_eq")


def at_instant(spec: Any, zone: str, now_ms: int) -> Any:
    """The spec, every test of it knowing when and in which zone the question is asked."""
    if isinstance(spec, dict):
        known = {name: at_instant(each, zone, now_ms) for name, each in spec.items()}
        return {"asked": (zone, now_ms), **known} if "op" in spec else known
    return [at_instant(each, zone, now_ms) for each in spec] if isinstance(spec, list) else spec


def local_date(time: datetime, test: dict[str, Any]) -> date:
    """The date that the wall clock of the test's zone, else the question's, shows."""
    zone = test.get("zone") or test["asked"][0]
    return time.astimezone(zone_info(zone)).date()


def is_version(text: Any) -> bool:
    """Whether it is a version.

    >>> is_version("v1.10-rc.1+build"), is_version("1..2")
    (True, False)
    """
    return isinstance(text, str) and _VERSION.fullmatch(text) is not None


def _regex(element: Any, test: dict[str, Any]) -> bool:
    found = isinstance(element, str) and compiled(test["value"], bool(test.get("ignore_case"))).search(element)
    return bool(found)


def _within(element: Any, test: dict[str, Any]) -> bool:
    if not isinstance(element, datetime):
        return False
    time_ms, now_ms = milliseconds_of(element), test["asked"][1]
    if "last" in test["value"]:
        return bool(now_ms - milliseconds(test["value"]["last"]) < time_ms <= now_ms)
    return bool(now_ms < time_ms <= now_ms + milliseconds(test["value"]["next"]))


def _on(element: Any, test: dict[str, Any]) -> bool:
    return isinstance(element, datetime) and local_date(element, test).isoformat() == test["value"]


def _anniversary(element: Any, test: dict[str, Any]) -> bool:
    if not isinstance(element, datetime):
        return False
    rule, born = test["value"], local_date(element, test)
    today = local_date(datetime_of(test["asked"][1]), test)
    days = (_in_year(born, today.year + step, rule.get("leap_day") or "feb_28") for step in range(-2, 3))
    before, after = (timedelta(days=rule.get(name) or 0) for name in ("days_before", "days_after"))
    return any(day - before <= today <= day + after for day in days)


def _in_year(born: date, year: int, leap_day: str) -> date:
    try:
        return born.replace(year=year)
    except ValueError:
        return date(year, 2, 28) if leap_day == "feb_28" else date(year, 3, 1)


def _version(element: Any, test: dict[str, Any]) -> bool:
    if not is_version(element):
        return False
    left, right = _order_of(element), _order_of(test["value"])
    order = int(left > right) - int(left < right)
    return (
        order
        in {
            "version_lt": (-1,),
            "version_le": (-1, 0),
            "version_gt": (1,),
            "version_ge": (0, 1),
            "version_eq": (0,),
        }[str(test["op"])]
    )


def _order_of(version: str) -> Any:
    match = _VERSION.fullmatch(version)
    assert match is not None
    numbers = [int(number) for number in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in (match[2] or "").split(".")]
    return numbers, (1, []) if match[2] is None else (0, parts)


ELEMENT_TESTS: Final[dict[str, Callable[[Any, dict[str, Any]], bool]]] = {
    "regex": _regex,
    "within": _within,
    "on": _on,
    "anniversary": _anniversary,
    **dict.fromkeys(VERSIONS, _version),
}
