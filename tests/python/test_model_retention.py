"""Golden retention: the calendar columns of R1 to R6, and what counts as a return."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cdpstore.model import event, milliseconds_of
from cdpstore.query import named, retention
from cdpstore.testing import ModelStore

NOW = milliseconds_of(datetime(2024, 1, 1, tzinfo=UTC))


def _at(text: str, zone: str = "UTC") -> int:
    return milliseconds_of(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def _store(*events: tuple[str, int]) -> ModelStore:
    store = ModelStore()
    store.append([event(name, ids={"user_id": "u"}, time_ms=at) for name, at in events], now_ms=NOW)
    return store


def _periods(store: ModelStore, question: Any) -> list[int]:
    return [row[1] for row in store.query(question, now_ms=NOW).rows()]


@pytest.mark.parametrize(
    ("start", "back", "interval", "period"),
    [
        pytest.param("2021-12-01T17:59", "2021-12-02T17:00", "day", 1, id="R1"),
        pytest.param("2021-12-06T20:00", "2021-12-07T06:00", "day", 1, id="R2"),
        pytest.param("2021-12-01T12:00", "2021-12-06T12:00", "week", 1, id="R3"),
        pytest.param("2021-12-06T12:00", "2021-12-12T12:00", "month", 0, id="R4"),
        pytest.param("2021-02-25T12:00", "2021-03-03T12:00", "month", 1, id="R5"),
        pytest.param("2021-12-31T23:59", "2022-01-01T00:00", "year", 1, id="year"),
        pytest.param("2021-12-31T23:59", "2022-01-01T00:00", "hour", 1, id="hour"),
        pytest.param("2021-02-25T12:00", "2021-07-03T12:00", "quarter", 2, id="quarter"),
    ],
)
def test_periods_are_of_the_calendar(start: str, back: str, interval: str, period: int) -> None:
    store = _store(("S", _at(start)), ("R", _at(back)))
    assert _periods(store, retention("S", returned="R", interval=interval)) == [period]


def test_r6_a_day_of_23_hours_is_one_day() -> None:
    zone = "Europe/London"
    store = _store(("S", _at("2023-03-26T00:30", zone)), ("R", _at("2023-03-27T00:10", zone)))
    question = retention("S", returned="R", interval="day")
    assert _periods(store, question.calendar(zone=zone)) == [1]
    assert _periods(store, question) == [0]


def test_weeks_begin_where_they_are_told() -> None:
    store = _store(("S", _at("2021-12-04T12:00")), ("R", _at("2021-12-05T12:00")))
    question = retention("S", returned="R", interval="week")
    assert _periods(store, question) == [0]
    assert _periods(store, question.calendar(week_start="sunday")) == [1]


def test_the_start_itself_is_no_return_but_its_repeat_is() -> None:
    day = _at("2021-12-01T12:00")
    question = retention("S", returned=named("S").where("again").not_exists(), interval="day")
    assert _store(("S", day)).query(question, now_ms=NOW).rows() == []
    assert _periods(_store(("S", day), ("S", day)), question) == [0]


def test_period_0_of_the_start_event_itself_is_the_size_of_the_cohort() -> None:
    store = _store(("S", _at("2021-12-01T12:00")), ("S", _at("2021-12-03T12:00")))
    rows = store.query(retention("S", interval="day"), now_ms=NOW).rows()
    assert rows == [(_at("2021-12-01T00:00"), period, 1, 1, 1) for period in (0, 2)]


def test_a_return_before_the_start_is_none() -> None:
    store = _store(("R", _at("2021-12-01T12:00")), ("S", _at("2021-12-02T12:00")))
    rows = store.query(retention("S", returned="R", interval="day"), now_ms=NOW).rows()
    assert sum(row[2] for row in rows) == 0


def test_first_ever_leaves_out_who_started_before_the_range() -> None:
    store = _store(("S", _at("2021-12-01T12:00")), ("S", _at("2021-12-05T12:00")), ("R", _at("2021-12-06T12:00")))
    question = retention("S", returned="R", interval="day").between(_at("2021-12-05T00:00"), NOW)
    cohort = _at("2021-12-05T00:00")
    assert store.query(question, now_ms=NOW).rows() == [(cohort, 1, 1, 1, 1)]
    assert store.query(question.first_ever(), now_ms=NOW).rows() == []


def test_days_from_the_start_make_periods_of_their_own() -> None:
    store = _store(("S", _at("2021-12-02T12:00")), ("R", _at("2021-12-05T12:00")))
    question = retention("S", returned=named("R"), interval={"days": 3})
    table = store.query(question.between(_at("2021-12-01T00:00"), NOW), now_ms=NOW)
    assert table.rows() == [(_at("2021-12-01T00:00"), 1, 1, 1, 1)]
