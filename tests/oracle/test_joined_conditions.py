"""Conditions joined by and, or, not, and selectors that are alternatives, wherever events and items are asked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import (
    any_event,
    any_of,
    did,
    did_not,
    field,
    funnel,
    has_device,
    in_group,
    item,
    mostly,
    named,
    own_value,
    profiles,
    regularly,
    retention,
    sequence,
    series,
    share_of,
    step,
    stopped,
    trait,
    trait_value,
    trend,
)
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 30 * DAY


def _questions() -> st.SearchStrategy[dict[str, Any]]:
    """Kinds whose fast ways filter columns, each with selectors that are alternatives or have conditions joined."""
    events = strategies.alternatives() | strategies.selectors()
    trend_of = st.builds(
        lambda event, more: {"kind": "trend", "event": event, **more},
        events,
        st.sampled_from([{}, {"interval": "day"}, {"measures": ["total", "unique", {"sum": "price"}]}]),
    )
    series_of = st.lists(events.map(_as_map), min_size=2, max_size=3).map(
        lambda some: {
            "kind": "trend",
            "events": some,
            "measures": ["unique", {"per_profile": "max"}],
            "interval": "week",
        }
    )
    funnel_of = st.builds(
        lambda steps, more: {"kind": "funnel", "steps": steps, "window": "30d", **more},
        st.lists(events, min_size=2, max_size=3),
        st.sampled_from([{}, {"order": "strict_steps"}, {"count": "totals"}]),
    )
    first = st.builds(lambda event: {**_as_map(event), "first": "event"}, strategies.alternatives())
    excluding = st.builds(
        lambda start, end, out: {"kind": "funnel", "steps": [start, end], "exclude": [out]}, first, events, events
    )
    retention_of = st.builds(
        lambda start, back: {"kind": "retention", "start": start, "return": back, "interval": "week"}, events, events
    )
    return trend_of | trend_of | series_of | funnel_of | excluding | retention_of


def _as_map(event: Any) -> dict[str, Any]:
    return event if isinstance(event, dict) else {"event": event}


@pytest.mark.timeout(900)
@examples(80)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(_questions(), min_size=1, max_size=4),
)
def test_a_question_about_alternatives_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


def _event(who: str, day: float, name: str = "Charged", **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


RECORDS = [
    *(_event("ann", 1, price=150, category="shoes"), _event("ann", 2, "Subscribed", plan="free")),
    *(_event("bob", 1, price=20, category="luxury"), _event("bob", 3, "Subscribed", plan="pro")),
    *(_event("cat", 1, price=20, category="shoes"), _event("cat", 4, "Viewed")),
    _event("dan", 1, category="shoes"),
]
BIG = named("Charged").where(field("price").gt(100) | field("category").eq("luxury"))
WON = any_of(named("Charged").where("price").gt(100), named("Subscribed").where("plan").eq("pro"))


@pytest.fixture(name="shop")
def _shop(store: Any) -> Any:
    store.append(RECORDS, now_ms=NOW)
    return store


def _rows(store: Any, question: Any) -> Any:
    return store.query(question, now_ms=NOW).rows()


def _who(store: Any, predicate: Any) -> str:
    return "".join("abcd"[row[0]] for row in _rows(store, profiles(predicate)))


def test_a_price_above_a_hundred_or_a_category(shop: Any) -> None:
    assert _rows(shop, trend(BIG).total().unique()) == [(2, 2)]
    both = named("Charged").where(field("price").le(100) & ~field("category").eq("luxury"))
    assert _rows(shop, trend(both).total()) == [(1,)]


def test_a_missing_value_fails_a_test_and_so_passes_its_negation(shop: Any) -> None:
    assert _rows(shop, trend(named("Charged").where(~field("price").gt(100))).total()) == [(3,)]
    assert _rows(shop, trend(named("Charged").where("price").le(100)).total()) == [(2,)]


def test_alternatives_have_conditions_of_their_own(shop: Any) -> None:
    assert _rows(shop, trend(WON).by_event()) == [("Charged", 1), ("Subscribed", 1)]
    assert _rows(shop, trend(any_of("Viewed", WON.alternatives[0])).total()) == [(2,)]
    assert _rows(shop, trend(any_of("Viewed", named("Charged", "Viewed"))).total()) == [(5,)]


def test_what_follows_alternatives_all_of_them_must_meet(shop: Any) -> None:
    assert _rows(shop, trend(WON.where("category").exists()).total()) == [(1,)]


def test_any_event_may_be_an_alternative(shop: Any) -> None:
    cheap = any_of(any_event().where("price").eq(20), "Viewed")
    assert _rows(shop, trend(cheap).total()) == [(3,)]


def test_alternatives_are_a_step_an_exclusion_a_start_and_a_series(shop: Any) -> None:
    assert _rows(shop, funnel("Charged", WON, window="7d")) == [(4, 1)]
    assert _rows(shop, funnel("Charged", step(any_of("Viewed", WON), optional=False), window="7d")) == [(4, 2)]
    assert _rows(shop, funnel("Charged", "Subscribed").without(any_of(BIG, "Viewed"))) == [(4, 2)]
    assert [row[2:4] for row in _rows(shop, retention(WON, returned=any_of("Viewed", "Subscribed")))] == [(1, 1)]
    assert _rows(shop, trend(series(WON, name="won"), "Viewed").unique()) == [("won", 2), ("B", 1)]


def test_alternatives_are_what_a_profile_did(shop: Any) -> None:
    assert (_who(shop, did(WON)), _who(shop, did_not(WON)), _who(shop, did(BIG))) == ("ab", "cd", "ab")
    assert _who(shop, did("Viewed", BIG).count().ge(1)) == "abc"
    assert _who(shop, did(any_of("Charged", "Subscribed")).count().ge(2)) == "ab"
    assert _who(shop, did(WON).at(months=[1]).last("plan").eq("pro")) == "b"
    assert _who(shop, did("Charged").not_followed_by(any_of("Viewed", "Subscribed"), within="7d")) == "d"
    assert _who(shop, sequence("Charged", any_of(named("Subscribed").where("plan").eq("pro"), "Viewed"))) == "bc"
    assert _who(shop, mostly(any_of(BIG, "Viewed")).of("category", "luxury")) == "b"
    assert _who(shop, share_of(any_of("Charged", "Viewed")).of("category", "shoes").eq(0.5)) == "c"
    assert _who(shop, stopped(WON, lately="28d")) == "a"
    assert _who(shop, regularly(WON, every="30d", times=1)) == "ab"


def test_joined_conditions_stand_beside_the_profiles_own(shop: Any) -> None:
    usual = own_value(did(any_of("Charged", "Subscribed")), "max", "price")
    assert _who(shop, did(named("Charged").where(field("price").ge(usual) | field("category").eq("nothing")))) == "abc"
    shop.set_traits({"user_id": "ann"}, {"limit": 100}, now_ms=NOW)
    above = named("Charged").where(~field("price").gt(trait_value("limit")))
    assert (_who(shop, did(above)), _rows(shop, trend(above).unique())) == ("bcd", [(3,)])


def test_items_devices_and_groups_meet_joined_conditions(store: Any) -> None:
    store.set_traits({"user_id": "ann"}, {"cart": [{"sku": 1, "qty": 1}, {"sku": 2}]}, now_ms=NOW)
    store.set_traits({"user_id": "bob"}, {"cart": [{"sku": 3, "qty": 5}]}, now_ms=NOW)
    assert _who(store, trait("cart").any_element(item("sku").eq(2) | item("qty").ge(5))) == "ab"
    assert _who(store, trait("cart").any_element(item("sku").le(2), ~item("qty").exists())) == "a"
    store.set_device({"user_id": "ann"}, "d1", platform="ios", now_ms=NOW)
    store.set_device({"user_id": "bob"}, "d2", platform="web", app_version="2", now_ms=NOW)
    assert _who(store, has_device().where(field("platform").eq("ios") | field("app_version").eq("2"))) == "ab"
    assert _who(store, has_device().where(~field("platform").eq("ios"))) == "b"
    store.join_group({"user_id": "ann"}, "company", "acme", role="admin", now_ms=NOW)
    store.join_group({"user_id": "bob"}, "company", "acme", now_ms=NOW)
    assert _who(store, in_group("company").where(field("$role").eq("admin") | field("plan").eq("pro"))) == "a"
    store.set_group("company", "acme", {"plan": "pro"}, now_ms=NOW)
    assert _who(store, in_group("company").where(field("$role").eq("admin") | field("plan").eq("pro"))) == "ab"


def test_a_live_segment_and_an_export_know_alternatives() -> None:
    with Store.open(background=False) as store:
        store.watch("won", did(WON).within("20d").spec(), now_ms=T)
        store.append(RECORDS, now_ms=T + 5 * DAY)
        assert [int(each) for each in store.members("won")] == [0, 1]
        store.tick(T + 21 * DAY)
        assert [int(each) for each in store.members("won")] == [1]
        assert store.events("Charged", where=did(WON), now_ms=NOW).__arrow_c_stream__() is not None


def test_a_live_segment_learns_a_name_of_an_alternative_that_comes_later() -> None:
    with Store.open(background=False) as store:
        store.watch("won", did(WON).spec(), now_ms=T)
        store.append([_event("ann", 1, "Other", plan="pro")], now_ms=NOW)
        assert list(store.members("won")) == []
        store.append([_event("ann", 1, "Subscribed", plan="pro")], now_ms=NOW)
        assert [int(each) for each in store.members("won")] == [0]


def test_unknown_names_and_keys_of_alternatives_are_noted(shop: Any) -> None:
    if not isinstance(shop, Store):
        return
    seldom = any_of(named("Never").where(field("nothing").exists() | field("price").exists()), "Viewed")
    answer = shop.query(trend(seldom).total(), now_ms=NOW)
    assert (answer.rows(), answer.notes) == ([(1,)], {"unknown_events": "Never", "unknown_properties": "nothing"})


def test_explain_shows_what_joined_conditions_name() -> None:
    with Store.open(background=False) as store:
        store.append(RECORDS, now_ms=NOW)
        question = {"kind": "explain", "profile": 1, "predicate": did(BIG).spec()}
        (line,) = store.query(question, now_ms=NOW).rows()
        assert [each["properties"] for each in line[-1]] == [{"category": "luxury", "price": 20}]


def test_wide_disjunctions_keep_every_row_once(store: Any) -> None:
    store.append([_event(f"u{n}", 1, price=n) for n in range(2_000)], now_ms=NOW)
    some = [{"property": "price", "op": "between", "value": [n, n + 40]} for n in range(0, 2_000, 40)]
    where = [{"or": some}, {"not": {"and": [{"property": "price", "op": "ge", "value": 10}, {"not": some[0]}]}}]
    question = {"kind": "trend", "event": {"event": "Charged", "where": where}, "measures": ["total", {"sum": "price"}]}
    assert _rows(store, question) == [(41, 820)]


ONE = {"property": "p", "op": "exists"}


def _deep(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = ONE
    for _ in range(depth):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"event": "A", "where": [{"or": []}]}, "event.where[0].or"),
        ({"event": "A", "where": [{"or": ONE}]}, "event.where[0].or"),
        (
            {"event": "A", "where": [{"or": [ONE, {"and": [{"not": {"property": "p"}}]}]}]},
            "event.where[0].or[1].and[0].not.op",
        ),
        ({"event": "A", "where": [{"or": [ONE], "property": "p"}]}, "event.where[0].property"),
        ({"event": "A", "where": [{"not": [ONE]}]}, "event.where[0].not"),
        ({"event": "A", "where": [{"and": [ONE] * 65}]}, "event.where[0].and"),
        ({"any_of": []}, "event.any_of"),
        ({"any_of": "A"}, "event.any_of"),
        ({"any_of": ["A", 5]}, "event.any_of[1]"),
        ({"any_of": ["A", {"where": [ONE]}]}, "event.any_of[1].event"),
        ({"any_of": [{"event": "A", "where": [{"or": [{}]}]}]}, "event.any_of[0].where[0].or[0].property"),
        ({"any_of": [{"any_of": ["A"]}]}, "event.any_of[0].event"),
        ({"any_of": [{"event": "A", "name": "x"}]}, "event.any_of[0].name"),
        ({"any_of": ["A"], "event": "A"}, "event.any_of"),
        ({"any_of": ["A"] * 65}, "event.any_of"),
        ({"any_of": [{"event": None, "where": [ONE]}, "Message Sent"]}, "event.any_of"),
        ({"any_of": [{"event": ["A"] * 600}, {"event": ["A"] * 600}]}, "event.any_of"),
    ],
)
def test_a_wrong_selector_says_where(store: Any, event: Any, path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", "event": event}, now_ms=NOW)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("clause", "path"),
    [
        ({"did": {"event": "A"}}, "where.did"),
        ({"did": {"any_of": ["A"], "where": [ONE]}}, "where.did.where"),
        ({"did": {"any_of": [""]}}, "where.did.any_of[0]"),
        (
            {"stopped": {"any_of": [{"event": "A", "where": [{"or": 1}]}]}, "for": "1d"},
            "where.stopped.any_of[0].where[0].or",
        ),
        ({"device": [{"or": [{"property": "colour", "op": "exists"}]}]}, "where.device[0].or[0].property"),
        ({"trait": "t", "any_element": [{"not": {"geo": {}}}]}, "where.any_element[0].not.geo.lat"),
        (
            {
                "trait": "t",
                "any_element": [
                    {"not": {"geo": {"lat": "a", "lon": "b"}, "within": {"lat": 0, "lon": 0, "meters": 1}}}
                ],
            },
            "where.any_element[0].not.geo",
        ),
    ],
)
def test_a_wrong_condition_of_a_clause_says_where(store: Any, clause: Any, path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "profiles", "where": clause}, now_ms=NOW)
    assert raised.value.path == path


def test_conditions_are_nested_as_deep_as_predicates(store: Any) -> None:
    assert _rows(store, {"kind": "trend", "event": {"event": "A", "where": [_deep(20)]}}) == [(0,)]
    with pytest.raises(BadQuery):
        store.query({"kind": "trend", "event": {"event": "A", "where": [_deep(33)]}}, now_ms=NOW)


def test_alternatives_of_alternatives_are_refused_by_the_builder() -> None:
    with pytest.raises(ValueError, match="side by side"):
        any_of(WON.where("country").eq("AT"), "Viewed")
    with pytest.raises(ValueError, match="at least one"):
        any_of()
    with pytest.raises(TypeError, match="join with"):
        bool(field("a").exists() and field("b").exists())
