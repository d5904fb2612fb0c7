"""Changes of a segment by the profiles there were at each instant: merges and unmerges among the causes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import changes, did, trait
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, row_by_row

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 20 * DAY


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    strategies.predicates(4),
    st.tuples(strategies.times(), strategies.times()).map(sorted),
)
def test_members_are_those_of_each_instant_and_turn_for_the_last_time_when_told(
    history: Any, care: Any, predicate: Any, span: Any
) -> None:
    from_ms, to_ms = span[0], span[1] + 1
    twins = Twins.of(history, care)

    def members(at_ms: int) -> set[int]:
        question = {"kind": "profiles", "where": predicate, "as_of_ms": at_ms}
        return {row[0] for row in twins.model.query(question, now_ms=at_ms).rows()}

    try:
        spec = {"kind": "overlap", "segment": predicate, "from_ms": from_ms, "to_ms": to_ms, "joins": "then"}
        answer = twins.real.query(spec, now_ms=twins.now_ms)
        assert row_by_row(twins.real, spec, twins.now_ms) == twins.answer(spec)
        before, after = members(from_ms), members(to_ms)
        told = {(who, entered) for who, entered, *_ in answer.rows()}
        assert told == {(who, True) for who in after - before} | {(who, False) for who in before - after}
        assert answer.notes["stayed"] == len(before & after)
        for who, entered, time_ms, cause, name in answer.rows():
            assert from_ms < time_ms <= to_ms
            assert (who in members(time_ms)) == entered
            assert (who in members(time_ms - 1)) != entered
            assert (cause in ("merge", "unmerge")) <= name.isdigit() if name else True
    finally:
        twins.close()


def _event(who: str, day: float, name: str = "Charged") -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": T + int(day * DAY), "ids": {"user_id": who}}


@pytest.fixture(name="merged")
def _merged() -> Any:
    with Store.open(background=False) as store:
        store.append([_event("a", 1), _event("b", 2), _event("c", 3, "Viewed")], now_ms=T + 4 * DAY)
        store.merge({"user_id": "a"}, {"user_id": "b"}, now_ms=T + 5 * DAY)
        yield store


def _told(store: Store, segment: Any, from_day: float, to_day: float, **how: Any) -> list[tuple[Any, ...]]:
    asked = changes(segment, from_ms=T + int(from_day * DAY), to_ms=T + int(to_day * DAY), **how)
    return [
        (who, entered, (time_ms - T) / DAY, cause, name)
        for who, entered, time_ms, cause, name in store.query(asked, now_ms=NOW).rows()
    ]


def test_a_profile_that_another_took_in_has_left_by_a_merge(merged: Store) -> None:
    twice = did("Charged").count().ge(2)
    assert _told(merged, did("Charged"), 4, 6, joins="then") == [(1, False, 5.0, "merge", "4")]
    assert _told(merged, twice, 4, 6, joins="then") == [(0, True, 5.0, "merge", "4")]
    assert _told(merged, twice, 1, 6) == [(0, True, 2.0, "event", "Charged")], "by the joins of now"
    assert _told(merged, twice, 4, 6) == []


def test_an_unmerge_gives_back_who_was_there(merged: Store) -> None:
    link = 4
    merged.append([{"type": "unmerge", "sequence": link, "time_ms": T + 8 * DAY}], now_ms=T + 8 * DAY)
    twice = did("Charged").count().ge(2)
    assert _told(merged, twice, 6, 9, joins="then") == [(0, False, 8.0, "unmerge", "5")]
    assert _told(merged, did("Charged"), 6, 9, joins="then") == [(1, True, 8.0, "unmerge", "5")]
    assert _told(merged, did("Charged"), 4, 9, joins="then") == [], "apart at both"
    assert _told(merged, did("Charged"), 1.5, 9, joins="then") == [(1, True, 8.0, "unmerge", "5")]


def test_an_event_at_the_instant_of_a_merge_is_the_cause_where_it_alone_would_do(merged: Store) -> None:
    merged.append([_event("a", 5, "Seen"), _event("b", 5, "Left")], now_ms=T + 6 * DAY)
    assert _told(merged, did("Seen"), 4, 6, joins="then") == [(0, True, 5.0, "event", "Seen")]
    assert _told(merged, did("Left"), 4, 6, joins="then") == [(0, True, 5.0, "merge", "4")], "b was no profile by then"


def test_traits_that_a_join_brought_are_a_merge(merged: Store) -> None:
    merged.set_traits({"user_id": "c"}, {"plan": "pro"}, now_ms=T + 6 * DAY, time_ms=T + 6 * DAY)
    merged.merge({"user_id": "a"}, {"user_id": "c"}, now_ms=T + 9 * DAY)
    pro = trait("plan").eq("pro")
    assert _told(merged, pro, 5, 8, joins="then") == [(2, True, 6.0, "trait", "plan")]
    assert _told(merged, pro, 8, 10, joins="then") == [(0, True, 9.0, "merge", "6"), (2, False, 9.0, "merge", "6")]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"joins": "before"}, "joins"),
    ({"joins": "then", "where": {"did": "A"}}, "where"),
    ({"joins": "then", "as_of_ms": NOW}, "joins"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_bad_joins_say_where(fields: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "overlap", "segment": {"did": "A"}, "from_ms": T, "to_ms": NOW, **fields}, now_ms=NOW)
    assert raised.value.path == path
