"""Days of 23 and 25 hours, half hours, changes off the quarter hour, days that never were: told one by one, then every
zone that is hard against the model around its changes."""

import itertools
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.model import milliseconds_of
from cdpstore.store import Store
from cdpstore.testing import ModelStore
from cdpstore.zones import TABLE, available, transitions, zone_info
from tests.oracle.scale import examples
from tests.oracle.twins import table_key

NOW_MS = 1_780_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

# Zones with an instant near which they do something hard.
HARD = {
    "Europe/London": "2023-10-29T02:00",
    "America/New_York": "2024-03-10T02:00",
    "Asia/Kathmandu": "1986-01-01T00:00",  # 15 minutes forward
    "Australia/Lord_Howe": "2024-04-07T02:00",  # back by half an hour
    "Africa/Casablanca": "2024-03-10T03:00",  # summer interrupted by Ramadan
    "America/St_Johns": "2007-11-04T00:01",  # back to 23:01 of the day before
    "America/Sao_Paulo": "2018-11-04T00:00",  # midnight skipped
    "Antarctica/Casey": "2020-10-04T00:01",  # forward by three hours, a minute past midnight
    "Africa/Monrovia": "1972-01-07T00:00",  # 44 minutes 30 seconds; before the first event, so its end only
    "Pacific/Kiritimati": "1994-12-31T00:00",  # a day skipped
    "Pacific/Apia": "2011-12-30T00:00",
    "Asia/Pyongyang": "2018-05-04T23:30",
    "America/Caracas": "2016-05-01T02:30",
}


def _at(text: str, zone: str, fold: int = 0) -> int:
    return milliseconds_of(datetime.fromisoformat(text).replace(tzinfo=zone_info(zone), fold=fold))


def _fill(store: Any, *times: int, name: str = "E", who: str = "u") -> None:
    ids = {"user_id": who}
    store.append([{"type": "event", "name": name, "time_ms": time, "ids": ids} for time in times], now_ms=NOW_MS)


def _totals(store: Any, zone: str, interval: Any = "day", **fields: Any) -> list[Any]:
    spec = {"kind": "trend", "event": "E", "interval": interval, "zone": zone, **fields}
    return sorted(store.query(spec, now_ms=NOW_MS).rows())


def _return_periods(store: Any, zone: str, interval: Any) -> list[int]:
    spec = {"kind": "retention", "start": "S", "return": "E", "interval": interval, "zone": zone}
    return sorted(store.query(spec, now_ms=NOW_MS).column("period").tolist())


def test_days_of_23_and_of_25_hours_are_one_day_each(store: Any) -> None:
    zone = "America/New_York"
    starts = [_at(f"2024-{day}T00:00", zone) for day in ("03-10", "03-11", "11-03", "11-04")]
    assert [starts[1] - starts[0], starts[3] - starts[2]] == [23 * 3_600_000, 25 * 3_600_000]
    _fill(store, *(start - back for start in starts for back in (0, 1)))
    counts = dict(_totals(store, zone))
    assert [counts[start] for start in starts] == [2, 1, 2, 1]


@pytest.mark.parametrize("event", ["T", {"event": None}, {"event": ["T", "U"]}], ids=str)
@pytest.mark.parametrize("kind", ["trend", "retention"])
def test_a_day_of_26_hours_is_one_where_it_ends_with_a_partition(store: Any, event: Any, kind: str) -> None:
    end_ms = 1_792_972_800_000  # 26 October 2026, a Monday, midnight in Troll and in UTC
    store.append(
        [
            {"type": "event", "name": name, "time_ms": end_ms - 1 - 6 * HOUR_MS * at, "ids": {"user_id": "u"}}
            for at in range(4 * 20)
            for name in "TU"
        ],
        now_ms=NOW_MS + 1_000 * DAY_MS,
    )
    asked = {"measures": ["total", "unique"], "event": event} if kind == "trend" else {"start": event}
    spec = {"kind": kind, "interval": "day", "zone": "Antarctica/Troll", **asked}
    rows = store.query(spec, now_ms=end_ms).rows()
    if kind == "retention":
        assert [row[1:3] for row in rows] == [(day, 1) for day in range(20)]
        return
    names = 1 if event == "T" else 2
    assert [row[0] for row in rows] == [end_ms - 26 * HOUR_MS - day * DAY_MS for day in reversed(range(20))]
    assert {row[2] for row in rows} == {1}
    assert rows[-1][1] == 5 * names
    assert sum(row[1] for row in rows) == 80 * names


def test_a_clock_set_back_across_midnight_shows_the_day_before_once_more(store: Any) -> None:
    zone = "America/St_Johns"
    last = _at("2007-11-03T23:30", zone)
    first_minute = _at("2007-11-04T00:00:30", zone)
    again = _at("2007-11-03T23:30", zone, fold=1)
    assert last < first_minute < again
    _fill(store, last, first_minute, again)
    assert _totals(store, zone) == [(_at("2007-11-03T00:00", zone), 2), (_at("2007-11-04T00:00", zone), 1)]
    assert _totals(store, zone, measures=["unique"], interval="week") == [(_at("2007-10-29T00:00", zone), 1)]
    assert _totals(store, zone, measures=["unique"])[0][1] == 1


