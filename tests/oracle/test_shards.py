"""Shards and threads change nothing: equal digests and equal answers, to the bit and in the same order of rows,
whatever was joined and parted, sealed, compacted and opened again in between."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore import _core
from cdpstore.errors import CDPError, InvalidRequest
from cdpstore.model import encode_batch, event, merge, unmerge
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, Batch
from tests.oracle.scale import LONG, examples
from tests.oracle.test_export import exported

T = 1_700_000_000_000
SHARDS = (1, 4, 16)
CARE = ("nothing", "seal", "compact", "restart")
USERS = [{"user_id": f"user {number}"} for number in range(24)]

cares = st.lists(st.sampled_from(CARE), min_size=8, max_size=8)


class Sharded:
    """A store of so many shards that is cared for as told. With a path it is durable, and restarts; all those to be
    compared have one hash key, as their digests tell."""

    def __init__(self, shards: int, path: Path | None) -> None:
        self.path = path
        self.store = in_memory(shards) if path is None else Store.open(path, shards=shards, background=False)

    def care(self, what: str) -> None:
        if what == "restart":
            if self.path is not None:
                self.reopen(None)
        elif what != "nothing":
            getattr(self.store, what)()

    def reopen(self, shards: int | None) -> None:
        assert self.path is not None
        self.store.close()
        self.store = Store.open(self.path, shards=shards, background=False)

    def everything(self, questions: Sequence[Any], exports: Sequence[Any], now_ms: int, threads: int) -> list[Any]:
        """All that can be read, rows in the order given."""
        answers = [
            _told(lambda each=each: self.store.query(each, now_ms=now_ms, threads=threads)) for each in questions
        ]
        answers += [_told(lambda each=each: exported(self.store, each, now_ms)) for each in exports]
        profiles = [self.store.profile(each, events={}, now_ms=now_ms) for each in range(40)]
        return [self.store.digest(), self.store.watermark, answers, profiles]


def _told(ask: Any) -> Any:
    try:
        table = ask()
    except CDPError as error:
        return error.code, error.path
    return table.names, [[(type(cell), cell) for cell in row] for row in table.rows()], table.notes


def in_memory(shards: int) -> Store:
    return Store(_core.Engine(path="", shards=shards, workers=0, hash_key=7, now_ms=0, background=False))


def run(
    history: Sequence[Batch],
    each_care: Sequence[Sequence[str]],
    questions: Sequence[Any],
    exports: Sequence[Any],
    *,
    durable: bool = False,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        paths = copies_of_an_empty_store(Path(directory)) if durable else [None, None, None]
        stores = [Sharded(shards, path) for shards, path in zip(SHARDS, paths, strict=True)]
        try:
            for place, batch in enumerate(history):
                for sharded, care in zip(stores, each_care, strict=True):
                    sharded.store.append(batch.records, now_ms=batch.received_ms, system=batch.system)
                    sharded.care(care[place % len(care)])
            now_ms = history[-1].received_ms if history else T
            threads = (1, 2, 5)
            ways = [
                each.everything(questions, exports, now_ms, count) for each, count in zip(stores, threads, strict=True)
            ]
            assert ways[1] == ways[0]
            assert ways[2] == ways[0]
            assert questions is not QUESTIONS or all(len(told) == 3 for told in ways[0][2])  # none is refused
            for sharded, other in zip(stores, (16, 1, 4), strict=True):
                if durable:
                    sharded.reopen(other)
                sharded.store.compact()
                assert sharded.store.memory()["split"]["count"] == 0
                assert sharded.everything(questions, exports, now_ms, 3) == ways[0]
        finally:
            for sharded in stores:
                sharded.store.close()


def copies_of_an_empty_store(directory: Path) -> list[Path]:
    Store.open(directory / "empty", background=False).close()
    return [shutil.copytree(directory / "empty", directory / str(shards)) for shards in SHARDS]


@st.composite
def joined_histories(draw: st.DrawFn) -> list[Batch]:
    """Events of few times of many profiles that are joined and parted all the time: links that exist are undone."""
    batches: list[Batch] = []
    sequence, made = 0, list[int]()
    for number in range(draw(st.integers(2, 8))):
        now_ms = T + number * 20 * DAY_MS
        records = [
            event(
                draw(st.sampled_from(["Viewed", "Charged"])),
                ids=draw(st.sampled_from(USERS)),
                properties={"n": draw(st.integers(0, 9)), "price": draw(st.floats(0, 9))},
                time_ms=now_ms - draw(st.sampled_from([0, 0, DAY_MS, 21 * DAY_MS])),
            )
            for _ in range(draw(st.integers(1, 30)))
        ]
        for _ in range(draw(st.integers(0, 6))):
            if made and draw(st.booleans()):
                records.append(unmerge(made.pop(draw(st.integers(0, len(made) - 1)))))
            else:
                winner, loser = draw(st.sampled_from(USERS)), draw(st.sampled_from(USERS))
                records.append(merge(winner, loser))
                made.append(sequence + len(records))
        batches.append(Batch(records, now_ms))
        sequence += len(records)
    return batches


@pytest.mark.timeout(900)
@examples(15)
@given(
    strategies.histories(),
    st.tuples(cares, cares, cares),
    st.lists(strategies.queries(), min_size=1, max_size=5),
    st.lists(strategies.exports(), max_size=1),
)
def test_any_history_is_the_same_in_any_number_of_shards(history: Any, care: Any, questions: Any, exports: Any) -> None:
    run(history, care, questions, exports)


QUESTIONS = [
    {
        "kind": "trend",
        "event": {"event": None},
        "measures": ["total", "unique", {"sum": "price"}, {"mean": "n"}],
        "interval": "day",
    },
    {"kind": "trend", "event": "Charged", "measures": ["unique"], "breakdown": [{"property": "n"}], "limit": 3},
    {"kind": "funnel", "steps": ["Viewed", "Charged"], "window": "30d", "breakdown": [{"property": "n"}]},
    {"kind": "funnel", "steps": ["Viewed", "Charged"], "window": "30d", "order": "any_order", "count": "totals"},
    {"kind": "retention", "start": "Viewed", "return": "Charged", "interval": "week"},
    {"kind": "profiles", "where": {"did": "Viewed", "count": {"op": "ge", "value": 2}}},
    {"kind": "profiles", "where": {"did_not": "Charged"}, "limit": 5},
]
EXPORTS = [{"export": "events"}, {"export": "profiles"}]


@pytest.mark.timeout(900)
@examples(12)
@given(joined_histories(), st.tuples(cares, cares, cares))
def test_profiles_that_join_and_part_are_the_same_in_any_number_of_shards(history: Any, care: Any) -> None:
    run(history, care, QUESTIONS, EXPORTS)


@pytest.mark.timeout(900)
@examples(3)
@given(joined_histories(), st.tuples(cares, cares, cares))
def test_restarts_change_nothing_in_any_number_of_shards(history: Any, care: Any) -> None:
    run(history, care, QUESTIONS, EXPORTS, durable=True)


@pytest.mark.long
@pytest.mark.timeout(7_200)
@examples(25 * LONG)
@given(joined_histories(), st.tuples(cares, cares, cares))
def test_very_many_that_join_and_part(history: Any, care: Any) -> None:
    run(history, care, QUESTIONS, EXPORTS, durable=len(history) % 4 == 0)


def _users(count: int, name: str = "Seen") -> list[dict[str, Any]]:
    return [event(name, ids={"user_id": f"u{number}"}) for number in range(count)]


def test_background_merges_bring_every_joined_profile_home(tmp_path: Path) -> None:
    now_ms = T + 30 * DAY_MS
    with Store.open(tmp_path / "store", shards=4, background=False) as store:
        for number in range(30):
            store.append(_users(1_000), now_ms=T + number * DAY_MS)
        joins = [merge({"user_id": f"u{at}"}, {"user_id": f"u{at + 501}"}) for at in range(400)]
        store.seal()
        store.append(joins, now_ms=now_ms)
        assert store.memory()["split"]["count"] == 800
    with Store.open(tmp_path / "store") as store:
        store.seal()
        deadline = time.monotonic() + 60
        while store.memory()["split"]["count"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert store.memory()["split"]["count"] == 0
        spec = {"kind": "trend", "event": "Seen", "measures": ["total", "unique"], "interval": None}
        assert store.query(spec, now_ms=now_ms).rows() == [(30_000, 600)]


@pytest.mark.parametrize("shards", [-1, 0, 2, 3, 8, 32])
def test_another_number_of_shards_is_refused(shards: int, tmp_path: Path) -> None:
    with pytest.raises((InvalidRequest, TypeError)) as caught:
        Store.open(tmp_path / "store", shards=shards)
    if isinstance(caught.value, InvalidRequest):
        assert (caught.value.code, caught.value.path) == ("store.shards", "shards")


def test_the_directory_keeps_its_shards_until_another_number_is_given(tmp_path: Path) -> None:
    path = tmp_path / "store"
    manifest = path / "MANIFEST"
    with Store.open(path) as store:
        store.append(encode_batch(_users(10)), now_ms=T)
        digest = store.digest()
    assert "shards" not in manifest.read_text()
    for shards, kept in ((4, 4), (None, 4), (16, 16), (None, 16), (1, 1), (None, 1)):
        with Store.open(path, shards=shards) as store:
            assert store.digest() == digest
        found = [line for line in manifest.read_text().splitlines() if line.startswith("shards")]
        assert found == ([] if kept == 1 else [f"shards {kept}"])
