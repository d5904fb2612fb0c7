"""What a range is compared with: one as long right before it, or the same dates some units of the calendar earlier."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from cdpstore.testing.calendars import local_of, utc_of_local_time
from cdpstore.testing.spec import bad, unit
from cdpstore.testing.view import View

__all__ = ["compared_lines", "has_start", "parse", "previous_range"]

_ALWAYS_MS = 40 * 100 * 366 * 86_400_000
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}


def parse(node: Any, path: str) -> Any:
    """ "period" or a unit longer than an hour."""
    if node == "period":
        return node
    if node == "hour":
        bad(path, "expected period, or a unit of days")
    return unit(node, path)


def has_start(asked: dict[str, Any] | None) -> bool:
    """Whether a range has a first instant."""
    if asked is None:
        return False
    if "last" in asked:
        return bool(asked["last"] < _ALWAYS_MS)
    return "unit" in asked or asked["start_ms"] is not None


def previous_range(previous: Any, asked: dict[str, Any], view: View) -> tuple[int, int]:
    """The range that is compared with, half-open."""
    start_ms, end_ms = view.start_ms, max(view.start_ms, view.end_ms)
    zone = asked.get("zone") or view.zone
    if previous != "period":
        return _earlier(start_ms, previous, 1, zone), _end(start_ms, end_ms, previous, 1, zone)
    if "unit" in asked:
        step, count = asked["unit"], asked["count"]
        return _earlier(start_ms, step, count, zone), _end(start_ms, end_ms, step, count, zone)
    if "last" in asked:
        length_ms = asked["last"] - asked["until"]
        return start_ms - length_ms, end_ms - length_ms
    asked_end_ms = end_ms if asked["end_ms"] is None else asked["end_ms"]
    first, _ = local_of(zone, start_ms)
    if utc_of_local_time(zone, first, 0) != start_ms or asked_end_ms <= start_ms:
        return start_ms - (asked_end_ms - start_ms), end_ms - (asked_end_ms - start_ms)
    days = (local_of(zone, asked_end_ms - 1)[0] - first).days + 1
    return _earlier(start_ms, "day", days, zone), _end(start_ms, end_ms, "day", days, zone)


def compared_lines(
    previous: Any, interval: Any, starts: Sequence[int], before_starts: Sequence[int], view: View
) -> list[int | None]:
    """Which line of the range before each line is compared with: one after the other, days by their dates."""
    if interval != "day" or not (isinstance(previous, str) and previous in _MONTHS):
        return [place if place < len(before_starts) else None for place in range(len(starts))]
    found: list[int | None] = []
    for start_ms in starts:
        date_ms = _earlier(max(start_ms, view.start_ms), previous, 1, view.zone)
        place = bisect_right(before_starts, date_ms) - 1
        found.append(place if place >= 0 and place not in found else None)
    return found


def _end(start_ms: int, end_ms: int, step: Any, count: int, zone: str) -> int:
    return max(_earlier(start_ms, step, count, zone), _earlier(end_ms, step, count, zone))


def _earlier(time_ms: int, step: Any, count: int, zone: str) -> int:
    """So many units earlier on the wall clock, at the same time of day."""
    if step == "hour":
        return time_ms - count * 3_600_000
    day, of_day_ms = local_of(zone, time_ms)
    if isinstance(step, str) and step in _MONTHS:
        month = day.year * 12 + day.month - 1 - _MONTHS[step] * count
        last = date((month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)
        return utc_of_local_time(zone, last.replace(day=min(day.day, last.day)), of_day_ms)
    days = step["days"] if isinstance(step, dict) else _DAYS[step]
    return utc_of_local_time(zone, day - timedelta(days=days * count), of_day_ms)
