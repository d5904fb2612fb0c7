"""The live segments that one profile is in: the same as asking each segment for all its profiles."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, CDPError
from cdpstore.query import did
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, END_MS
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

NOW = 1_705_000_000_000


def _event(name: str, time_ms: int, who: str = "u", **properties: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


@pytest.mark.timeout(900)
@examples(40)
@given(
    strategies.histories(max_batches=4),
    st.lists(st.sampled_from(CARE), min_size=4, max_size=4),
    st.lists(strategies.predicates(3), min_size=1, max_size=5),
    st.integers(0, 2),
    st.sampled_from([0, 1, 5 * DAY_MS, 40 * DAY_MS]),
)
def test_a_profile_is_in_the_segments_whose_members_hold_it(
    history: Any, care: Any, predicates: Any, defined_behind: int, wait_ms: int
) -> None:
    with Twins() as twins:
        for number, (batch, what) in enumerate(zip(history, care, strict=False)):
            if number == min(defined_behind, len(history) - 1):
                for index, predicate in enumerate(predicates):
                    twins.real.watch(f"s{index}", predicate, now_ms=END_MS)
            twins.append(batch)
            twins.care(what)
        now_ms = twins.now_ms + wait_ms
        members = {
            f"s{index}": set(
                twins.real.query({"kind": "profiles", "where": each}, now_ms=now_ms).column("profile_id").tolist()
            )
            for index, each in enumerate(predicates)
        }
        either = {"or": [predicates[0], {"not": predicates[0]}]}
        everybody = twins.real.query({"kind": "profiles", "where": either}, now_ms=now_ms)
        for profile_id in everybody.column("profile_id").tolist():
            expected = tuple(name for name, group in members.items() if profile_id in group)
            assert twins.real.segments_of(profile_id, now_ms=now_ms) == expected, (profile_id, predicates)


def test_a_segment_is_decided_at_the_instant_asked_for(store: Any) -> None:
    store.watch("buyers this week", did("Charged").within("7d").spec(), now_ms=NOW)
    store.watch("nobody did", {"did_not": "Charged"}, now_ms=NOW)
    store.append([_event("Charged", NOW - DAY_MS)], now_ms=NOW)
    assert store.segments_of({"user_id": "u"}, now_ms=NOW) == ("buyers this week",)
    assert store.segments_of({"user_id": "u"}, now_ms=NOW + 6 * DAY_MS) == ()
    assert store.segments_of({"user_id": "u"}, now_ms=NOW - 2 * DAY_MS) == ("nobody did",)


def test_a_segment_of_names_that_come_later_is_told_as_soon_as_they_are_there(store: Any) -> None:
    store.append([_event("Opened", NOW)], now_ms=NOW)
    store.watch("rich", {"did": "Charged", "where": [{"property": "price", "op": "gt", "value": 5}]}, now_ms=NOW)
    assert store.segments_of({"user_id": "u"}, now_ms=NOW) == ()
    store.append([_event("Charged", NOW, price=9), _event("Charged", NOW, "v", price=1)], now_ms=NOW)
    assert store.segments_of({"user_id": "u"}, now_ms=NOW) == ("rich",)
    assert store.segments_of({"user_id": "v"}, now_ms=NOW) == ()


def test_a_joined_profile_is_asked_for_by_any_of_its_ids(store: Any) -> None:
    store.watch("payers", {"did": "Charged"}, now_ms=NOW)
    store.append([_event("Charged", NOW, "old"), _event("Opened", NOW, "new")], now_ms=NOW)
    store.merge({"user_id": "new"}, {"user_id": "old"}, now_ms=NOW)
    assert store.segments_of({"user_id": "old"}, now_ms=NOW) == ("payers",)
    assert store.segments_of({"user_id": "new"}, now_ms=NOW) == ("payers",)


def test_a_removed_segment_is_no_longer_told(store: Any) -> None:
    store.append([_event("Charged", NOW)], now_ms=NOW)
    store.watch("payers", {"did": "Charged"}, now_ms=NOW)
    store.watch("payers", None, now_ms=NOW)
    assert store.segments_of({"user_id": "u"}, now_ms=NOW) == ()


def test_a_profile_that_nobody_knows_is_in_none(store: Any) -> None:
    store.watch("everybody", {"did_not": "Charged"}, now_ms=NOW)
    assert store.segments_of({"user_id": "who"}, now_ms=NOW) is None
    assert store.segments_of(17, now_ms=NOW) is None


@pytest.fixture(name="real")
def _real() -> Iterator[Store]:
    with Store.open(background=False) as store:
        yield store


@pytest.mark.parametrize("ids", [{}, {"user_id": None}, {"user_id": 1.5}, {7: "u"}, -1], ids=str)
def test_ids_that_are_none_are_refused(real: Store, ids: Any) -> None:
    with pytest.raises(CDPError) as caught:
        real.segments_of(ids, now_ms=NOW)
    assert isinstance(caught.value, BadQuery)


def test_segments_live_on_after_a_restart(tmp_path: Any) -> None:
    with Store.open(tmp_path) as store:
        store.append([_event("Charged", NOW)], now_ms=NOW)
        store.watch("payers", {"did": "Charged"}, now_ms=NOW)
    with Store.open(tmp_path) as store:
        assert store.segments_of({"user_id": "u"}, now_ms=NOW) == ("payers",)
