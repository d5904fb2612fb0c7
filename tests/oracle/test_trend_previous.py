"""Trends beside the range before, and moving means: each rule in the engine and in the model."""

from datetime import datetime
from typing import Any

import pytest

from cdpstore.errors import BadQuery
from cdpstore.query import series, trend
from cdpstore.store import Store

DAY = 86_400_000


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


NOW = _at("2024-04-10T12:00")


def _store(store: Any, *rows: Any) -> Any:
    """(who, when, properties) of each event."""
    batch = [
        {
            "type": "event",
            "name": "A",
            "time_ms": _at(when),
            "ids": {"user_id": who},
            "properties": more[0] if more else {},
        }
        for who, when, *more in rows
    ]
    store.append(batch, now_ms=NOW)
    return store


def _rows(store: Any, question: Any, now_ms: int = NOW) -> list[Any]:
    return list(store.query(question, now_ms=now_ms).rows())


def test_a_range_stands_beside_as_long_a_one_right_before(store: Any) -> None:
    _store(
        store, ("u", "2024-03-01"), ("u", "2024-03-02"), ("u", "2024-03-03"), ("v", "2024-03-03"), ("v", "2024-03-04")
    )
    asked = trend("A").total().unique().between(_at("2024-03-03"), _at("2024-03-05")).compared()
    answer = store.query(asked, now_ms=NOW)
    assert answer.names == ("total", "unique", "previous(total)", "previous(unique)")
    assert answer.rows() == [(3, 2, 2, 1)]
    assert answer.notes["previous_start_ms"] == _at("2024-03-01")
    assert answer.notes["previous_end_ms"] == _at("2024-03-03")


def test_rows_are_compared_one_by_one_from_the_first(store: Any) -> None:
    _store(store, ("u", "2024-03-01"), ("u", "2024-03-03"), ("v", "2024-03-03T05:00"), ("v", "2024-03-04"))
    asked = trend("A").every("day").between(_at("2024-03-03"), _at("2024-03-05")).compared()
    answer = store.query(asked, now_ms=NOW)
    assert answer.names == ("start_ms", "previous_start_ms", "total", "previous(total)")
    days = [(_at("2024-03-03"), _at("2024-03-01"), 2, 1), (_at("2024-03-04"), _at("2024-03-02"), 1, 0)]
    assert answer.rows() == days


def test_a_row_that_only_the_range_before_has_events_for_is_there(store: Any) -> None:
    _store(store, ("u", "2024-03-01", {"p": 4}))
    asked = trend("A").total().mean("p").every("day").between(_at("2024-03-03"), _at("2024-03-05")).compared()
    assert _rows(store, asked) == [(_at("2024-03-03"), _at("2024-03-01"), 0, None, 1, 4.0)]


def test_a_month_has_its_days_beside_those_of_the_month_before_as_far_as_it_had_them(store: Any) -> None:
    _store(store, ("u", "2024-03-29"), ("u", "2024-03-31"), ("u", "2024-02-29"), ("u", "2024-01-31"))
    march = trend("A").every("day").between(_at("2024-03-01"), _at("2024-04-01")).compared("month")
    assert _rows(store, march) == [
        (_at("2024-03-29"), _at("2024-02-29"), 1, 1),
        (_at("2024-03-31"), None, 1, None),
    ]
    february = trend("A").every("day").between(_at("2024-02-01"), _at("2024-03-01")).compared("month")
    assert _rows(store, february) == [(_at("2024-02-29"), _at("2024-01-29"), 1, 0)], "31 January has no counterpart"


@pytest.mark.parametrize(
    ("previous", "start", "end"),
    [
        ("period", "2024-01-30", "2024-03-01"),
        ("day", "2024-02-29", "2024-03-31"),
        ("week", "2024-02-23", "2024-03-25"),
        ("month", "2024-02-01", "2024-03-01"),
        ("quarter", "2023-12-01", "2024-01-01"),
        ("year", "2023-03-01", "2023-04-01"),
        ({"days": 364}, "2023-03-03", "2023-04-03"),
    ],
)
def test_what_march_is_compared_with(store: Any, previous: Any, start: str, end: str) -> None:
    _store(store)
    asked = trend("A").between(_at("2024-03-01"), _at("2024-04-01")).compared(previous)
    notes = store.query(asked, now_ms=NOW).notes
    assert (notes["previous_start_ms"], notes["previous_end_ms"]) == (_at(start), _at(end))


