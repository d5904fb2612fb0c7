"""Intervals of minutes: trends, and funnels by their entries, in every zone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, LimitExceeded
from cdpstore.query import funnel, trend
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, END_MS, PARTITION_MS, START_MS
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

MINUTE_MS = 60_000
# Around the ends of summer in zones of `strategies`, partitions' borders, and where events are dense.
_STARTS = (START_MS - DAY_MS, START_MS, START_MS + PARTITION_MS - DAY_MS, END_MS - 2 * DAY_MS)
_ZONES = (*strategies.ZONES, {"trait": "city", "else": "Asia/Kathmandu"})


@st.composite
def _questions(draw: st.DrawFn) -> dict[str, Any]:
    unit = draw(st.sampled_from(["minute", *({"minutes": count} for count in (2, 5, 15, 20, 45, 90, 720))]))
    start_ms = draw(st.sampled_from(_STARTS)) + draw(st.sampled_from([0, 1, 7 * MINUTE_MS, 5 * 3_600_000]))
    length_ms = draw(st.sampled_from([3 * 3_600_000, DAY_MS, 2 * DAY_MS + 1]))
    common = {"range": {"start_ms": start_ms, "end_ms": start_ms + length_ms}, "zone": draw(st.sampled_from(_ZONES))}
    if draw(st.booleans()) and isinstance(common["zone"], str):
        steps = draw(st.lists(strategies.selectors(), min_size=1, max_size=2))
        count = draw(st.sampled_from(["profiles", "totals", "profiles_by_interval"]))
        return {"kind": "funnel", "steps": steps, "interval": unit, "count": count, "window": "1h", **common}
    laid: list[dict[str, Any]] = [{}, {}, {"measures": ["total", "unique", {"sum": "price"}]}]
    if isinstance(common["zone"], str):
        laid += [{"fill": True}, {"cumulative": True}, {"rolling": 3}, {"moving_mean": 2}, {"previous": "day"}]
        laid += [{"previous": "period", "fill": True}]
    interval = draw(st.sampled_from([unit, [unit, "hour"]]))
    return {
        **{"kind": "trend", "event": draw(strategies.selectors()), "interval": interval},
        **draw(st.sampled_from(laid)),
        **draw(st.sampled_from([{}, {"breakdown": [{"property": "color"}], "limit": 1}])),
        **common,
    }


@pytest.mark.timeout(900)
@examples(40)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(_questions(), min_size=1, max_size=3),
)
def test_what_happened_by_the_minute_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


def _seen(minutes: float, who: str = "u", name: str = "Seen") -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": START_MS + int(minutes * MINUTE_MS), "ids": {"user_id": who}}


def _rows(store: Any, question: Any) -> Any:
    return store.query(question, now_ms=END_MS).rows()


def test_a_minute_is_named_by_its_start_and_holds_its_last_millisecond(store: Any) -> None:
    store.append([_seen(0), _seen(0.9999), _seen(1), _seen(3)], now_ms=END_MS)
    begins = [START_MS + minutes * MINUTE_MS for minutes in (0, 1, 3)]
    assert _rows(store, trend("Seen").every("minute")) == list(zip(begins, (2, 1, 1), strict=True))
    two = trend("Seen").every({"minutes": 2}).filled().spec()
    assert _rows(store, two | {"range": {"start_ms": START_MS, "end_ms": START_MS + 8 * MINUTE_MS}}) == [
        *((START_MS, 3), (START_MS + 2 * MINUTE_MS, 1)),
        *((START_MS + 4 * MINUTE_MS, 0), (START_MS + 6 * MINUTE_MS, 0)),
    ]


def test_minutes_begin_at_local_midnight(store: Any) -> None:
    store.append([_seen(20)], now_ms=END_MS)  # 05:05 in Kathmandu, +05:45
    question = trend("Seen").every({"minutes": 30}).calendar(zone="Asia/Kathmandu")
    assert _rows(store, question) == [(START_MS + 15 * MINUTE_MS, 1)]


def test_entries_of_a_funnel_by_the_quarter_of_an_hour(store: Any) -> None:
    store.append([_seen(1), _seen(20, "v"), _seen(21, "v", "Added")], now_ms=END_MS)
    question = funnel("Seen", "Added", window="1h").every({"minutes": 15})
    assert _rows(store, question) == [(START_MS, 1, 0), (START_MS + 15 * MINUTE_MS, 1, 1)]


def test_the_profiles_of_a_minute_are_a_cell() -> None:
    with Store.open(background=False) as store:
        store.append([_seen(1), _seen(20, "v")], now_ms=END_MS)
        cell = {"cell": trend("Seen").every("minute").spec(), "at": {"start_ms": START_MS + 20 * MINUTE_MS}}
        assert _rows(store, {"kind": "profiles", "where": cell}) == [(1,)]


def test_so_many_minutes_are_refused_that_no_answer_should_have() -> None:
    with Store.open(background=False) as store:
        store.append([_seen(0), _seen(65_533)], now_ms=END_MS)
        assert len(_rows(store, trend("Seen").every("minute").filled().spec() | _from_start(65_534))) == 65_534
        store.append([_seen(65_534)], now_ms=END_MS)
        with pytest.raises(LimitExceeded) as raised:
            _rows(store, trend("Seen").every("minute"))
        assert (raised.value.path, "65,534" in raised.value.message) == ("interval", True)
        assert len(_rows(store, trend("Seen").every({"minutes": 2}))) == 3


def _from_start(minutes: int) -> dict[str, Any]:
    return {"range": {"start_ms": START_MS, "end_ms": START_MS + minutes * MINUTE_MS}}


@pytest.mark.parametrize("count", [0, -1, 7, 1_440, 2.5, "15", None])
def test_minutes_divide_a_day(store: Any, count: Any) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", "event": "Seen", "interval": {"minutes": count}}, now_ms=END_MS)
    assert raised.value.path == "interval.minutes"


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ({"kind": "retention", "start": "A", "interval": "minute"}, "interval"),
        ({"kind": "trend", "event": "A", "range": {"this": "minute"}}, "range.this"),
        ({"kind": "trend", "event": "A", "breakdown": [{"time": "minute"}]}, "breakdown[0].time"),
        ({"kind": "trend", "event": "A", "range": {"last": "1d"}, "interval": "day", "previous": "minute"}, "previous"),
        ({"kind": "funnel", "steps": ["A", "B"], "window": {"calendar": "minute"}}, "window.calendar"),
    ],
)
def test_nothing_but_intervals_goes_by_minutes(store: Any, question: dict[str, Any], path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query(question, now_ms=END_MS)
    assert raised.value.path == path