def test_three_hours_skipped_a_minute_past_midnight_are_no_hours(store: Any) -> None:
    zone = "Antarctica/Casey"
    change = _at("2020-10-04T00:01", zone)
    _fill(store, change - 1, change)
    assert _totals(store, zone, "hour") == [(change - MINUTE_MS, 1), (change, 1)]
    assert _totals(store, zone) == [(change - MINUTE_MS, 2)]


def test_a_day_that_was_skipped_counts_as_a_period(store: Any) -> None:
    zone = "Pacific/Kiritimati"
    before, after = _at("1994-12-30T12:00", zone), _at("1995-01-01T12:00", zone)
    assert after - before == DAY_MS
    _fill(store, before, name="S")
    _fill(store, after)
    assert _return_periods(store, zone, "day") == [2]
    assert _return_periods(store, zone, {"days": 2}) == [1]
    assert _totals(store, zone) == [(_at("1995-01-01T00:00", zone), 1)]


def test_hours_of_retention_pass_also_while_they_repeat(store: Any) -> None:
    zone = "Europe/London"
    start = _at("2023-10-29T00:30", zone)
    _fill(store, start, name="S")
    _fill(store, start + 2 * 3_600_000)  # 01:30 for the second time
    assert _return_periods(store, zone, "hour") == [2]


def test_weeks_begin_on_any_day_and_iso_weeks_on_monday(store: Any) -> None:
    zone = "Asia/Kolkata"
    sunday, monday = _at("2023-12-31T23:59", zone), _at("2024-01-01T00:00", zone)
    _fill(store, sunday, monday)
    assert _totals(store, zone, "week") == [(_at("2023-12-25T00:00", zone), 1), (monday, 1)]
    assert _totals(store, zone, "week", week_start="sunday") == [(_at("2023-12-31T00:00", zone), 2)]


def test_the_last_local_days_begin_at_midnight_and_this_month_on_its_first(store: Any) -> None:
    zone, now_ms = "Asia/Kolkata", _at("2024-03-02T10:00", "Asia/Kolkata")
    for at in ("2024-02-24T23:59", "2024-02-25T00:00", "2024-02-29T23:59", "2024-03-01T00:00", "2024-03-02T10:00"):
        _fill(store, _at(at, zone), who=at)
    common = {"kind": "trend", "event": "E", "zone": zone, "now_ms": now_ms}
    for window, count in (({"last": "7d", "calendar": True}, 4), ({"this": "month"}, 2), ({"this": "day"}, 1)):
        assert store.query({**common, "range": window}).rows() == [(count,)]
        members = {"kind": "profiles", "where": {"did": "E", "window": window}, "zone": zone, "now_ms": now_ms}
        assert store.query(members).column("profile_id").size == count


def test_a_live_segment_turns_at_midnight_of_its_own_zone_or_of_utc(tmp_path: Path) -> None:
    zone = "Asia/Kolkata"
    today = {"did": "E", "window": {"this": "day"}}
    with Store.open(tmp_path, background=False) as store:
        midnight_ms = _at("2024-03-01T00:00", "UTC")
        store.watch("utc", today, now_ms=midnight_ms)
        store.watch("own", {**today, "window": {"this": "day", "zone": zone}}, now_ms=midnight_ms)
        store.append([{"type": "event", "name": "E", "ids": {"user_id": "u"}}], now_ms=midnight_ms + 17 * HOUR_MS)
        for until, members in (("17:00", (1, 1)), ("18:29", (1, 1)), ("18:30", (1, 0)), ("23:59", (1, 0))):
            store.tick(_at(f"2024-03-01T{until}", "UTC"))
            assert (len(store.members("utc")), len(store.members("own"))) == members, until
        store.tick(midnight_ms + DAY_MS)
        assert (len(store.members("utc")), len(store.members("own"))) == (0, 0)
    with Store.open(tmp_path, background=False) as store:  # the log brings the zone's table
        definition = dict((name, body) for _, name, body in store.definitions())["own"]
        table = [list(each) for each in transitions(zone)]
        assert definition["window"]["zone"] == {"name": zone, "table": TABLE, "transitions": table}


def test_an_export_reads_windows_of_the_calendar_in_the_zone_that_they_name(store: Any) -> None:
    if not isinstance(store, Store):
        return
    _fill(store, _at("2024-03-01T20:00", "UTC"))  # already the next day in India
    for zone, count in ((None, 0), ("Asia/Kolkata", 1)):
        where = {"did": "E", "window": {"this": "day"} | ({"zone": zone} if zone else {})}
        rows = pyarrow.table(store.profiles(where, now_ms=_at("2024-03-02T00:30", "UTC")))
        assert rows.num_rows == count


