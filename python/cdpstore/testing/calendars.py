"""Calendar buckets by definition: local wall clock in an IANA zone, a bucket named by the UTC time of its start."""

import dataclasses
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from cdpstore.model import datetime_of
from cdpstore.zones import zone_info

__all__ = ["WEEKDAYS", "Calendar", "Moment", "absolute", "local_of", "shown_ms", "utc_of_local", "utc_of_local_time"]

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MINUTE: Final = 60_000
_HOUR: Final = 3_600_000
_DAY: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)


class Calendar:
    """One unit in one zone. `origin_ms` is what `{"days": n}` counts from."""

    def __init__(self, unit: Any, *, zone: str = "UTC", week_start: str = "monday", origin_ms: int = 0) -> None:
        self._unit = unit
        self._step = _step_ms(unit)
        self._zone = zone
        self._week_start = WEEKDAYS.index(week_start)
        self._origin = self._local_day(origin_ms)

    def start(self, time_ms: int) -> int:
        """UTC start of the bucket that holds the instant."""
        if self._step:
            return self._start_of_step(time_ms)
        return utc_of_local(self._zone, self._first_day(self.index(time_ms)).toordinal() - _EPOCH.toordinal())

    def periods(self, from_ms: int, to_ms: int) -> int:
        """Steps from the bucket of one instant to that of a later one; those of the clock as they passed."""
        if not self._step:
            return self.index(to_ms) - self.index(from_ms)
        if self._zone == "UTC":
            return to_ms // self._step - from_ms // self._step
        count, at, last = 0, self._start_of_step(from_ms), self._start_of_step(to_ms)
        while at < last:
            if at + _DAY <= last and _offset_ms(self._zone, at) == _offset_ms(self._zone, at + _DAY):
                count, at = count + _DAY // self._step, at + _DAY  # no zone changes its offset twice a day
                continue
            count, at = count + 1, self._next_step(at)
        return count

    def start_before(self, time_ms: int, steps: int) -> int:
        """UTC start of the bucket so many steps before that of the instant."""
        if not self._step:
            first = self._first_day(self.index(time_ms) - steps)
            return utc_of_local(self._zone, first.toordinal() - _EPOCH.toordinal())
        start_ms = self._start_of_step(time_ms)
        for _ in range(steps):
            start_ms = self._start_of_step(start_ms - 1)
        return start_ms

    def next_start(self, start_ms: int) -> int:
        """UTC start of the bucket behind the one that starts here; what a zone skipped is none."""
        if self._step:
            return self._next_step(start_ms)
        return next(start for steps in range(1, 4) if (start := self.start_before(start_ms, -steps)) > start_ms)

    def _next_step(self, start_ms: int) -> int:
        grain = min(self._step, _HOUR) // 4 if self._step % _HOUR == 0 else _MINUTE  # offsets change on these
        starts = (self._start_of_step(time) for time in range(start_ms + grain, start_ms + 2 * self._step, grain))
        return next(start for start in starts if start > start_ms)

    def _start_of_step(self, time_ms: int) -> int:
        """An hour begins with the local hour, or with the offset that is in force; so do minutes."""
        offset = _offset_ms(self._zone, time_ms)
        start = time_ms - (time_ms + offset) % self._step
        if _offset_ms(self._zone, start) == offset:
            return start
        low, high = start, time_ms
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _offset_ms(self._zone, middle) == offset else (middle, high)
        return high

    def index(self, time_ms: int) -> int:
        """The number of the bucket that the wall clock shows, counted from any fixed one; not of hours."""
        day = self._local_day(time_ms)
        match self._unit:
            case "day":
                return day.toordinal()
            case "week":
                return (day.toordinal() - 1 - self._week_start) // 7
            case "month":
                return day.year * 12 + day.month - 1
            case "quarter":
                return day.year * 4 + (day.month - 1) // 3
            case "year":
                return day.year
            case {"days": count}:
                return int((day - self._origin).days // count)
        raise AssertionError(self._unit)

    def _first_day(self, index: int) -> date:
        match self._unit:
            case "day":
                return date.fromordinal(index)
            case "week":
                return date.fromordinal(index * 7 + 1 + self._week_start)
            case "month":
                return date(index // 12, index % 12 + 1, 1)
            case "quarter":
                return date(index // 4, index % 4 * 3 + 1, 1)
            case "year":
                return date(index, 1, 1)
            case {"days": count}:
                return self._origin + timedelta(days=index * count)
        raise AssertionError(self._unit)

    def _local_day(self, time_ms: int) -> date:
        return datetime_of(time_ms + _offset_ms(self._zone, time_ms)).date()


def _step_ms(unit: Any) -> int:
    """The length of steps of the clock; 0 of those of the calendar."""
    match unit:
        case "minute":
            return _MINUTE
        case "hour":
            return _HOUR
        case {"minutes": count}:
            return int(count) * _MINUTE
        case _:
            return 0


@dataclasses.dataclass(frozen=True)
class Moment:
    """The instant that a predicate is asked at, and the calendar of windows that name none."""

    now_ms: int
    zone: str = "UTC"
    week_start: str = "monday"


def absolute(window: dict[str, Any], moment: Moment) -> dict[str, Any]:
    """A window of the calendar as an absolute one, up to now or to the present unit; any other as it is."""
    if "unit" not in window:
        return window
    zone, week_start = window.get("zone") or moment.zone, window.get("week_start") or moment.week_start
    calendar = Calendar(window["unit"], zone=zone, week_start=week_start)
    past = bool(window["is_past"])
    start_ms = calendar.start_before(moment.now_ms, window["count"] - (not past))
    return {"start_ms": start_ms, "end_ms": calendar.start_before(moment.now_ms, 0) if past else None}


def shown_ms(zone: str, time_ms: int) -> int:
    """What the zone's wall clock shows, in milliseconds as if it were UTC.

    >>> shown_ms("Asia/Kolkata", 0)
    19800000
    """
    return time_ms + _offset_ms(zone, time_ms)


def utc_of_local(zone: str, day: int) -> int:
    """The earliest instant at which the zone's wall clock shows this day since 1970 or a later one.

    >>> utc_of_local("Europe/London", 0) == -3_600_000, utc_of_local("UTC", 2) == 172_800_000
    (True, True)
    """
    local_ms = day * _DAY
    if zone == "UTC":
        return local_ms
    low, high = local_ms - 27 * _HOUR, local_ms + 27 * _HOUR
    first = next(time for time in range(low, high, _HOUR // 4) if time + _offset_ms(zone, time) >= local_ms)
    low = first - _HOUR // 4
    while first - low > 1:
        middle = (low + first) // 2
        low, first = (low, middle) if middle + _offset_ms(zone, middle) >= local_ms else (middle, first)
    return first


def local_of(zone: str, time_ms: int) -> tuple[date, int]:
    """What the wall clock shows: the day, and the milliseconds of it."""
    local_ms = time_ms + _offset_ms(zone, time_ms)
    return datetime_of(local_ms).date(), local_ms % _DAY


def utc_of_local_time(zone: str, day: date, of_day_ms: int) -> int:
    """The earliest instant at which the wall clock shows this time of this day or a later one.

    >>> spring = date(2026, 3, 29)
    >>> utc_of_local_time("Europe/London", spring, 5_400_000) == utc_of_local_time("UTC", spring, 3_600_000)
    True
    """
    local_ms = (day - _EPOCH).days * _DAY + of_day_ms
    near = range(local_ms - 27 * _HOUR, local_ms + 27 * _HOUR, _HOUR // 4)
    exact = [local_ms - offset for offset in {_offset_ms(zone, time) for time in near}]
    shown = [time for time in exact if time + _offset_ms(zone, time) == local_ms]
    if shown:
        return min(shown)
    high = next(time for time in near if time + _offset_ms(zone, time) >= local_ms)
    low = high - _HOUR // 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle + _offset_ms(zone, middle) >= local_ms else (middle, high)
    return high


@lru_cache(maxsize=100_000)
def _offset_ms(zone: str, time_ms: int) -> int:
    if zone == "UTC":
        return 0
    offset = datetime.astimezone(datetime_of(time_ms), zone_info(zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)
