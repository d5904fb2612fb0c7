"""Breakdowns by a trait as it was valid when the event happened."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import funnel, retention, trend
from cdpstore.testing import breakdown_strategies, strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 60 * DAY


@pytest.mark.timeout(900)
@examples(80)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(breakdown_strategies.questions_by_traits_at_event(), min_size=1, max_size=3),
    st.none() | strategies.times(),
)
def test_an_answer_by_traits_as_they_were_is_that_of_the_model(
    history: Any, care: Any, questions: Any, as_of_ms: int | None
) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            asked = question if as_of_ms is None else {**question, "as_of_ms": as_of_ms}
            asked = {name: value for name, value in asked.items() if name != "now_ms" or as_of_ms is None}
            twins.ask_both_ways(asked)


def _event(ids: dict[str, str], name: str, day: float) -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": T + int(day * DAY), "ids": ids}


def _plan(ids: dict[str, str], plan: str, day: float) -> dict[str, Any]:
    return {"type": "traits", "ids": ids, "set": {"plan": plan}, "time_ms": T + int(day * DAY)}


def _ask(store: Any, question: Any, *records: Any) -> list[Any]:
    if records:
        store.append(list(records), now_ms=NOW)
    return sorted(store.query(question, now_ms=NOW).rows(), key=str)


ANN, BOB, ANON = {"user_id": "ann"}, {"user_id": "bob"}, {"anonymous_id": "x"}


def test_an_event_counts_under_the_value_of_its_time(store: Any) -> None:
    records = [
        *(_plan(ANN, "free", 1), _plan(ANN, "pro", 5), _plan(BOB, "free", 3)),
        *(_event(ANN, "A", day) for day in (0.5, 1, 2, 5, 9)),
        *(_event(BOB, "A", day) for day in (1, 3)),
    ]
    assert _ask(store, trend("A").by_trait("plan", at="event"), *records) == [("free", 3), ("pro", 2), (None, 2)]
    assert _ask(store, trend("A").by_trait("plan", at="now")) == [("free", 2), ("pro", 5)]
    assert _ask(store, trend("A").unique().by_trait("plan", at="event").limit(1)) == [("other", 2), (None, 2)]


def test_what_is_told_late_counts_from_its_own_time_on(store: Any) -> None:
    records = [_event(ANN, "A", 2), _event(ANN, "A", 6), _plan(ANN, "pro", 5), _plan(ANN, "free", 1)]
    assert _ask(store, trend("A").by_trait("plan", at="event"), *records) == [("free", 1), ("pro", 1)]


def test_before_a_join_an_event_has_the_traits_of_its_own_side(store: Any) -> None:
    identify = {"type": "identify", "anonymous": ANON, "known": ANN, "time_ms": T + 4 * DAY}
    records = [
        *(_plan(ANN, "pro", 1), _event(ANON, "A", 2), _event(ANN, "A", 2)),
        *(identify, _event(ANON, "A", 5)),
    ]
    assert _ask(store, trend("A").by_trait("plan", at="event"), *records) == [("pro", 2), (None, 1)]
    assert _ask(store, trend("A").by_trait("plan")) == [("pro", 3)]


def test_funnels_read_it_at_the_entry_or_as_attributed_and_retention_at_the_start(store: Any) -> None:
    records = [_plan(ANN, "free", 0), _event(ANN, "A", 1), _plan(ANN, "pro", 2), _event(ANN, "B", 3)]
    asked = funnel("A", "B", window="7d").by_trait("plan", at="event")
    assert _ask(store, asked, *records) == [("free", 1, 1)]
    assert _ask(store, {**asked.spec(), "attribution": {"step": 2}}) == [("pro", 1, 1)]
    assert _ask(store, {**asked.spec(), "attribution": "every_step"}) == [("free", 1, 0), ("pro", 0, 1)]
    kept = retention("A", returned="B", interval="week").by_trait("plan", at="event")
    assert _ask(store, kept) == [("free", T, 0, 1, 1, 1)]
    assert _ask(store, {**kept.spec(), "share_value": True}) == []


def test_the_profiles_of_a_row_are_those_that_had_the_value(store: Any) -> None:
    question = trend("A").unique().by_trait("plan", at="event").spec()
    records = [_plan(ANN, "free", 1), _plan(ANN, "pro", 5), _event(ANN, "A", 2), _event(BOB, "A", 2)]
    assert _ask(store, question, *records) == [("free", 1), (None, 1)]
    if hasattr(store, "watch") and hasattr(store, "compact"):
        for group, expected in (("free", [(0,)]), ("pro", []), (None, [(1,)])):
            cell = {"cell": question, "at": {"group": [group]}}
            assert store.query({"kind": "profiles", "where": cell}, now_ms=NOW).rows() == expected


BAD: list[tuple[Any, str]] = [
    ({"trait": "plan", "at": "then"}, "breakdown[0].at"),
    ({"property": "plan", "at": "event"}, "breakdown[0].at"),
]


@pytest.mark.parametrize(("operand", "path"), BAD)
def test_a_bad_instant_of_a_trait_says_where(store: Any, operand: Any, path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", "event": "A", "breakdown": [operand]}, now_ms=NOW)
    assert raised.value.path == path
