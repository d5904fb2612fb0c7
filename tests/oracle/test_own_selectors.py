"""Events of questions beside what is the profile's own: its traits, and aggregates of its events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, funnel, named, own_value, retention, trait_value, trend
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.question_strategies import own_questions
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 30 * DAY


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(own_questions(), min_size=1, max_size=4),
)
def test_a_question_about_events_beside_the_profiles_own_is_that_of_the_model(
    history: Any, care: Any, questions: Any
) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


def _event(who: str, day: float, name: str = "Charged", **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


def _limit(who: str, value: Any, day: float = 0) -> dict[str, Any]:
    return {"type": "traits", "ids": {"user_id": who}, "set": {"limit": value}, "time_ms": T + int(day * DAY)}


def _rows(store: Any, question: Any, *records: Any, now_ms: int = NOW) -> Any:
    if records:
        store.append(list(records), now_ms=NOW)
    return store.query(question, now_ms=now_ms).rows()


ABOVE = named("Charged").where("price").gt(trait_value("limit"))


def test_a_trend_of_events_above_the_profiles_limit(store: Any) -> None:
    records = [_limit("u", 3), _event("u", 1, price=5), _event("u", 2, price=2), _event("v", 1, price=5)]
    assert _rows(store, trend(ABOVE).total().unique(), *records) == [(1, 1)]
    assert _rows(store, trend(named("Charged").where("price").gt(trait_value("limit", times=0.5)))) == [(2,)]


def test_the_trait_is_that_of_now_whenever_the_event_was(store: Any) -> None:
    records = [_limit("u", 3), _limit("u", 9, 20), _event("u", 1, price=5)]
    assert _rows(store, trend(ABOVE), *records, now_ms=T + 10 * DAY) == [(1,)]
    assert _rows(store, trend(ABOVE)) == [(0,)]


def test_an_event_of_thrice_the_usual_begins_a_funnel(store: Any) -> None:
    usual = own_value(did("Charged"), "mean", "price", times=2)
    high = named("Charged").where("price").gt(usual)
    records = [
        *(_event("u", day, price=1) for day in range(5)),
        _event("u", 6, price=10),
        _event("u", 7, "Left"),
        *(_event("v", day, price=1) for day in range(5)),
        _event("v", 7, "Left"),
    ]
    assert _rows(store, funnel(high, "Left").spec(), *records) == [(1, 1)]
    assert _rows(store, funnel("Charged", "Left").spec()) == [(2, 2)]


def test_a_retention_returns_with_more_than_the_profiles_limit(store: Any) -> None:
    records = [
        *(_limit("u", 3), _limit("v", 9)),
        *(_event(who, day, "Came", price=5) for who in "uv" for day in (0, 1)),
    ]
    back = named("Came").where("price").gt(trait_value("limit"))
    question = retention("Came", returned=back).spec()
    assert [row[1:4] for row in _rows(store, question, *records)] == [(1, 1, 2)]


def test_a_merged_profile_has_one_limit_for_all_its_events() -> None:
    for shards in (1, 4):
        with Store.open(background=False, shards=shards) as store:
            store.append([_limit("u", 3), _event("v", 1, price=5)], now_ms=NOW)
            assert _rows(store, trend(ABOVE)) == [(0,)]
            merge = {"type": "merge", "winner": {"user_id": "u"}, "loser": {"user_id": "v"}, "time_ms": NOW}
            assert _rows(store, trend(ABOVE), merge) == [(1,)]
            store.compact()
            assert _rows(store, trend(ABOVE)) == [(1,)]


def test_many_profiles_each_have_their_own() -> None:
    records = [_limit(f"u{n}", n % 7) for n in range(20_000)]
    records += [_event(f"u{n}", 1 + n % 20, price=n % 5) for n in range(20_000)]
    expected = sum(n % 5 > n % 7 for n in range(20_000))
    with Store.open(background=False) as store:
        for at in range(0, len(records), 10_000):
            store.append(records[at : at + 10_000], now_ms=NOW)
        assert _rows(store, trend(ABOVE).total().unique()) == [(expected, expected)]


def test_a_cell_of_such_a_question_has_as_many_as_it_says() -> None:
    records = [_limit("u", 3), _event("u", 1, price=5), _event("v", 1, price=5)]
    question = funnel(ABOVE, "Left").spec()
    with Store.open(background=False) as store:
        assert _rows(store, question, *records) == [(1, 0)]
        assert _rows(store, {"kind": "profiles", "where": {"cell": question, "at": {"lost": 2}}}) == [(0,)]


BESIDE = {"property": "price", "op": "between", "value": {"trait": "limit"}}
BAD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "trend", "event": {"event": "A", "where": [BESIDE]}}, "event.where[0].op"),
    (
        {"kind": "funnel", "steps": ["A", {"event": "A", "where": [{**BESIDE, "op": "gt", "value": {"trait": ""}}]}]},
        "steps[1].where[0].value.trait",
    ),
    (
        {
            "kind": "retention",
            "interval": "day",
            "start": {"event": "A", "where": [{**BESIDE, "op": "gt", "value": {"own": {"did": "A"}}}]},
        },
        "start.where[0].value.own.measure",
    ),
    (
        {
            "kind": "funnel",
            "steps": ["A", "B"],
            "exclude": [{"event": "C", "where": [{**BESIDE, "op": "gt", "value": {"trait": "t", "plus": 1}}]}],
        },
        "exclude[0].where[0].value.plus",
    ),
]


@pytest.mark.parametrize(("question", "path"), BAD)
def test_a_bad_operand_says_where(store: Any, question: dict[str, Any], path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query(question, now_ms=NOW)
    assert raised.value.path == path


def test_an_event_without_the_property_is_counted_where_the_condition_says_so(store: Any) -> None:
    records = [_limit("u", 3), _event("u", 1, price=5), _event("u", 2), _event("u", 3, price=1), _event("v", 1)]
    for value in ({"trait": "limit"}, {"own": {"did": "Charged", "measure": {"mean": "price"}}}):
        condition = {"property": "price", "op": "gt", "value": value, "missing": True}
        spec = {"kind": "trend", "event": {"event": "Charged", "where": [condition]}}
        assert _rows(store, spec, *records) == [(3,)]
        records = []
