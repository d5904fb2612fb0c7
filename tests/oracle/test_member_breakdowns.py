"""Breakdowns by segments and groups: a profile counts in each that it is in, and once in the rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, LimitExceeded
from cdpstore.query import did, funnel, retention, trait, trend
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000  # a Monday
DAY = 86_400_000
NOW = T + 30 * DAY


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(strategies.broken_down_by_members(), min_size=1, max_size=3),
)
def test_an_answer_by_what_profiles_are_in_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


def _event(who: str, name: str, day: float, **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


def _joined(who: str, group: str, kind: str = "company", state: str = "joined", day: float = 0) -> dict[str, Any]:
    ids = {"user_id": who}
    return {"type": "membership", "ids": ids, "kind": kind, "id": group, "state": state, "time_ms": T + int(day * DAY)}


def _ask(store: Any, question: Any, *records: Any) -> list[Any]:
    if records:
        store.append(list(records), now_ms=NOW)
    return list(store.query(question, now_ms=NOW).rows())


PEOPLE = (
    *(_event("both", "A", 1), _event("both", "A", 2), _event("both", "B", 3)),
    *(_event("one", "A", 1), _event("late", "A", 9), _event("late", "C", 9)),
)
SEGMENTS = [
    {"name": "bought", "where": {"did": "B"}},
    {"name": "early", "where": {"did": "A", "window": {"end_ms": T + 5 * DAY}}},
]


def test_a_profile_counts_in_each_segment_it_is_in_and_else_in_the_row_of_none(store: Any) -> None:
    spec = {"kind": "trend", "event": "A", "measures": ["total", "unique"], "breakdown": [{"segments": SEGMENTS}]}
    answer = _ask(store, spec, *PEOPLE)
    assert answer == [("early", 3, 2), ("bought", 2, 1), (None, 1, 1)]
    assert store.query(spec, now_ms=NOW).names == ("segment", "total", "unique")


def test_the_rest_of_a_limit_counts_every_event_and_profile_once(store: Any) -> None:
    three = [*SEGMENTS, {"name": "all", "where": {"did": "A"}}]
    spec = {"kind": "trend", "event": "A", "measures": ["total", "unique"], "breakdown": [{"segments": three}]}
    assert _ask(store, {**spec, "limit": 1}, *PEOPLE) == [("all", 4, 3), ("other", 3, 2)]
    assert _ask(store, {**spec, "limit": 0}) == [("other", 4, 3)]


def test_segments_keep_their_order_where_they_rank_equal(store: Any) -> None:
    named = [{"name": name, "where": {"did": "A"}} for name in ("z", "a", "m")]
    spec = {"kind": "trend", "event": "A", "breakdown": [{"segments": named}]}
    assert [row[0] for row in _ask(store, spec, _event("u", "A", 1))] == ["z", "a", "m"]
    unnamed = [{"where": {"did": "A"}}, {"where": {"did": "B"}}]
    assert _ask(store, {**spec, "breakdown": [{"segments": unnamed, "name": "who"}]}) == [("A", 1)]


def test_live_segments_are_named(store: Any) -> None:
    store.append([*PEOPLE], now_ms=NOW)
    if isinstance(store, Store):
        store.watch("buyers", {"did": "B"}, now_ms=NOW)
    else:
        store.watch("buyers", {"did": "B"})
    assert _ask(store, trend("A").unique().by_segment("buyers", old={"did": "C"})) == [
        (None, 1),
        ("buyers", 1),
        ("old", 1),
    ]
    with pytest.raises(BadQuery) as raised:
        _ask(store, trend("A").by_segment("buyers", "strangers"))
    assert raised.value.path == "breakdown[0].segments[1]"


def test_a_profile_counts_in_each_group_it_is_in_now(store: Any) -> None:
    records = [
        *(_event("u", "A", 1), _event("v", "A", 1), _event("w", "A", 2), _event("x", "A", 2)),
        *(_joined("u", "acme"), _joined("u", "globex"), _joined("v", "acme"), _joined("u", "smiths", "family")),
        *(_joined("w", "acme"), _joined("w", "acme", state="left", day=1)),
        {"type": "group", "kind": "company", "id": "acme", "set": {"plan": "pro"}, "time_ms": T},
    ]
    assert _ask(store, trend("A").total().by_group("company"), *records) == [(None, 2), ("acme", 2), ("globex", 1)]
    by_plan = trend("A").total().by_group("company", "plan")
    assert store.query(by_plan, now_ms=NOW).names == ("company.plan", "total")
    assert _ask(store, by_plan) == [(None, 3), ("pro", 2)], "globex has no plan, as those in none"
    assert _ask(store, trend("A").total().by_group("nobody")) == [(None, 4)]
    both = trend("A").unique().by_group("company").by_group("family")
    assert _ask(store, both) == [(None, None, 2), ("acme", None, 1), ("acme", "smiths", 1), ("globex", "smiths", 1)]


def test_funnels_count_an_attempt_in_every_group_and_once_in_the_rest(store: Any) -> None:
    records = [
        *(_event("u", "A", 1), _event("u", "B", 1.5), _event("v", "A", 1), _event("w", "A", 1), _event("w", "B", 3)),
        *(_joined("u", "acme"), _joined("u", "globex"), _joined("v", "globex"), _joined("u", "initech")),
    ]
    asked = funnel("A", "B", window="7d").by_group("company").times("mean")
    half, two = 0.5 * DAY, 2.0 * DAY
    assert sorted(_ask(store, asked, *records), key=str) == [
        ("acme", 1, 1, half, half),
        ("globex", 2, 1, half, half),
        ("initech", 1, 1, half, half),
        (None, 1, 1, two, two),
    ]
    assert _ask(store, asked.limit(1)) == [("globex", 2, 1, half, half), ("other", 2, 2, 1.25 * DAY, 1.25 * DAY)]


def test_retention_has_a_birth_in_every_group_and_once_in_the_rest(store: Any) -> None:
    records = [
        *(_event("u", "A", 0), _event("u", "B", 8), _event("v", "A", 1)),
        *(_joined("u", "acme"), _joined("u", "globex"), _joined("u", "initech"), _joined("v", "globex")),
    ]
    asked = retention("A", returned="B", interval="week").by_group("company")
    assert sorted(_ask(store, asked, *records)) == [
        ("acme", T, 1, 1, 1, 1),
        ("globex", T, 1, 1, 2, 2),
        ("initech", T, 1, 1, 1, 1),
    ]
    assert _ask(store, asked.limit(1)) == [("globex", T, 1, 1, 2, 2), ("other", T, 1, 1, 1, 1)]


def test_the_profiles_of_a_cell_are_those_of_its_segment() -> None:
    question = {"kind": "trend", "event": "A", "measures": ["unique"], "breakdown": [{"segments": SEGMENTS}]}
    with Store.open(background=False) as store:
        store.append([*PEOPLE], now_ms=NOW)
        for group, expected in ((["bought"], [(0,)]), (["early"], [(0,), (1,)]), ([None], [(2,)])):
            where = {"cell": question, "at": {"group": group}}
            assert store.query({"kind": "profiles", "where": where}, now_ms=NOW).rows() == expected


def test_members_go_with_properties_traits_and_where(store: Any) -> None:
    records = [
        *(_event("u", "A", 1, p="x"), _event("u", "A", 2, p="y"), _event("v", "A", 2, p="x")),
        {"type": "traits", "ids": {"user_id": "u"}, "set": {"plan": "pro"}, "time_ms": T},
        _joined("u", "acme"),
    ]
    asked = trend("A").total().by("p").by_group("company").by_trait("plan")
    expected = [("x", None, None, 1), ("x", "acme", "pro", 1), ("y", "acme", "pro", 1)]
    assert _ask(store, asked, *records) == expected
    assert _ask(store, asked.where(trait("plan").eq("pro"))) == expected[1:]


def test_a_profile_in_too_many_groups_is_refused() -> None:
    members = [{**_joined("u", f"g{n}", kind), "time_ms": T} for kind in ("a", "b") for n in range(400)]
    with Store.open(background=False) as store:
        store.append([_event("u", "A", 1), *members], now_ms=NOW)
        with pytest.raises(LimitExceeded) as raised:
            store.query(trend("A").by_group("a").by_group("b"), now_ms=NOW)
        assert raised.value.path == "breakdown"


ONE = {"where": {"did": "A"}}
BAD: list[tuple[Any, str]] = [
    ({"segments": []}, "breakdown[0].segments"),
    ({"segments": [ONE] * 33}, "breakdown[0].segments"),
    ({"segments": [{}]}, "breakdown[0].segments[0].where"),
    ({"segments": [{"where": {"did": "A"}, "nam": "x"}]}, "breakdown[0].segments[0].nam"),
    ({"segments": [7]}, "breakdown[0].segments[0]"),
    ({"segments": [ONE, {**ONE, "name": "A"}]}, "breakdown[0].segments[1]"),
    ({"segments": [{**ONE, "name": "other"}]}, "breakdown[0].segments[0]"),
    ({"segments": ["nobody"]}, "breakdown[0].segments[0]"),
    ({"segments": [ONE], "group": "company"}, "breakdown[0].group"),
    ({"segments": [ONE], "name": ""}, "breakdown[0].name"),
    ({"group": ""}, "breakdown[0].group"),
    ({"group": "company", "trait": 1}, "breakdown[0].trait"),
    ({"group": "company", "property": "p"}, "breakdown[0].property"),
    ({"segment": "x"}, "breakdown[0]"),
]


@pytest.mark.parametrize(("operand", "path"), BAD)
def test_a_bad_operand_says_where(store: Any, operand: Any, path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", "event": "A", "breakdown": [operand]}, now_ms=NOW)
    assert raised.value.path == path


def test_two_columns_of_one_name_are_refused(store: Any) -> None:
    twice = trend("A").by_segment(a=did("A")).by_segment(b=did("B"))
    with pytest.raises(BadQuery) as raised:
        store.query(twice, now_ms=NOW)
    assert raised.value.path == "breakdown"
