"""The past: every question and profile at an instant is that of the model, joins undone or not yet made included."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, profiles, trait, trend
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_700_000_000_000
A, B = {"user_id": "a"}, {"user_id": "b"}


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.tuples(strategies.queries(), strategies.times()), min_size=1, max_size=3),
)
def test_a_question_of_the_past_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question, as_of_ms in questions:
            asked = {**question, "as_of_ms": as_of_ms}
            twins.ask_both_ways(asked)


@examples(40)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.tuples(strategies.identities(), strategies.times()), min_size=1, max_size=4),
)
def test_a_profile_of_the_past_is_that_of_the_model(history: Any, care: Any, wanted: Any) -> None:
    with Twins.of(history, care) as twins:
        for ids, as_of_ms in wanted:
            twins.ask_profile(ids, {}, as_of_ms=as_of_ms)


def _joined_and_parted(store: Any) -> Any:
    """b joins a at T + 10 and leaves at T + 20; both did something, before and after."""
    ids: list[tuple[dict[str, str], int]] = [(A, 1), (B, 2), (B, 15), (B, 25)]
    store.append([{"type": "event", "name": "Did", "time_ms": T + at, "ids": who} for who, at in ids], now_ms=T + 30)
    store.set_traits(B, {"plan": "pro"}, now_ms=T + 30, time_ms=T + 3)
    store.append([{"type": "merge", "winner": A, "loser": B, "time_ms": T + 10}], now_ms=T + 30)
    store.append([{"type": "unmerge", "sequence": store.watermark, "time_ms": T + 20}], now_ms=T + 30)
    return store


def test_joins_live_from_their_time_until_they_are_undone(store: Any) -> None:
    _joined_and_parted(store)
    many = profiles(did("Did").count().ge(2))
    pro = profiles(trait("plan").eq("pro"))

    def at(question: Any, as_of_ms: int) -> list[int]:
        return [row[0] for row in store.query(question.as_of(as_of_ms), now_ms=T + 30).rows()]

    assert [at(many, T + time) for time in (9, 10, 19, 20, 25)] == [[], [0], [0], [1], [1]]
    assert [at(pro, T + time) for time in (2, 9, 10, 19, 20)] == [[], [1], [0], [0], [1]]
    assert store.query(trend("Did").unique().as_of(T + 15), now_ms=T + 30).rows() == [(1,)]
    assert store.query(trend("Did").unique(), now_ms=T + 30).rows() == [(2,)]
    then, now = (store.profile(B, events={}, **when) for when in ({"as_of_ms": T + 15}, {"now_ms": T + 30}))
    assert (then.profile_id, len(then.events), then.traits) == (0, 3, {"plan": "pro"})
    assert (now.profile_id, len(now.events)) == (1, 3)


def test_now_may_lie_before_the_past_but_not_behind_it(store: Any) -> None:
    _joined_and_parted(store)
    asked = trend("Did").unique().as_of(T + 15).spec()
    assert store.query({**asked, "now_ms": T + 1}, now_ms=T + 30).rows() == [(1,)]
    with pytest.raises(BadQuery) as raised:
        store.query({**asked, "now_ms": T + 16}, now_ms=T + 30)
    assert raised.value.path == "now_ms"
