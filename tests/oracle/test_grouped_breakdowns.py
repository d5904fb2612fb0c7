"""Breakdowns that group values: buckets of numbers, units of the calendar, elements of lists."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, LimitExceeded
from cdpstore.query import funnel, retention, trend
from cdpstore.store import Store
from cdpstore.testing import breakdown_strategies, strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, row_by_row

T = 1_704_067_200_000  # 2024-01-01, a Monday
DAY = 86_400_000
NOW = T + 60 * DAY
cares = st.lists(st.sampled_from(CARE), min_size=6, max_size=6)


@pytest.mark.timeout(900)
@examples(80)
@given(strategies.histories(), cares, st.lists(breakdown_strategies.grouped_questions(), min_size=1, max_size=3))
def test_an_answer_by_groups_of_values_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


@pytest.mark.timeout(900)
@examples(30)
@given(
    strategies.histories(max_batches=3),
    cares,
    breakdown_strategies.grouped_breakdowns(),
    st.sampled_from(strategies.NAMES),
)
def test_as_many_are_behind_a_grouped_row_as_it_counts(history: Any, care: Any, split: Any, name: str) -> None:
    question = {"kind": "trend", "event": name, "measures": ["unique"], "breakdown": split}
    with Twins.of(history, care) as twins:
        for *group, count in twins.real.query(question, now_ms=twins.now_ms).rows()[:6]:
            if any(isinstance(value, list) for value in group):
                continue
            spec = {"kind": "profiles", "where": {"cell": question, "at": {"group": group}}}
            assert len(twins.real.query(spec, now_ms=twins.now_ms).rows()) == count
            assert row_by_row(twins.real, spec, twins.now_ms) == twins.answer(spec)


def _event(who: str, name: str, day: float, **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


def _ask(store: Any, question: Any, *records: Any) -> list[Any]:
    if records:
        store.append(list(records), now_ms=NOW)
    return list(store.query(question, now_ms=NOW).rows())


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


AGES = {"a": 10, "b": 20, "c": 30, "d": 40}
PRICES = [-5, 0, 9.99, 10, 10.0, 19, 20, 1e300, "10", True, None, _day("2024-01-01")]


def _priced() -> list[dict[str, Any]]:
    events = [_event(f"u{at}", "A", 1, price=price) for at, price in enumerate(PRICES)]
    return [*events, _event("u0", "A", 2)]


def test_a_bucket_of_numbers_is_closed_at_its_lower_border(store: Any) -> None:
    by_price = trend("A").by("price", borders=[0, 10, 20])
    assert sorted(_ask(store, by_price, *_priced()), key=str) == [
        ("(-inf, 0)", 1),
        ("[0, 10)", 2),
        ("[10, 20)", 3),
        ("[20, inf)", 2),
        ("not a number", 3),
        (None, 2),
    ]
    assert store.query(by_price, now_ms=NOW).names == ("price", "total")


def test_borders_compare_exactly_beyond_the_floats(store: Any) -> None:
    large = 2**53
    records = [_event("u", "A", 1, n=n) for n in (large, large + 1, large + 2, float(large), float(large + 2))]
    by_size = trend("A").by("n", borders=[large + 1], name="size")
    assert sorted(_ask(store, by_size, *records)) == [
        (f"(-inf, {large + 1})", 2),
        (f"[{large + 1}, inf)", 3),
    ]
    assert sorted(_ask(store, trend("A").by("n", borders=[float(large), float(large + 2)]))) == [
        ("[9007199254740992, 9007199254740994)", 3),
        ("[9007199254740994, inf)", 2),
    ]


def test_buckets_rank_by_their_order_where_they_count_alike(store: Any) -> None:
    records = [_event("u", "A", 1, n=n) for n in (100, -3, 7)]
    rows = _ask(store, trend("A").by("n", borders=[-1, 50]), *records)
    assert [row[0] for row in rows] == ["(-inf, -1)", "[-1, 50)", "[50, inf)"]


def test_buckets_of_equal_count_never_part_equal_values(store: Any) -> None:
    records = [_event("u", "A", 1, n=n) for n in (1, 2, 2, 2, 3, 4, 5, 6)]
    assert _ask(store, trend("A").by("n", buckets=4), *records) == [
        ("[2, 3)", 3),
        ("[3, 5)", 2),
        ("[5, inf)", 2),
        ("(-inf, 2)", 1),
    ]
    assert store.query(trend("A").by("n", buckets=4), now_ms=NOW).notes == {"borders(n)": "2, 3, 5"}


def test_of_equal_values_there_is_one_bucket(store: Any) -> None:
    assert _ask(store, trend("A").by("n", buckets=3), _event("u", "A", 1, n=7), _event("u", "A", 2, n=7)) == [
        ("[7, inf)", 2)
    ]
    assert _ask(store, trend("B").by("n", buckets=3), _event("u", "B", 1, n="x"), _event("u", "B", 2)) == [
        (None, 1),
        ("not a number", 1),
    ]


def test_equal_buckets_are_of_what_the_question_counts(store: Any) -> None:
    records = [
        *(_event(who, "A", 1, n=n) for who, n in (("a", 1), ("b", 2), ("c", 3), ("d", 100))),
        *(_event("d", "A", 2 + at, n=100) for at in range(5)),
        _event("a", "B", 2),
        *({"type": "traits", "ids": {"user_id": who}, "set": {"age": age}, "time_ms": T} for who, age in AGES.items()),
    ]
    by_entry = funnel("A", "B", window="7d").by("n", buckets=2)
    assert sorted(_ask(store, by_entry, *records)) == [("(-inf, 3)", 2, 1), ("[3, inf)", 2, 0)]
    by_event = trend("A").by("n", buckets=2)
    assert sorted(_ask(store, by_event)) == [("(-inf, 100)", 3), ("[100, inf)", 6)]
    by_age = retention("A", returned="B", interval="week").by_trait("age", buckets=2)
    assert _ask(store, by_age) == [("(-inf, 30)", T, 0, 1, 2, 2)]
    assert _ask(store, trend("A").unique().by_trait("age", buckets=2)) == [("(-inf, 40)", 3), ("[40, inf)", 1)]


def test_dates_are_told_by_the_start_of_their_unit(store: Any) -> None:
    born = [_day("2000-02-29T23:30"), _day("2000-02-01"), _day("2000-03-01"), "2000", None]
    records = [_event("u", "A", 1, born=when) for when in born]
    by_month = trend("A").by("born", unit="month")
    assert dict(_ask(store, by_month, *records)) == {
        _day("2000-02-01"): 2,
        _day("2000-03-01"): 1,
        "not a date": 1,
        None: 1,
    }
    in_tokyo = dict(_ask(store, by_month.calendar(zone="Asia/Tokyo")))
    assert in_tokyo[_day("2000-01-31T15:00")] == 1
    assert in_tokyo[_day("2000-02-29T15:00")] == 2


def test_weeks_of_dates_begin_where_the_question_says(store: Any) -> None:
    by_week = trend("A").by("due", unit="week").calendar(week_start="sunday")
    assert _ask(store, by_week, _event("u", "A", 1, due=_day("2024-01-06"))) == [(_day("2023-12-31"), 1)]


def test_the_events_own_time_splits_every_kind(store: Any) -> None:
    records = [
        _event("u", "A", 1),
        _event("u", "B", 40),
        _event("v", "A", 35),
        _event("w", "A", 36),
        _event("w", "B", 37),
    ]
    first, second = _day("2024-01-01"), _day("2024-02-01")
    assert _ask(store, trend("A").by_time("month"), *records) == [(second, 2), (first, 1)]
    assert sorted(_ask(store, funnel("A", "B", window=None).by_time("month", name="entered"))) == [
        (first, 1, 1),
        (second, 2, 1),
    ]
    assert store.query(funnel("A", "B").by_time("month", name="entered"), now_ms=NOW).names[0] == "entered"
    kept = retention("A", returned="B", interval="week").by_time("month")
    assert {row[0] for row in _ask(store, kept)} == {first, second}


TAGGED = (
    _event("u", "A", 1, tags=["a", "b", "a"]),
    _event("v", "A", 1, tags=["b"]),
    _event("v", "A", 2, tags=["c"]),
    _event("w", "A", 1, tags="a"),
    _event("w", "A", 2, tags=[]),
    _event("x", "A", 1),
)


def test_a_list_counts_once_under_each_of_its_elements(store: Any) -> None:
    by_tag = trend("A").total().unique().by("tags", elements=True)
    assert _ask(store, by_tag, *TAGGED) == [(None, 2, 2), ("a", 2, 2), ("b", 2, 2), ("c", 1, 1)]


def test_the_rest_of_a_limit_counts_a_list_once(store: Any) -> None:
    by_tag = trend("A").total().unique().by("tags", elements=True)
    assert _ask(store, by_tag.limit(1), *TAGGED) == [(None, 2, 2), ("other", 4, 3)]
    assert _ask(store, by_tag.limit(0)) == [("other", 6, 4)]


def test_a_list_of_objects_is_told_by_a_field_of_theirs(store: Any) -> None:
    records = [
        _event("u", "A", 1, items=[{"sku": "x", "qty": 2}, {"sku": "y", "qty": 1}, {"sku": "x"}]),
        _event("v", "A", 1, items=[{"sku": "y", "qty": 30}]),
        _event("w", "A", 1, items=[{"qty": 1}]),
        _event("w", "A", 2, items=["x"]),
        _event("w", "A", 3, items="x"),
    ]
    assert _ask(store, trend("A").by("items", elements="sku"), *records) == [(None, 3), ("y", 2), ("x", 1)]
    assert sorted(_ask(store, trend("A").by("items", elements="qty", borders=[10])), key=str) == [
        ("(-inf, 10)", 2),
        ("[10, inf)", 1),
        (None, 2),
    ]


def test_funnels_and_retention_count_an_attempt_in_the_row_of_each_element(store: Any) -> None:
    records = [
        *(_event("u", "A", 1, tags=["a", "b"]), _event("u", "B", 2, tags=["b", "c"]), _event("v", "A", 1, tags=["b"])),
        {"type": "traits", "ids": {"user_id": "u"}, "set": {"likes": ["x", "y"]}, "time_ms": T},
    ]
    asked = funnel("A", "B", window="7d").by("tags", elements=True)
    assert sorted(_ask(store, asked, *records)) == [("a", 1, 1), ("b", 2, 1)]
    assert sorted(_ask(store, {**asked.spec(), "attribution": "every_step"})) == [("a", 1, 0), ("b", 2, 1), ("c", 0, 1)]
    assert _ask(store, asked.limit(0)) == [("other", 2, 1)]
    by_likes = funnel("A", "B", window="7d").by_trait("likes", elements=True)
    assert sorted(_ask(store, by_likes), key=str) == [("x", 1, 1), ("y", 1, 1), (None, 1, 0)]
    kept = retention("A", returned="B", interval="week").by("tags", elements=True)
    assert sorted(_ask(store, kept)) == [("a", T, 0, 1, 1, 1), ("b", T, 0, 1, 2, 2)]
    shared = {**kept.spec(), "return": "A", "count_birth": False, "share_value": True}
    assert _ask(store, shared, _event("v", "A", 9, tags=["b"]), _event("u", "A", 9, tags=["b"])) == [
        ("b", T, 1, 1, 2, 2)
    ]


BAD: list[tuple[Any, str, str]] = [
    ({"property": "p", "borders": []}, "breakdown[0].borders", "query.invalid"),
    ({"property": "p", "borders": [1, 1.0]}, "breakdown[0].borders[1]", "query.invalid"),
    ({"property": "p", "borders": [2, 1]}, "breakdown[0].borders[1]", "query.invalid"),
    ({"property": "p", "borders": [True]}, "breakdown[0].borders[0]", "query.invalid"),
    ({"property": "p", "borders": list(range(1_001))}, "breakdown[0].borders", "query.invalid"),
    ({"property": "p", "buckets": 1}, "breakdown[0].buckets", "query.invalid"),
    ({"property": "p", "buckets": 1_001}, "breakdown[0].buckets", "query.invalid"),
    ({"property": "p", "buckets": 2, "borders": [1]}, "breakdown[0].buckets", "query.invalid"),
    ({"trait": "p", "borders": [1], "unit": "day"}, "breakdown[0].unit", "query.invalid"),
    ({"trait": "p", "unit": "minute"}, "breakdown[0].unit", "query.invalid"),
    ({"trait": "p", "unit": {"days": 7}}, "breakdown[0].unit", "query.invalid"),
    ({"property": "p", "elements": 1}, "breakdown[0].elements", "query.invalid"),
    ({"property": "p", "elements": ""}, "breakdown[0].elements", "query.invalid"),
    ({"property": "p", "name": ""}, "breakdown[0].name", "query.invalid"),
    ({"time": "minute"}, "breakdown[0].time", "query.invalid"),
    ({"event": "time"}, "breakdown[0].event", "query.invalid"),
    ({"event": "name", "property": "p"}, "breakdown[0]", "query.invalid"),
    ({"time": "day", "unit": "day"}, "breakdown[0].unit", "query.field.unknown"),
    ({"time": "day", "property": "p"}, "breakdown[0]", "query.invalid"),
    ({"segments": [{"where": {"did": "A"}}], "borders": [1]}, "breakdown[0].borders", "query.field.unknown"),
]


@pytest.mark.parametrize(("operand", "path", "code"), BAD)
def test_a_bad_group_of_values_says_where(store: Any, operand: Any, path: str, code: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", "event": "A", "breakdown": [operand]}, now_ms=NOW)
    assert (raised.value.path, raised.value.code) == (path, code)


def test_elements_of_one_list_that_make_too_many_groups_are_refused() -> None:
    wide = _event("u", "A", 1, p=list(range(400)), q=list(range(400)))
    with Store.open(background=False) as store:
        store.append([wide], now_ms=NOW)
        with pytest.raises(LimitExceeded, match="over 100000 groups"):
            store.query(trend("A").by("p", "q", elements=True), now_ms=NOW)
