"""The registry: what came in, by name, key and type; and names that are blocked."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import InvalidRequest
from cdpstore.model import event, traits
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import NAMES
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

pytestmark = pytest.mark.timeout(900)  # as in test_store_equals_model

T = 1_700_000_000_000
USER = {"user_id": "u1"}
blocks = st.lists(st.none() | st.tuples(st.sampled_from(NAMES), st.booleans()), min_size=5, max_size=5)


@examples(40)
@given(strategies.histories(hostile=True), st.lists(st.sampled_from(CARE), min_size=5, max_size=5), blocks)
def test_it_counts_what_was_accepted(history: Any, care: Any, blocked: Any) -> None:
    twins = Twins()
    try:
        for batch, what, change in zip(history, care, blocked, strict=False):
            if change is not None:
                name, is_blocked = change
                for store in (twins.real, twins.model):
                    (store.block if is_blocked else store.unblock)(name, now_ms=batch.received_ms)
            twins.append(batch)
            twins.care(what)
            assert twins.real.schema() == twins.model.schema()
    finally:
        twins.close()


def test_it_is_the_same_after_a_restart_and_after_rows_were_dropped(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", background=False) as store:
        store.append([event("Seen", ids=USER, properties={"n": 1, "c": [1], "x": None})], now_ms=T)
        store.append([traits(USER, set={"plan": "pro"}, unset=["city"], increment={"score": 1.5})], now_ms=T)
        store.block("Debug", now_ms=T)
        store.append([event("Debug", ids={"user_id": "nobody"}, event_id="e1", properties={"d": 1})], now_ms=T)
        store.set_retention({"*": 1}, now_ms=T + 5)
        store.compact()
        assert store.memory()["rows"]["count"] == 0
        before = store.schema()
    with Store.open(tmp_path / "store", background=False) as store:
        assert store.schema() == before
    assert [seen.name for seen in before.events] == ["Seen"]
    seen = before.events[0]
    assert (seen.volume, seen.first_ms, seen.last_ms) == (1, T, T)
    assert seen.properties == {"c": {"list": 1}, "n": {"int": 1}, "x": {"null": 1}}
    assert before.traits == {"plan": {"string": 1}, "score": {"float": 1}}
    assert before.blocked == {"Debug": 1}


def test_a_blocked_event_is_rejected_and_leaves_no_trace() -> None:
    with Store.open(background=False) as store:
        store.block("Debug", now_ms=T)
        record = event("Debug", ids={"user_id": "u9"}, event_id="e1", time_ms=T)
        ack = store.append([event("Seen", ids=USER), record], now_ms=T)
        assert ack is not None
        assert (ack.accepted, ack.sequence) == (1, 2)
        (reject,) = ack.rejects
        assert (reject.index, reject.code, reject.path, reject.value) == (1, "event.name.blocked", "name", "Debug")
        assert store.profile({"user_id": "u9"}, now_ms=T) is None
        store.unblock("Debug", now_ms=T)
        again = store.append([record], now_ms=T)
        assert again is not None
        assert (again.accepted, again.duplicates) == (1, 0)
        assert store.schema().blocked == {}


def test_a_load_meets_blocked_names_too() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    with Store.open(background=False) as store:
        store.block("Debug", now_ms=T)
        rows = pyarrow.table({"user_id": ["a", "b", "c"], "event": ["Seen", "Debug", "Debug"]})
        report = store.load(rows, now_ms=T)
        assert (report.accepted, report.rejected) == (1, 2)
        assert store.schema().blocked == {"Debug": 2}


@pytest.mark.parametrize("name", ["", "Message Sent", "Segment Entered", "x" * 257])
def test_names_that_cannot_be_blocked_are_refused(name: str) -> None:
    with Store.open() as store, pytest.raises(InvalidRequest) as caught:
        store.block(name)
    assert (caught.value.code, caught.value.path) == ("definition.invalid", "name")


def test_what_was_sent_before_the_block_stays() -> None:
    with Store.open(background=False) as store:
        store.append([event("Debug", ids=USER)], now_ms=T)
        store.block("Debug", now_ms=T)
        assert store.query({"kind": "trend", "event": "Debug"}, now_ms=T).rows() == [(1,)]
