"""The collector: each caller gets the outcome of its own batch, in whatever order they are asked for."""

import asyncio
from collections.abc import Awaitable, Callable

import msgpack
import pytest

from cdpstore.errors import BadFrame
from cdpstore.model import event
from cdpstore.server.executor import Executor
from cdpstore.server.ingest import Collector
from cdpstore.store import Store

NOW_MS = 1_700_000_000_000


def batch(count: int, *, padding: int = 0) -> bytes:
    packed: bytes = msgpack.packb(
        [event("A", ids={"user_id": f"u{n}"}, properties={"text": "x" * padding}) for n in range(count)]
    )
    return packed


def collecting(story: Callable[[Store, Collector], Awaitable[None]]) -> None:
    async def run() -> None:
        store, executor = Store.open(), Executor()
        collector = Collector(store, executor)
        try:
            async with asyncio.timeout(30):
                await story(store, collector)
        finally:
            collector.close()
            executor.close()
            store.close()

    asyncio.run(run())


def test_small_and_large_batches_get_their_own_acks() -> None:
    async def story(_: Store, collector: Collector) -> None:
        sizes = [1, 300, 2, 400, 3, 500] * 5
        tickets = [await collector.submit(batch(size, padding=200), now_ms=NOW_MS) for size in sizes]
        acks = [await collector.outcome(ticket) for ticket in reversed(tickets)]
        assert [ack.accepted for ack in reversed(acks)] == sizes
        sequences = [ack.sequence for ack in reversed(acks)]
        assert sequences == sorted(sequences)

    collecting(story)


def test_an_outcome_may_be_asked_for_after_it_came() -> None:
    async def story(store: Store, collector: Collector) -> None:
        ticket = await collector.submit(batch(3), now_ms=NOW_MS)
        while store.watermark < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (await collector.outcome(ticket)).accepted == 3

    collecting(story)


@pytest.mark.parametrize("count", [1, 400])
def test_a_caller_that_went_away_leaves_nothing_behind_and_its_batch_is_in(count: int) -> None:
    async def story(store: Store, collector: Collector) -> None:
        for _ in range(20):
            task = asyncio.create_task(collector.append(batch(count, padding=200), now_ms=NOW_MS))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        ack = await collector.append(batch(1), now_ms=NOW_MS)
        await asyncio.sleep(0.1)
        assert ack.accepted == 1
        assert (collector._waiting, collector._early, collector._ignored) == ({}, {}, set())
        assert store.stats().events == 20 * count + 1

    collecting(story)


def test_a_bad_batch_is_refused_to_its_caller_alone() -> None:
    async def story(_: Store, collector: Collector) -> None:
        async def bad() -> None:
            with pytest.raises(BadFrame):
                await collector.append(b"\xc1", now_ms=NOW_MS)

        good = [collector.append(batch(2), now_ms=NOW_MS) for _ in range(5)]
        acks = await asyncio.gather(bad(), *good, bad())
        assert [ack.accepted for ack in acks[1:-1] if ack is not None] == [2] * 5

    collecting(story)


def test_those_who_wait_for_changes_are_called_after_a_group() -> None:
    async def story(store: Store, collector: Collector) -> None:
        seen: list[int] = []
        collector.on_applied(lambda: seen.append(store.watermark))
        await collector.append(batch(5), now_ms=NOW_MS)
        assert seen
        assert seen[-1] == 5

    collecting(story)
