"""Facts: whatever order they come in, however profiles join and part, the latest time tells, and a restart changes
nothing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import Twins, reads

pytestmark = pytest.mark.timeout(900)

SETTINGS = examples(25)
NOW_MS = strategies.END_MS + 10 * strategies.DAY_MS
IDS = [{"user_id": name} for name in strategies.USERS] + [{"anonymous_id": name} for name in strategies.ANONYMOUS]


def _one_a_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of different times: where times tie, the log decides, and with it the order of arrival."""
    return list({record["time_ms"]: record for record in records}.values())


@SETTINGS
@given(st.lists(strategies.fact_records(), min_size=1, max_size=12).map(_one_a_time), st.randoms(use_true_random=False))
def test_the_latest_time_tells_and_not_the_latest_arrival(records: Any, random: Any) -> None:
    shuffled = random.sample(records, len(records))
    answers = []
    for order in (records, shuffled):
        with Store.open(background=False) as store:
            store.append([{"type": "event", "name": "Seen", "ids": ids} for ids in IDS], now_ms=strategies.END_MS)
            for record in order:
                store.append([{**record, "ids": {"user_id": "u1"}}], now_ms=strategies.END_MS)
            answers.append(reads(store, NOW_MS, IDS))
    assert answers[0] == answers[1]


@SETTINGS
@given(strategies.histories(max_batches=3))
def test_a_restart_gives_the_same_digest_and_the_same_facts(tmp_path_factory: Any, history: Any) -> None:
    path: Path = tmp_path_factory.mktemp("store") / "data"
    with Store.open(path, background=False) as store:
        for batch in history:
            store.append(batch.records, now_ms=batch.received_ms, system=batch.system)
        before = store.digest(), reads(store, NOW_MS, IDS)
    with Store.open(path, background=False) as store:
        assert (store.digest(), reads(store, NOW_MS, IDS)) == before


@SETTINGS
@given(
    strategies.histories(max_batches=2),
    st.lists(strategies.fact_clauses(), min_size=1, max_size=6),
    st.integers(0, 100 * strategies.DAY_MS),
)
def test_live_segments_of_facts_are_what_a_question_finds(history: Any, clauses: Any, wait_ms: int) -> None:
    """A fact timed later enters or leaves by itself when its time comes."""
    with Store.open(background=False) as store:
        for at, clause in enumerate(clauses):
            store.watch(f"s{at}", clause, now_ms=strategies.START_MS)
        for batch in history:
            store.append(batch.records, now_ms=batch.received_ms, system=batch.system)
        for now_ms in (history[-1].received_ms, history[-1].received_ms + wait_ms):
            store.tick(now_ms)
            for at, clause in enumerate(clauses):
                found = store.query({"kind": "profiles", "where": clause}, now_ms=now_ms)
                assert store.members(f"s{at}").tolist() == found.column("profile_id").tolist()


@SETTINGS
@given(strategies.histories(max_batches=3), st.lists(strategies.fact_clauses(), min_size=1, max_size=8))
def test_clauses_on_facts(history: Any, clauses: Any) -> None:
    twins = Twins()
    try:
        for batch in history:
            twins.append(batch)
        for clause in clauses:
            twins.ask({"kind": "profiles", "where": clause})
            twins.ask({"kind": "profiles", "where": clause}, now_ms=NOW_MS)
    finally:
        twins.close()
