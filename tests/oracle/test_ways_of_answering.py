"""One answer, whatever way it is computed: row by row or by kernels, with any instruction set, while merges run, after
the log was replayed, after a batch was sent twice."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, Batch
from tests.oracle.scale import LONG, examples
from tests.oracle.twins import CARE, Twins, outcome, row_by_row

pytestmark = pytest.mark.timeout(900)  # as in test_store_equals_model

PRODUCER = b"sixteen bytes 16"
cares = st.lists(st.sampled_from(CARE), min_size=6, max_size=6)
some_queries = st.lists(strategies.queries(), min_size=1, max_size=6)


def _feed(store: Store, history: list[Batch], care: list[str]) -> None:
    for number, (batch, what) in enumerate(zip(history, care, strict=False)):
        producer = (PRODUCER, 1, number)
        store.append(batch.records, now_ms=batch.received_ms, system=batch.system, producer=producer)
        if what != "nothing":
            getattr(store, what)()


def _answers(store: Store, questions: list[Any], now_ms: int) -> list[Any]:
    return [outcome(lambda question=question: store.query(question, now_ms=now_ms)) for question in questions]


@examples(40)
@given(strategies.histories(), cares, some_queries)
def test_kernels_answer_asrow_by_row(history: Any, care: Any, questions: Any) -> None:
    with Store.open(background=False) as store:
        _feed(store, history, care)
        now_ms = history[-1].received_ms
        for question in questions:
            assert _answers(store, [question], now_ms) == [row_by_row(store, question, now_ms)], question


@examples(25)
@given(strategies.histories(), cares, some_queries)
def test_a_store_opened_again_is_the_store_that_was_closed(
    tmp_path_factory: pytest.TempPathFactory, history: Any, care: Any, questions: Any
) -> None:
    path, now_ms = tmp_path_factory.mktemp("store"), history[-1].received_ms
    with Store.open(path, background=False) as store:
        _feed(store, history, care)
        digest, watermark = store.digest(), store.watermark
        before = _answers(store, questions, now_ms)
    with Store.open(path, background=True) as store:
        assert (store.digest(), store.watermark) == (digest, watermark)
        assert _answers(store, questions, now_ms) == before


@examples(25)
@given(strategies.histories(hostile=True), cares)
def test_a_batch_sent_again_gets_the_same_ack_and_changes_nothing(history: Any, care: Any) -> None:
    with Store.open(background=False) as store:
        for number, batch in enumerate(history):
            sent = [
                store.append(
                    batch.records,
                    now_ms=batch.received_ms + again,
                    system=batch.system,
                    producer=(PRODUCER, 1, number),
                )
                for again in (0, 1)
            ]
            assert sent[0] == sent[1]
        digest = store.digest()
        _feed(store, history, care)
        assert store.digest() == digest


@examples(15)
@given(strategies.histories(max_batches=8), some_queries)
def test_answers_stand_while_the_store_merges_by_itself(history: Any, questions: Any) -> None:
    now_ms = history[-1].received_ms
    with Store.open(background=True) as busy, Store.open(background=False) as quiet:
        for store in (busy, quiet):
            _feed(store, history, ["nothing"] * len(history))
        assert _answers(busy, questions, now_ms) == _answers(quiet, questions, now_ms)


_LEVELS = """
import sys
from hypothesis import given, seed
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.test_ways_of_answering import cares, some_queries
from tests.oracle.twins import Twins

@seed(7)
@examples(int(sys.argv[1]))
@given(strategies.histories(), cares, some_queries)
def run(history, care, questions):
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question)
    finally:
        twins.close()

run()
"""


@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512"])
def test_every_instruction_set_answers_as_the_model(level: str) -> None:
    _try_level(level, 12)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("level", ["scalar", "avx2", "avx512"])
def test_every_instruction_set_answers_as_the_model_at_length(level: str) -> None:
    _try_level(level, 12 * LONG)


def _try_level(level: str, count: int) -> None:
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", _LEVELS, str(count)],
        env={**os.environ, "CDPSTORE_SIMD": level, "PYTHONPATH": path},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.long
@pytest.mark.timeout(1800)
@examples(60 * LONG)
@given(
    strategies.histories(hostile=True),
    cares,
    some_queries,
    st.lists(strategies.profile_queries(), max_size=3),
    st.sampled_from([0, 1, DAY_MS, 3 * DAY_MS, -30 * DAY_MS]),
)
def test_everything_at_length(history: Any, care: Any, questions: Any, profiles: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question, now_ms=twins.now_ms + wait_ms)
        for profile in profiles:
            twins.ask_profile(**profile)
    finally:
        twins.close()
