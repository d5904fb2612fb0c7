"""Trends: buckets of the calendar, exact measures, breakdowns that keep types apart, and an exact rest."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cdpstore.errors import BadQuery
from cdpstore.model import event, milliseconds_of, traits
from cdpstore.query import trend
from cdpstore.testing import ModelStore

NOW = milliseconds_of(datetime(2024, 1, 1, tzinfo=UTC))
DAY = 86_400_000


def _at(text: str, zone: str = "UTC") -> int:
    return milliseconds_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def _store(*rows: tuple[str, Any], user: str = "u") -> ModelStore:
    store = ModelStore()
    batch = [event("E", ids={"user_id": user}, time_ms=_at(at), properties={"p": value}) for at, value in rows]
    store.append(batch, now_ms=NOW)
    return store


def _rows(store: ModelStore, question: Any) -> list[tuple[Any, ...]]:
    return store.query(question, now_ms=NOW).rows()


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("hour", "2023-08-16T13:00"),
        ("day", "2023-08-16T00:00"),
        ("week", "2023-08-14T00:00"),
        ("month", "2023-08-01T00:00"),
        ("quarter", "2023-07-01T00:00"),
        ("year", "2023-01-01T00:00"),
    ],
)
def test_each_unit_begins_where_its_calendar_does(unit: str, start: str) -> None:
    assert _rows(_store(("2023-08-16T13:45", 1)), trend("E").every(unit)) == [(_at(start), 1)]


def test_a_local_day_begins_at_local_midnight_also_when_it_has_23_hours() -> None:
    zone = "America/New_York"
    store = _store(("2023-03-12T04:59", 1), ("2023-03-12T05:00", 1), ("2023-03-13T03:59", 1), ("2023-03-13T04:00", 1))
    expected = [(_at(f"2023-03-{day}T00:00", zone), count) for day, count in ((11, 1), (12, 2), (13, 1))]
    assert sorted(_rows(store, trend("E").every("day").calendar(zone=zone))) == expected


def test_a_zone_of_half_an_hour_and_one_whose_summer_is_half_an_hour() -> None:
    for zone, start in (("Asia/Kolkata", "2023-08-16T19:00"), ("Australia/Lord_Howe", "2023-08-17T00:00")):
        store = _store(("2023-08-16T13:45", 1))
        assert _rows(store, trend("E").every("hour").calendar(zone=zone)) == [(_at(start, zone), 1)]


def test_a_midnight_that_a_jump_skips_is_the_first_instant_after_it() -> None:
    zone = "America/Santiago"  # 2023-09-03 began at 01:00
    store = _store(("2023-09-03T12:00", 1))
    assert _rows(store, trend("E").every("day").calendar(zone=zone)) == [(_at("2023-09-03T04:00"), 1)]


def test_days_from_the_start_step_from_the_ranges_first_day() -> None:
    store = _store(("2023-08-03T00:00", 1), ("2023-08-04T00:00", 1))
    question = trend("E").every({"days": 3}).between(_at("2023-08-01T00:00"), NOW)
    assert sorted(_rows(store, question)) == [(_at("2023-08-01T00:00"), 1), (_at("2023-08-04T00:00"), 1)]


def test_several_intervals_are_series_of_one_table() -> None:
    rows = _rows(_store(("2023-08-03T00:00", 1), ("2023-08-04T00:00", 1)), trend("E").every("day", "month"))
    assert sorted(rows) == [
        (0, _at("2023-08-03T00:00"), 1),
        (0, _at("2023-08-04T00:00"), 1),
        (1, _at("2023-08-01T00:00"), 2),
    ]


def test_sums_of_integers_are_exact_beyond_64_bits() -> None:
    store = _store(*((f"2023-08-{day:02}T00:00", 2**63 - 1) for day in range(1, 4)))
    assert _rows(store, trend("E").sum("p")) == [(3 * (2**63 - 1),)]


def test_sums_of_floats_are_rounded_once_whatever_their_order() -> None:
    values = [1e300, 0.1, -1e300, 0.1, 2]
    store = _store(*((f"2023-08-{day:02}T00:00", value) for day, value in enumerate(values, start=1)))
    assert _rows(store, trend("E").sum("p").mean("p")) == [(2.2, 0.44)]


def test_measures_of_no_numbers_are_missing_but_a_sum_is_zero() -> None:
    store = _store(("2023-08-01T00:00", "text"), ("2023-08-01T00:00", True))
    question = trend("E").total().sum("p").mean("p").min("p").max("p")
    assert _rows(store, question) == [(2, 0, None, None, None)]


def test_a_breakdown_keeps_types_apart_and_missing_is_a_group() -> None:
    store = _store(*((f"2023-08-{day:02}T00:00", value) for day, value in enumerate([1, 1.0, True, "1", None, 1], 1)))
    rows = _rows(store, trend("E").by("p"))
    kinds = sorted((type(value).__name__, count) for value, count in rows)
    assert kinds == [("NoneType", 1), ("bool", 1), ("float", 1), ("int", 2), ("str", 1)]


def test_a_limit_ranks_by_the_measure_and_other_is_exact() -> None:
    values = ["a"] * 3 + ["b"] * 2 + ["c", "d"]
    store = _store(*((f"2023-08-{day:02}T00:00", value) for day, value in enumerate(values, 1)))
    question = trend("E").total().unique().by("p").limit(2)
    assert sorted(_rows(store, question)) == [("a", 3, 1), ("b", 2, 1), ("other", 2, 1)]


def test_a_trait_splits_by_its_present_value() -> None:
    store = _store(("2023-08-01T00:00", 1))
    store.append([traits({"user_id": "u"}, set={"plan": "pro"}, time_ms=NOW - 1)], now_ms=NOW)
    assert _rows(store, trend("E").by_trait("plan")) == [("pro", 1)]


@pytest.mark.parametrize(
    ("spec", "code", "path"),
    [
        ({"kind": "nonsense"}, "query.invalid", "kind"),
        ({"kind": "trend"}, "query.invalid", "event"),
        ({"kind": "trend", "event": "E", "evnt": 1}, "query.field.unknown", "evnt"),
        (
            {"kind": "trend", "event": {"event": "E", "where": [{"op": "eq"}]}},
            "query.invalid",
            "event.where[0].property",
        ),
        ({"kind": "trend", "event": "E", "range": {"last": "1 day"}}, "query.invalid", "range.last"),
        ({"kind": "trend", "event": "E", "range": {"start_ms": 2, "end_ms": 1}}, "query.invalid", "range.end_ms"),
        ({"kind": "trend", "event": "E", "limit": -1}, "query.invalid", "limit"),
        ({"kind": "trend", "event": "E", "where": {"did": "E", "trait": "x"}}, "query.invalid", "where.did"),
        ({"kind": "trend", "event": "E", "where": {"not": {"trait": "x"}}}, "query.invalid", "where.not.op"),
        ({"kind": "funnel", "steps": ["A", "B"], "window": {}}, "query.invalid", "window"),
        ({"kind": "funnel", "steps": [], "window": None}, "query.invalid", "steps"),
        ({"kind": "profiles"}, "query.invalid", "where"),
    ],
)
def test_a_query_that_cannot_be_meant_names_its_path(spec: Any, code: str, path: str) -> None:
    with pytest.raises(BadQuery) as caught:
        ModelStore().query(spec, now_ms=NOW)
    assert (caught.value.code, caught.value.path) == (code, path)
