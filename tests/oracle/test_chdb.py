"""Funnels, retention, trends and sequences of random histories against ClickHouse in this process: another oracle that
nobody here wrote, where its functions mean what ours do. Only `make long` installs it.

Events of one profile lie at different times: at equal ones ClickHouse goes by the number of the condition, not by the
log, and its `strict_increase` forgets an earlier entry for one that falls together with the next step.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cdpstore.store import Store

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = START_MS + 500 * DAY_MS
ROUNDS = 12
ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Adelaide",
    "Pacific/Auckland",
)

Event = tuple[int, int, str, int, float]  # who, milliseconds, name, x, y


@pytest.fixture(name="clickhouse", scope="module")
def _clickhouse() -> Any:
    return pytest.importorskip("chdb")


def _history(seed: int, *, span_ms: int, step_ms: int) -> list[Event]:
    choose = random.Random(seed)
    events: list[Event] = []
    for who in range(60):
        for slot in choose.sample(range(span_ms // step_ms), choose.randrange(2, 25)):
            x, y = choose.randrange(-50, 50), choose.randrange(1, 400) / 8
            events.append((who, START_MS + slot * step_ms, choose.choice("ABCD"), x, y))
    choose.shuffle(events)
    return events


def _store(events: Sequence[Event]) -> Store:
    store = Store.open(background=False)
    records = [
        {
            "type": "event",
            "name": name,
            "time_ms": time_ms,
            "ids": {"user_id": f"u{who}"},
            "properties": {"x": x, "y": y, "who": who},
        }
        for who, time_ms, name, x, y in events
    ]
    for first in range(0, len(records), 300):
        store.append(records[first : first + 300], now_ms=NOW_MS)
    return store


class Sides:
    """One history in both."""

    def __init__(self, clickhouse: Any, events: Sequence[Event], folder: Path) -> None:
        self.store, self._clickhouse = _store(events), clickhouse
        self._rows = folder / "events.csv"
        self._rows.write_text("".join(",".join(map(str, event)) + "\n" for event in events))

    def ours(self, spec: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self.store.query(spec, now_ms=NOW_MS).rows()

    def theirs(self, select: str) -> list[list[Any]]:
        """`e` is the table: w, t (milliseconds), n, x, y."""
        table = f"file('{self._rows}', 'CSV', 'w UInt32, t UInt64, n String, x Int64, y Float64')"
        answer = self._clickhouse.query(f"with e as (select * from {table}) {select}", "JSONCompactEachRow")
        return [json.loads(line) for line in str(answer).splitlines()]


@pytest.fixture(name="make")
def _make(clickhouse: Any, tmp_path: Path) -> Iterator[Any]:
    made: list[Sides] = []

    def make(events: Sequence[Event]) -> Sides:
        made.append(Sides(clickhouse, events, tmp_path))
        return made[-1]

    yield make
    for sides in made:
        sides.store.close()


def _numbers(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """In one order, integers as integers: ClickHouse writes those of 64 bits as texts."""
    return sorted(tuple(int(cell) if isinstance(cell, str) else cell for cell in row) for row in rows)


FUNNELS: list[tuple[str, dict[str, Any]]] = [("", {}), (", 'strict_increase'", {"same_time": "later"})]


@pytest.mark.parametrize(("mode", "rules"), FUNNELS, ids=["plain", "strict_increase"])
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_funnels_are_those_of_window_funnel(make: Any, seed: int, mode: str, rules: dict[str, Any]) -> None:
    sides = make(_history(seed, span_ms=20 * DAY_MS, step_ms=7 * 60_000))
    for steps in ("AB", "ABC", "DCBA"):
        for window in (6 * HOUR_MS, DAY_MS, 5 * DAY_MS, 20 * DAY_MS):
            conditions = ", ".join(f"n = '{name}'" for name in steps)
            levels = f"select w, windowFunnel({window}{mode})(t, {conditions}) as level from e group by w"
            counted = ", ".join(f"countIf(level >= {at})" for at in range(1, len(steps) + 1))
            asked = {"kind": "funnel", "steps": list(steps), "window": window, **rules}
            assert sides.ours(asked) == _numbers(sides.theirs(f"select {counted} from ({levels})")), (steps, window)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_returns_of_a_day_are_those_of_retention(make: Any, seed: int) -> None:
    sides = make(_history(seed, span_ms=8 * DAY_MS, step_ms=11 * 60_000))
    first_day = START_MS // DAY_MS * DAY_MS
    day = f"intDiv(t, {DAY_MS}) - {first_day // DAY_MS}"
    for start in range(4):
        conditions = ", ".join(f"n = 'B' and {day} = {start + period}" for period in (1, 2, 3))
        returned = f"select retention(n = 'A' and {day} = {start}, {conditions}) as r from e group by w"
        expected = _numbers(sides.theirs(f"select sum(r[1]), sum(r[2]), sum(r[3]), sum(r[4]) from ({returned})"))
        range_ms = {"start_ms": first_day + start * DAY_MS, "end_ms": first_day + (start + 1) * DAY_MS}
        rows = sides.ours(
            {"kind": "retention", "start": "A", "return": "B", "interval": "day", "range": range_ms, "fill": True}
        )
        found = {period: (profiles, eligible) for _, period, profiles, eligible, _ in rows}
        size = found[0][1] if found else 0
        assert [(size, *(found[period][0] if found else 0 for period in (1, 2, 3)))] == expected


UNITS = {
    "hour": "toUnixTimestamp(toStartOfHour(d))",
    "day": "toUnixTimestamp(toStartOfDay(d))",
    "week": "toUnixTimestamp(toDateTime(toStartOfWeek(d, 1), '{zone}'))",
    "sunday": "toUnixTimestamp(toDateTime(toStartOfWeek(d, 0), '{zone}'))",
    "month": "toUnixTimestamp(toDateTime(toStartOfMonth(d), '{zone}'))",
    "quarter": "toUnixTimestamp(toDateTime(toStartOfQuarter(d), '{zone}'))",
    "year": "toUnixTimestamp(toDateTime(toStartOfYear(d), '{zone}'))",
}
MEASURES = [
    "total",
    "unique",
    {"sum": "x"},
    {"min": "x"},
    {"max": "y"},
    {"distinct": "x"},
    {"median": "y"},
    {"p90": "y"},
]
MEASURED = (
    "count(), uniqExact(w), sum(x), min(x), max(y), uniqExact(x),"
    " quantileExactInclusive(0.5)(y), quantileExactInclusive(0.9)(y)"
)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", UNITS)
def test_buckets_of_every_zone_measure_the_same(make: Any, unit: str, zone: str) -> None:
    sides = make(_history(len(zone), span_ms=400 * DAY_MS, step_ms=13 * 60_000))
    local = f"select *, toDateTime(intDiv(t, 1000), '{zone}') as d from e where n = 'A'"
    expected = sides.theirs(f"select {UNITS[unit].format(zone=zone)} * 1000, {MEASURED} from ({local}) group by 1")
    calendar = {"interval": "week", "week_start": "sunday"} if unit == "sunday" else {"interval": unit}
    rows = sides.ours({"kind": "trend", "event": "A", "zone": zone, "measures": MEASURES, **calendar})
    exact = [row[:-2] for row in _numbers(expected)]
    assert [row[:-2] for row in sorted(rows)] == exact
    for ours, theirs in zip(sorted(rows), _numbers(expected), strict=True):
        assert ours[-2:] == pytest.approx(theirs[-2:], rel=1e-12)  # there the fraction is rounded on its way


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_sequences_are_those_of_sequence_count(make: Any, seed: int) -> None:
    sides = make(_history(seed, span_ms=20 * DAY_MS, step_ms=7 * 60_000))
    for first, second, between in ("ABC", "CAB", "BDA"):
        conditions = f"n = '{first}', n = '{second}', n = '{between}'"
        loose, tight = "(?1).*(?2)", "(?1)(?2)"
        counts = (
            f"select w, sequenceCount('{loose}')(t, n = '{first}', n = '{second}') as loose,"
            f" sequenceMatch('{tight}')(t, {conditions}) as tight from e group by w"
        )
        for count in (1, 2, 3):
            expected = sides.theirs(f"select w from ({counts}) where loose >= {count}")
            asked = {"sequence": [first, second], "count": {"op": "ge", "value": count}}
            assert _who(sides, asked) == {row[0] for row in expected}, (first, second, count)
        expected = sides.theirs(f"select w from ({counts}) where tight = 1")
        direct = {"sequence": [first, second], "without": {"event": [first, second, between]}}
        assert _who(sides, direct) == {row[0] for row in expected}, (first, second, between)


def _who(sides: Sides, where: Mapping[str, Any]) -> set[int]:
    asked = {"kind": "trend", "event": {"event": None}, "where": where, "breakdown": [{"property": "who"}]}
    return {row[0] for row in sides.ours(asked)}