def test_windows_of_the_calendar_are_of_whole_days() -> None:
    with Store.open(background=False) as store:
        with pytest.raises(BadQuery) as caught:
            store.query({"kind": "trend", "event": "E", "range": {"last": "7h", "calendar": True}}, now_ms=NOW_MS)
        assert caught.value.path == "range.last"


def test_an_answer_in_a_zone_names_the_table_it_used(store: Any) -> None:
    for zone, table in (("UTC", None), ("Asia/Tokyo", TABLE)):
        answer = store.query({"kind": "trend", "event": "E", "zone": zone}, now_ms=NOW_MS)
        assert answer.notes.get("zone_table") == table


@pytest.mark.parametrize("zone", ["Mars/Olympus", "europe/london", "../../etc/passwd", "Europe", "\u0000", "x" * 256])
def test_a_zone_that_is_none_is_refused(store: Any, zone: str) -> None:
    with pytest.raises(BadQuery) as caught:
        store.query({"kind": "trend", "event": "E", "zone": zone}, now_ms=NOW_MS)
    assert (caught.value.code, caught.value.path) == ("query.zone.unknown", "zone")


@pytest.mark.parametrize("zone", HARD)
def test_tables_give_the_offsets_of_zoneinfo(zone: str) -> None:
    _check_table(zone, step_s=6 * 3_600)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_tables_of_all_zones_give_the_offsets_of_zoneinfo() -> None:
    for zone in sorted(available()):
        _check_table(zone, step_s=1_800)


def _check_table(zone: str, step_s: int) -> None:
    table, info = transitions(zone), zone_info(zone)
    for (_, offset), (at_ms, after) in itertools.pairwise(table):
        for time_ms, expected in ((at_ms - 1000, offset), (at_ms, after)):
            assert datetime.fromtimestamp(time_ms / 1000, info).utcoffset() == timedelta(milliseconds=expected)
    place = 0
    for at_s in range(0, 2_200_000_000, step_s):
        while place + 1 < len(table) and table[place + 1][0] <= at_s * 1000:
            place += 1
        expected_offset = timedelta(milliseconds=table[place][1])
        assert datetime.fromtimestamp(at_s, info).utcoffset() == expected_offset, (zone, at_s)


_UNITS: list[Any] = ["hour", "day", "week", "month", "quarter", "year", {"days": 2}, {"days": 5}]


@examples(60)
@given(
    zone=st.sampled_from(sorted(HARD)),
    steps=st.lists(
        st.tuples(st.integers(-4 * 96, 4 * 96), st.sampled_from([-1, 0, 1, 60_000, 450_000]), st.integers(0, 2)),
        min_size=1,
        max_size=30,
    ),
    units=st.lists(st.sampled_from(_UNITS), min_size=1, max_size=3, unique_by=str),
    week_start=st.sampled_from(["monday", "wednesday", "sunday"]),
    cut=st.none() | st.integers(-200, 200),
    seals=st.booleans(),
)
def test_around_every_hard_change_the_store_answers_as_the_model(
    zone: str, steps: Any, units: Any, week_start: str, cut: int | None, seals: bool
) -> None:
    change = _at(HARD[zone], zone)
    change = max(change, 94_694_400_000 + 5 * DAY_MS)  # events begin in 1973
    records = [
        {
            "type": "event",
            "name": "E" if who else "S",
            "time_ms": change + step * 15 * MINUTE_MS + odd,
            "ids": {"user_id": f"u{who % 2}"},
            "properties": {"price": odd},
        }
        for step, odd, who in steps
    ]
    common: dict[str, Any] = {"zone": zone, "week_start": week_start}
    if cut is not None:
        common["range"] = {"start_ms": change + cut * 17 * MINUTE_MS, "end_ms": change + 3 * DAY_MS + 123_456}
    every = {"event": ["E", "S"]}
    questions: list[dict[str, Any]] = [
        {"kind": "trend", "event": every, "interval": units, "measures": ["total", "unique"], **common},
        {"kind": "trend", "event": every, "interval": units, "measures": ["unique", {"sum": "price"}], **common},
        {"kind": "trend", "event": "E", "interval": units, "measures": ["unique"], **common},
        *({"kind": "retention", "start": "S", "return": "E", "interval": unit, **common} for unit in units),
        *({"kind": "retention", "start": every, "interval": unit, **common} for unit in units),
    ]
    model = ModelStore.open()
    with Store.open(background=False) as real:
        for half in (records[: len(records) // 2], records[len(records) // 2 :]):
            for each in (model, real):
                each.append(half, now_ms=NOW_MS)
            if seals:
                real.seal()
        for question in questions:
            answers = [table_key(each.query(question, now_ms=change + 9 * DAY_MS)) for each in (real, model)]
            assert answers[0] == answers[1], question