@pytest.mark.parametrize(
    ("time_range", "zone", "start", "end"),
    [
        ({"last": "7d"}, "UTC", "2024-03-27T12:00", "2024-04-03T12:00"),
        ({"last": "14d", "until": "7d"}, "UTC", "2024-03-20T12:00", "2024-03-27T12:00"),
        ({"last": "7d", "calendar": True}, "UTC", "2024-03-28", "2024-04-03T12:00"),
        ({"this": "month"}, "UTC", "2024-03-01", "2024-03-10T12:00"),
        ({"this": "month"}, "America/New_York", "2024-03-01T05:00", "2024-03-10T12:00"),
        ({"this": "year"}, "UTC", "2023-01-01", "2023-04-10T12:00"),
        ({"start_ms": _at("2024-04-01")}, "UTC", "2024-03-22", "2024-03-31T12:00"),
        ({"start_ms": _at("2024-04-01"), "end_ms": _at("2024-05-01")}, "UTC", "2024-03-02", "2024-03-11T12:00"),
        (
            {"start_ms": _at("2024-04-01T06:00"), "end_ms": _at("2024-04-01T09:00")},
            "UTC",
            "2024-04-01T03:00",
            "2024-04-01T06:00",
        ),
        (
            {"start_ms": _at("2024-04-01T22:00"), "end_ms": _at("2024-04-02T22:00")},
            "Europe/Berlin",
            "2024-03-31T22:00",
            "2024-04-01T22:00",
        ),
        (
            {"start_ms": _at("2024-03-31T22:00"), "end_ms": _at("2024-04-01T22:00")},
            "Europe/Berlin",
            "2024-03-30T23:00",
            "2024-03-31T22:00",
        ),
    ],
)
def test_the_period_before_is_as_long_on_the_local_clock(
    store: Any, time_range: dict[str, Any], zone: str, start: str, end: str
) -> None:
    _store(store)
    spec = {"kind": "trend", "event": "A", "range": time_range, "zone": zone, "previous": "period"}
    notes = store.query(spec, now_ms=NOW).notes
    # A range that ends now holds the present instant too.
    is_open = notes["previous_end_ms"] % 60_000
    assert (notes["previous_start_ms"] // 60_000 * 60_000, notes["previous_end_ms"] - is_open) == (_at(start), _at(end))


def test_29_february_a_year_earlier_is_the_28th(store: Any) -> None:
    _store(store)
    asked = trend("A").between(_at("2024-02-29"), _at("2024-03-01")).compared("year")
    notes = store.query(asked, now_ms=NOW).notes
    assert (notes["previous_start_ms"], notes["previous_end_ms"]) == (_at("2023-02-28"), _at("2023-03-01"))


def test_groups_are_ranked_by_the_range_and_the_rest_is_exact_in_both(store: Any) -> None:
    of = {name: {"p": name} for name in "xyz"}
    rows = [("u", "2024-03-03", of["x"]), ("u", "2024-03-03", of["x"]), ("u", "2024-03-01", of["y"])]
    _store(store, *rows, ("u", "2024-03-01", of["z"]), ("v", "2024-03-04", of["z"]))
    asked = trend("A").total().unique().by("p").between(_at("2024-03-03"), _at("2024-03-05")).compared()
    assert _rows(store, asked) == [("x", 2, 1, 0, 0), ("z", 1, 1, 1, 1), ("y", 0, 0, 1, 1)]
    assert _rows(store, asked.limit(1)) == [("x", 2, 1, 0, 0), ("other", 1, 1, 2, 1)]


def test_formulas_series_and_windows_are_compared_too(store: Any) -> None:
    _store(store, ("u", "2024-02-28"), ("u", "2024-03-01"), ("v", "2024-03-01"), ("u", "2024-03-03"))
    asked = trend("A", series("A", first="event")).unique().between(_at("2024-03-03"), _at("2024-03-05")).compared()
    assert _rows(store, asked) == [("A", 1, 2), ("B", 0, 1)]
    ratio = asked.formula("B / A")
    assert store.query(ratio, now_ms=NOW).names == ("B / A", "previous(B / A)")
    assert _rows(store, ratio) == [(0.0, 0.5)]
    rolling = trend("A").unique().every("day").rolling(3).between(_at("2024-03-03"), _at("2024-03-05")).compared()
    assert [row[2:] for row in _rows(store, rolling)] == [(2, 2), (1, 2)]
    running = trend("A").total().every("day").cumulative().between(_at("2024-03-03"), _at("2024-03-05")).compared()
    assert [row[2:] for row in _rows(store, running)] == [(1, 2), (1, 2)]


def test_a_moving_mean_is_of_buckets_each_by_itself(store: Any) -> None:
    _store(store, ("u", "2024-03-01"), ("u", "2024-03-02"), ("u", "2024-03-02"), ("v", "2024-03-02"))
    asked = trend("A").total().unique().every("day").between(_at("2024-03-01"), _at("2024-03-05")).moving_mean(2)
    days = [_at("2024-03-01") + day * DAY for day in range(4)]
    assert _rows(store, asked) == [(days[0], 0.5, 0.5), (days[1], 2.0, 1.5), (days[2], 1.5, 1.0)]
    assert _rows(store, asked.filled())[3] == (days[3], 0.0, 0.0)


def test_a_moving_mean_looks_at_buckets_before_the_range_and_an_open_range_begins_with_its_events(store: Any) -> None:
    _store(store, ("u", "2024-03-01"), ("u", "2024-03-02"), ("u", "2024-03-02"))
    asked = trend("A").every("day").moving_mean(3)
    bounded = asked.between(_at("2024-03-02"), _at("2024-03-03"))
    assert _rows(store, bounded) == [(_at("2024-03-02"), 1.0)], "of 29 February, without events, too"
    assert [value for _, value in _rows(store, asked, _at("2024-03-04"))] == [1.0, 1.5, 1.0, 2 / 3]


def test_what_has_no_number_takes_no_part_in_a_moving_mean(store: Any) -> None:
    _store(store, ("u", "2024-03-01", {"p": 1}), ("u", "2024-03-03", {"p": 4}), ("u", "2024-03-04"))
    asked = trend("A").mean("p").every("day").between(_at("2024-03-01"), _at("2024-03-06")).moving_mean(2)
    assert [value for _, value in _rows(store, asked)] == [1.0, 1.0, 4.0, 4.0, None]
    share = trend("A", series("A", name="B")).sum("p").formula("A / B").every("day").moving_mean(2)
    assert [value for _, value in _rows(store, share, _at("2024-03-04"))] == [1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("window", [{"rolling": 2}, {"moving_mean": 2}, {"moving_mean": 2, "previous": "day"}])
def test_an_empty_range_has_no_rows_whatever_lies_in_front_of_it(store: Any, window: dict[str, Any]) -> None:
    _store(store, ("u", "2024-03-01"), ("u", "2024-03-02"))
    empty = {"start_ms": _at("2024-03-02T12:00"), "end_ms": _at("2024-03-02T12:00")}
    spec = {"kind": "trend", "event": "A", "interval": "day", "fill": True, "range": empty, **window}
    assert _rows(store, spec) == []


def test_moving_means_are_compared(store: Any) -> None:
    _store(store, ("u", "2024-03-01"), ("u", "2024-03-02"), ("u", "2024-03-04"))
    asked = trend("A").every("day").between(_at("2024-03-03"), _at("2024-03-05")).moving_mean(2).compared()
    assert [row[2:] for row in _rows(store, asked)] == [(0.5, 0.5), (0.5, 1.0)]


RANGE = {"last": "7d"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"previous": "period"}, "previous"),
    ({"previous": "period", "range": {"end_ms": NOW}}, "previous"),
    ({"previous": "period", "range": {"until": "1d"}}, "previous"),
    ({"previous": "hour", "range": RANGE}, "previous"),
    ({"previous": "decade", "range": RANGE}, "previous"),
    ({"previous": True, "range": RANGE}, "previous"),
    ({"previous": {"days": 0}, "range": RANGE}, "previous.days"),
    ({"previous": {"weeks": 1}, "range": RANGE}, "previous.days"),
    ({"moving_mean": 3}, "moving_mean"),
    ({"moving_mean": 1, "interval": "day"}, "moving_mean"),
    ({"moving_mean": 367, "interval": "day"}, "moving_mean"),
    ({"moving_mean": 3, "rolling": 3, "interval": "day"}, "moving_mean"),
    ({"moving_mean": 3, "cumulative": True, "interval": "day"}, "moving_mean"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_a_bad_comparison_says_where(store: Any, fields: dict[str, Any], path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", "event": "A", **fields}, now_ms=NOW)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"previous": "period", "range": RANGE}, "where.cell.previous"),
        ({"moving_mean": 2, "interval": "day"}, "where.cell.moving_mean"),
    ],
)
def test_a_cell_is_a_count_of_one_range(fields: dict[str, Any], path: str) -> None:
    where = {"cell": {"kind": "trend", "event": "A", **fields}, "at": {}}
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "profiles", "where": where}, now_ms=NOW)
    assert raised.value.path == path
