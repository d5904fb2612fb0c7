"""The law of live segments: after every group and every tick the members are those that a fresh query finds then.

The test reads no deadline of the store's: it puts a tick on every instant at which time alone can change an answer
(rows and trait operations become visible, windows pass over rows) and a millisecond to either side of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.model import milliseconds_of
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, END_MS, Batch
from tests.oracle.scale import examples

pytestmark = pytest.mark.timeout(900)  # as in test_store_equals_model

HOUR_MS = 3_600_000
WINDOWS_MS = (0, 1, 2, 1_001, HOUR_MS, DAY_MS, 28 * DAY_MS, 30 * DAY_MS, 84 * DAY_MS, 100 * DAY_MS)
OFFSETS_MS = (0, -HOUR_MS, 4 * HOUR_MS, -5 * HOUR_MS - HOUR_MS // 2, 5 * HOUR_MS)  # of zones in strategies.ZONES
TICKS_MAX = 60


def _borders(node: Any) -> Iterator[int]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("start_ms", "end_ms") if isinstance(node.get(key), int))
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _borders(each)


def _datetimes(node: Any) -> Iterator[datetime]:
    if isinstance(node, datetime):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _datetimes(each)


def _instants(history: list[Batch], predicates: Any, after_ms: int, until_ms: int) -> list[int]:
    """Every instant in (after, until) at which time alone can change an answer, and its neighbours."""
    times = {
        record["time_ms"] for batch in history for record in batch.records if isinstance(record.get("time_ms"), int)
    }
    times |= {batch.received_ms for batch in history}
    times |= {milliseconds_of(each) for batch in history for each in _datetimes(batch.records)}
    turns = {time_ms + window_ms for time_ms in times for window_ms in (*WINDOWS_MS, *(-each for each in WINDOWS_MS))}
    turns |= {_midnight(time_ms) + days * DAY_MS for time_ms in times for days in (1, 30, 84)}
    turns |= set(_borders(predicates)) | set(range(after_ms - after_ms % DAY_MS, until_ms, DAY_MS))
    near = {turn + step for turn in turns for step in (-1, 0, 1)}
    return sorted(instant for instant in near if after_ms < instant < until_ms)


def _midnight(time_ms: int) -> int:
    """Local midnight somewhere: windows of the calendar begin and end there."""
    return time_ms - time_ms % DAY_MS + OFFSETS_MS[time_ms % len(OFFSETS_MS)]


def _agree(store: Store, predicates: list[Any], now_ms: int) -> None:
    for number, predicate in enumerate(predicates):
        fresh = store.query({"kind": "profiles", "where": predicate}, now_ms=now_ms)
        expected = [row[0] for row in fresh.rows()]
        assert [int(each) for each in store.members(f"s{number}")] == expected, f"{predicate} at {now_ms}"


@examples(40)
@given(
    strategies.histories(max_batches=4),
    st.lists(strategies.predicates(4), min_size=1, max_size=4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_members_equal_a_fresh_query_after_every_group_and_tick(
    history: Any, predicates: Any, is_started_late: bool, choose: Any
) -> None:
    with Store.open(background=False) as store:
        if is_started_late:
            _append(store, history[0])
        for number, predicate in enumerate(predicates):
            store.watch(f"s{number}", predicate, now_ms=END_MS)
        _follow(store, history, predicates, is_started_late, choose)


def _follow(store: Store, history: Any, predicates: Any, is_started_late: bool, choose: Any) -> None:
    """Takes the rest of the history in; what is watched agrees after every group and at ticks between."""
    for number, batch in enumerate(history):
        if number > 0 or not is_started_late:
            store.tick(batch.received_ms)
            _append(store, batch)
        _agree(store, predicates, batch.received_ms)
        is_last = number + 1 == len(history)
        until_ms = batch.received_ms + 110 * DAY_MS if is_last else history[number + 1].received_ms
        instants = _instants(history[: number + 1], predicates, batch.received_ms, until_ms)
        for now_ms in sorted(choose.sample(instants, min(len(instants), TICKS_MAX))):
            store.tick(now_ms)
            _agree(store, predicates, now_ms)
    _members_follow_from_transitions(store, predicates, is_started_late)


def _append(store: Store, batch: Batch) -> None:
    store.append(batch.records, now_ms=batch.received_ms, system=batch.system)


def _members_follow_from_transitions(store: Store, predicates: list[Any], is_started_late: bool) -> None:
    if is_started_late:  # those present at the start entered without a transition
        return
    members: dict[str, set[int]] = {f"s{number}": set() for number in range(len(predicates))}
    for transition in store.transitions():
        group = members[transition.segment]
        assert (transition.profile_id in group) != transition.entered
        (group.add if transition.entered else group.remove)(transition.profile_id)
    for name, group in members.items():
        assert sorted(group) == [int(each) for each in store.members(name)]


@examples(15)
@given(strategies.histories(max_batches=3), st.lists(strategies.predicates(3), min_size=1, max_size=3))
def test_replay_gives_the_same_members_and_cursors(tmp_path_factory: Any, history: Any, predicates: Any) -> None:
    path = tmp_path_factory.mktemp("store")
    names = [f"s{number}" for number in range(len(predicates))]
    with Store.open(path, background=False) as store:
        for name, predicate in zip(names, predicates, strict=True):
            store.watch(name, predicate, now_ms=END_MS)
        for batch in history:
            _append(store, batch)
            store.tick(batch.received_ms + HOUR_MS)
        before = [list(store.members(name)) for name in names], store.transitions(), store.digest()
    with Store.open(path, background=False) as store:
        assert ([list(store.members(name)) for name in names], store.transitions(), store.digest()) == before
