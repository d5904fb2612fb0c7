"""Overlap: combinations against the model; changes by the truth around the instant that they name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import changes, did, overlap, trait
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins, row_by_row

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 10 * DAY


def _event(who: str, day: float, name: str = "Charged") -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": T + int(day * DAY), "ids": {"user_id": who}}


def test_every_combination_is_counted_once(store: Any) -> None:
    store.append([_event("a", 1), _event("a", 1, "Viewed"), _event("b", 1), _event("c", 1, "Seen")], now_ms=NOW)
    answer = store.query(overlap(paid=did("Charged"), saw=did("Viewed")), now_ms=NOW)
    assert answer.names == ("paid", "saw", "profiles")
    assert answer.rows() == [(True, True, 1), (True, False, 1), (False, False, 1)]
    within = overlap(paid=did("Charged"), saw=did("Viewed")).where(did("Charged"))
    assert store.query(within, now_ms=NOW).rows() == [(True, True, 1), (True, False, 1)]


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(strategies.predicates(4), min_size=2, max_size=4),
    st.none() | strategies.predicates(2),
)
def test_combinations_are_those_of_the_model(history: Any, care: Any, segments: Any, where: Any) -> None:
    twins = Twins.of(history, care)
    spec = {"kind": "overlap", "segments": [{"where": segment} for segment in segments]}
    if where is not None:
        spec["where"] = where
    try:
        twins.ask_both_ways(spec)
    finally:
        twins.close()


def test_the_model_refuses_changes_by_name() -> None:
    with pytest.raises(BadQuery) as raised:
        ModelStore.open().query(changes(did("Charged"), from_ms=T, to_ms=NOW), now_ms=NOW)
    assert (raised.value.code, raised.value.path) == ("query.unsupported", "segment")


@pytest.fixture(name="filled")
def _filled() -> Any:
    with Store.open(background=False) as store:
        store.append([_event("a", 1), _event("b", 5), _event("c", 1), _event("c", 6), _event("d", 9)], now_ms=NOW)
        store.set_traits({"user_id": "b"}, {"plan": "pro"}, now_ms=NOW, time_ms=T + 3 * DAY)
        store.list_add("vip", [{"user_id": "b"}], now_ms=NOW, time_ms=T + 4 * DAY)
        yield store


def _told(store: Store, segment: Any, from_day: int, to_day: int) -> list[tuple[Any, ...]]:
    asked = changes(segment, from_ms=T + from_day * DAY, to_ms=T + to_day * DAY)
    return [
        (who, entered, (time_ms - T) / DAY, cause, name)
        for who, entered, time_ms, cause, name in store.query(asked, now_ms=NOW).rows()
    ]


def test_a_change_has_its_instant_and_its_cause(filled: Store) -> None:
    recent = did("Charged").within("3d")
    assert _told(filled, recent, 2, 7) == [
        (0, False, 4.0, "time", None),
        (1, True, 5.0, "event", "Charged"),
    ], "c was in it at both: it left at 4 and came back at 6"
    assert _told(filled, trait("plan").eq("pro"), 2, 7) == [(1, True, 3.0, "trait", "plan")]
    assert _told(filled, {"list": "vip"}, 2, 7) == [(1, True, 4.0, "list", None)]
    assert _told(filled, ~recent, 2, 7)[0] == (0, True, 4.0, "time", None)


def test_the_notes_count_all_changes_whatever_the_limit(filled: Store) -> None:
    asked = changes(did("Charged").within("3d"), from_ms=T + 2 * DAY, to_ms=T + 7 * DAY).limit(1)
    answer = filled.query(asked, now_ms=NOW)
    assert len(answer.rows()) == 1
    assert {key: answer.notes[key] for key in ("entered", "left", "stayed")} == {"entered": 1, "left": 1, "stayed": 1}


def test_changes_are_told_of_the_events_that_are_kept(filled: Store) -> None:
    filled.set_retention({"Charged": "7d"}, now_ms=NOW)
    assert _told(filled, did("Charged"), 2, 7) == [
        (1, True, 5.0, "event", "Charged"),
        (2, True, 6.0, "event", "Charged"),
    ]


@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    strategies.predicates(4),
    st.tuples(strategies.times(), strategies.times()).map(sorted),
)
def test_truth_turns_for_the_last_time_at_the_instant_told(history: Any, care: Any, predicate: Any, span: Any) -> None:
    from_ms, to_ms = span[0], span[1] + 1
    twins = Twins.of(history, care)

    def members(at_ms: int) -> set[int]:
        return {row[0] for row in twins.model.query({"kind": "profiles", "where": predicate}, now_ms=at_ms).rows()}

    try:
        spec = {"kind": "overlap", "segment": predicate, "from_ms": from_ms, "to_ms": to_ms}
        answer = twins.real.query(spec, now_ms=twins.now_ms)
        assert row_by_row(twins.real, spec, twins.now_ms) == twins.answer(spec)
        before, after = members(from_ms), members(to_ms)
        told = {(who, entered) for who, entered, *_ in answer.rows()}
        assert told == {(who, True) for who in after - before} | {(who, False) for who in before - after}
        assert answer.notes["stayed"] == len(before & after)
        for who, entered, time_ms, *_ in answer.rows():
            assert from_ms < time_ms <= to_ms
            assert (who in members(time_ms)) == entered
            assert (who in members(time_ms - 1)) != entered
    finally:
        twins.close()


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "segments"),
    ({"segments": [{"where": {"did": "A"}}]}, "segments"),
    ({"segments": [{"where": {"did": "A"}}, {"where": {"did": 5}}]}, "segments[1].where.did"),
    ({"segments": [{"where": {"did": "A"}}, {"name": "A", "where": {"did": "B"}}]}, "segments[1].name"),
    ({"segments": [{"name": "profiles", "where": {"did": "A"}}, {"where": {"did": "B"}}]}, "segments[0].name"),
    ({"segments": [{"where": {"did": "A"}}, {"where": {"did": "B"}}], "limit": 1}, "limit"),
    ({"segment": {"did": "A"}, "from_ms": 2, "to_ms": 2}, "to_ms"),
    ({"segment": {"did": "A"}, "from_ms": 2}, "to_ms"),
    ({"segment": {"did": "A"}, "segments": []}, "segments"),
    ({"segment": {"did": "A"}, "from_ms": 2, "to_ms": 9, "as_of_ms": 5}, "to_ms"),
    ({"segment": {"did": "A"}, "from_ms": 2, "to_ms": 9, "range": {"last": "1d"}}, "range"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_a_bad_overlap_says_where(fields: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "overlap", **fields}, now_ms=NOW)
    assert raised.value.path == path
