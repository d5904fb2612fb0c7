"""Comparisons with what is the profile's own: aggregates of its events, and traits beside rules that need rows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, own_value, trait, trait_value
from cdpstore.store import Store
from cdpstore.testing import strategies
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
    st.lists(strategies.own_comparisons(), min_size=1, max_size=4),
)
def test_a_comparison_with_what_is_the_profiles_own_is_that_of_the_model(
    history: Any, care: Any, predicates: Any
) -> None:
    with Twins.of(history, care) as twins:
        for predicate in predicates:
            question = {"kind": "profiles", "where": predicate}
            twins.ask_both_ways(question)


def _event(who: str, day: float, name: str = "Charged", **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


def _who(store: Any, predicate: Any, *records: Any, now_ms: int = NOW) -> list[int]:
    if records:
        store.append(list(records), now_ms=NOW)
    where = predicate if isinstance(predicate, dict) else predicate.spec()
    return [who for (who,) in store.query({"kind": "profiles", "where": where}, now_ms=now_ms).rows()]


def test_more_in_a_week_than_thrice_the_usual(store: Any) -> None:
    usual = own_value(did("Charged").within("90d"), "mean", "price", times=3)
    records = [*(_event("u", day, price=10) for day in range(20)), _event("u", 29, price=31), _event("v", 29, price=31)]
    assert _who(store, did("Charged").within("7d").sum("price").gt(usual), *records) == []
    more = _event("u", 29.5, price=40)
    assert _who(store, did("Charged").within("7d").sum("price").gt(usual), more) == [0]


def test_an_event_beside_the_mean_of_all(store: Any) -> None:
    high = {
        "property": "price",
        "op": "gt",
        "value": {"own": {"did": "Charged", "measure": {"mean": "price"}}, "times": 2},
    }
    records = [_event("u", 1, price=1), _event("u", 2, price=1), _event("u", 3, price=10), _event("v", 1, price=5)]
    assert _who(store, {"did": "Charged", "where": [high]}, *records) == [0]
    assert _who(store, {"did": "Charged", "where": [high], "count": {"op": "ge", "value": 2}}) == []


def test_a_trait_beside_an_aggregate(store: Any) -> None:
    records = [
        {"type": "traits", "ids": {"user_id": "u"}, "set": {"limit": 10}, "time_ms": T},
        {"type": "traits", "ids": {"user_id": "v"}, "set": {"limit": 10}, "time_ms": T},
        *(_event("u", 1, price=4.5), _event("u", 2, price=4.5), _event("v", 1, price=8)),
    ]
    spent = own_value(did("Charged"), "sum", "price")
    assert _who(store, trait("limit").gt(spent), *records) == [0, 1]
    assert _who(store, trait("limit").le({**spent, "times": 1.25})) == [0, 1]
    assert _who(store, trait("limit").lt({**spent, "times": 1.25})) == [0]


def test_one_count_beside_another(store: Any) -> None:
    records = [_event("u", 1, "A"), _event("u", 2, "A"), _event("u", 3, "B"), _event("v", 1, "A"), _event("v", 3, "B")]
    fewer = {"did": "B", "count": {"op": "lt", "value": {"own": {"did": "A", "measure": "count"}}}}
    assert _who(store, fewer, *records) == [0]
    assert _who(store, {"did": "never", "count": {"op": "lt", "value": {"own": {"did": "A", "measure": "count"}}}}) == [
        0,
        1,
    ]


def test_what_is_missing_compares_with_nothing(store: Any) -> None:
    nothing = {"own": {"did": "never", "measure": {"mean": "price"}}}
    records = [_event("u", 1, price=4)]
    for op in ("eq", "ne", "lt", "le", "gt", "ge"):
        assert _who(store, {"did": "Charged", "count": {"op": op, "value": nothing}}, *records) == []
        records = []
    zero = {"own": {"did": "never", "measure": {"sum": "price"}}}
    assert _who(store, {"did": "Charged", "count": {"op": "gt", "value": zero}}) == [0]


def test_a_sum_beyond_the_floats_is_missing(store: Any) -> None:
    records = [_event("u", day, price=1.7e308) for day in (1, 2)]
    endless = {"own": {"did": "Charged", "measure": {"sum": "price"}}}
    assert _who(store, {"did": "Charged", "count": {"op": "lt", "value": endless}}, *records) == []


def test_a_trait_beside_rules_that_need_the_rows(store: Any) -> None:
    records = [
        {"type": "traits", "ids": {"user_id": "u"}, "set": {"limit": 3}, "time_ms": T},
        *(_event("u", 1, price=5), _event("u", 2, price=2), _event("v", 1, price=5)),
    ]
    above = {"property": "price", "op": "gt", "value": {"trait": "limit"}}
    first = {"did": "Charged", "where": [above], "first_ever": "event"}
    assert _who(store, first, *records) == [0]
    assert _who(store, {"did": "Charged", "where": [{**above, "op": "lt"}], "first_ever": "event"}) == []
    assert _who(store, {"did": "Charged", "where": [{**above, "op": "lt"}], "first_ever": "matching"}) == [0]
    weekday = {
        "did": "Charged",
        "at": {"weekdays": ["tuesday"]},
        "sum": {"property": "price", "op": "gt", "value": {"trait": "limit"}},
    }
    assert _who(store, weekday) == [0]


def test_rows_that_retention_lets_go_of_count_for_nothing() -> None:
    with Store.open(background=False) as store:
        store.set_retention({"Charged": "5d"}, now_ms=T)
        store.append([_event("u", 1, price=9), _event("u", 9, price=1)], now_ms=T + 10 * DAY)
        store.set_traits({"user_id": "u"}, {"limit": 2}, now_ms=T + 10 * DAY)
        at = T + 10 * DAY
        assert _who(store, did("Charged").sum("price").lt(trait_value("limit")), now_ms=at) == [0]
        assert _who(store, did("Charged").count().eq(own_value(did("Charged"))), now_ms=at) == [0]
        assert _who(store, trait("limit").gt(own_value(did("Charged"), "sum", "price")), now_ms=at) == [0]
        late = T + 14 * DAY
        assert _who(store, trait("limit").gt(own_value(did("Charged"))), now_ms=late) == [0]
        assert _who(store, did("Charged").count().eq(own_value(did("Charged"))), now_ms=late) == [0], "none and none"


def test_an_aggregate_in_a_live_segment_turns_when_its_events_leave() -> None:
    with Store.open(background=False) as store:
        busy = {
            "did": "A",
            "window": {"last": "2d"},
            "count": {"op": "gt", "value": {"own": {"did": "B", "window": {"last": "1d"}, "measure": "count"}}},
        }
        store.watch("busy", busy, now_ms=T)
        store.append([_event("u", 0, "A"), _event("u", 0, "B")], now_ms=T)
        assert _who(store, {"segment": "busy"}, now_ms=T) == []
        assert _who(store, {"segment": "busy"}, now_ms=T + DAY) == [0]
        assert _who(store, {"segment": "busy"}, now_ms=T + 2 * DAY) == []


OWN = {"did": "A", "measure": "count"}
BAD: list[tuple[Any, str]] = [
    ({"own": {}}, "where.value.own.did"),
    ({"own": {"did": "A"}}, "where.value.own.measure"),
    ({"own": {**OWN, "measure": {"median": "p"}}}, "where.value.own.measure"),
    ({"own": {**OWN, "measure": {"sum": ""}}}, "where.value.own.measure.sum"),
    ({"own": {**OWN, "measure": {"sum": "p", "mean": "p"}}}, "where.value.own.measure"),
    ({"own": {**OWN, "times": 2}}, "where.value.own.times"),
    ({"own": {**OWN, "window": {"last": "x"}}}, "where.value.own.window.last"),
    (
        {"own": {**OWN, "where": [{"property": "p", "op": "eq", "value": {"trait": "t"}}]}},
        "where.value.own.where[0].value",
    ),
    ({"own": OWN, "trait": "t"}, "where.value.own"),
    ({"own": OWN, "times": "2"}, "where.value.times"),
    ({"own": {"did": {"event": "A"}, "measure": "count"}}, "where.value.own.did"),
]


@pytest.mark.parametrize(("value", "path"), BAD)
def test_a_bad_aggregate_says_where(store: Any, value: Any, path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "profiles", "where": {"trait": "t", "op": "gt", "value": value}}, now_ms=NOW)
    assert raised.value.path == path
