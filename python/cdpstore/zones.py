"""Zones of the IANA data base, as tables of transitions for the engine.

The data is that of the `tzdata` package, never the machine's own, so that a question has one answer everywhere;
`TABLE` names its release and goes into every answer in a zone (note `zone_table`). A table is made by asking `zoneinfo`
for the offset of one day after another and halving where it differs: rules beyond the file's last transition are
followed to the end of all event times, and nothing of a format is read here. ~50 ms a zone, once a process.

>>> transitions("Asia/Kathmandu")
[(0, 19800000), (504901800000, 20700000)]
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo

import tzdata

__all__ = ["TABLE", "available", "is_zone", "transitions", "with_tables", "zone_info"]

TABLE: Final = tzdata.IANA_VERSION
_LAST_S: Final = 4_133_980_800  # 2101: no event is later
_DAY_S: Final = 86_400
_DEPTH: Final = 64


@lru_cache(maxsize=1)
def available() -> frozenset[str]:
    """The names of all zones."""
    return frozenset(resources.files(tzdata).joinpath("zones").read_text(encoding="utf-8").split())


def is_zone(name: str) -> bool:
    """Whether the data base has a zone of this very name.

    >>> is_zone("Europe/Vienna"), is_zone("europe/vienna"), is_zone("../etc/passwd")
    (True, False, False)
    """
    return name in available()


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """The zone as `tzdata` has it. Raises `ValueError` for names that it lacks."""
    if not is_zone(name):
        raise ValueError(f"unknown zone {name[:64]!r}")
    with resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=1024)
def transitions(name: str) -> list[tuple[int, int]]:
    """(UTC milliseconds, offset in force from then on, in milliseconds), from 1970 to 2101. Raises `ValueError`."""
    zone = zone_info(name)
    return [(at_s * 1000, offset // timedelta(milliseconds=1)) for at_s, offset in _changes(zone)]


def with_tables(spec: Any, depth: int = 0) -> Any:
    """The spec with every zone that a clause names as its table, so that it means the same wherever it is read.

    >>> with_tables({"trait": "born", "op": "anniversary", "zone": "Asia/Kathmandu"})["zone"]["transitions"]
    [[0, 19800000], [504901800000, 20700000]]
    """
    if depth > _DEPTH:  # refused by whoever reads it
        return spec
    if isinstance(spec, Mapping):
        return {
            name: _table_of(each) if name == "zone" else with_tables(each, depth + 1) for name, each in spec.items()
        }
    return [with_tables(each, depth + 1) for each in spec] if isinstance(spec, list | tuple) else spec


def _table_of(zone: Any) -> Any:
    if not isinstance(zone, str) or not is_zone(zone):
        return zone
    return {"name": zone, "table": TABLE, "transitions": [list(each) for each in transitions(zone)]}


def _changes(zone: ZoneInfo) -> Iterator[tuple[int, timedelta]]:
    known = _offset(zone, 0)
    yield 0, known
    for day in range(0, _LAST_S, _DAY_S):
        before, after = day, day + _DAY_S
        while _offset(zone, after) != known:
            low, high = before, after
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == known else (low, middle)
            before, known = high, _offset(zone, high)
            yield before, known


def _offset(zone: ZoneInfo, at_s: int) -> timedelta:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    assert offset is not None
    return offset
