"""Batches in, acks back, one event descriptor for all: the loop is woken once for everything that a group
acknowledged."""

import asyncio
from collections.abc import Callable

from cdpstore.errors import CDPError
from cdpstore.model import Ack
from cdpstore.server.executor import Executor
from cdpstore.server.limits import INLINE_BATCH_BYTES
from cdpstore.store import Producer, Store

__all__ = ["Collector"]


class Collector:
    """Submits batches and gives each caller its ack. Everything on one event loop."""

    def __init__(self, store: Store, executor: Executor, *, tick_with_batches: bool = False) -> None:
        """`tick_with_batches`: a batch that moves time on brings its own tick first, as replays of history need."""
        self._store = store
        self._executor = executor
        self._waiting: dict[int, asyncio.Future[Ack]] = {}
        self._early: dict[int, Ack | CDPError] = {}
        self._ignored: set[int] = set()
        self._applied: list[Callable[[], None]] = []
        self._tick_with_batches = tick_with_batches
        self._ticked_ms = store.engine_ms
        self._descriptor = store.event_fd()
        asyncio.get_running_loop().add_reader(self._descriptor, self._take)

    def on_applied(self, call: Callable[[], None]) -> None:
        """Calls this after every group of acks: something may have changed."""
        self._applied.append(call)

    async def append(self, batch: bytes, *, now_ms: int, system: bool = False) -> Ack:
        """The ack of the batch: durable, applied and visible. Raises what decode or the log raised."""
        return await self.outcome(await self.submit(batch, now_ms=now_ms, system=system))

    async def submit(
        self,
        batch: bytes,
        *,
        producer: Producer | None = None,
        now_ms: int,
        source: str = "",
        system: bool = False,
    ) -> int:
        """A ticket for the batch, decoded and queued for the log: batches submitted one after the other stay in
        order."""
        if len(batch) <= INLINE_BATCH_BYTES:
            return self._submitted(self._submit(batch, producer, now_ms, source, system))
        work = asyncio.ensure_future(self._executor.decode(self._submit, batch, producer, now_ms, source, system))
        try:
            return self._submitted(await asyncio.shield(work))
        except asyncio.CancelledError:  # the batch goes in all the same; its ack is for nobody
            work.add_done_callback(self._nobody_waits)
            raise

    def ignore(self, ticket: int) -> None:
        """Nobody will ask for the outcome of this ticket."""
        if self._early.pop(ticket, None) is None:
            self._ignored.add(ticket)

    def outcome(self, ticket: int) -> asyncio.Future[Ack]:
        """The outcome of a ticket of `Store.submit*`, to be awaited."""
        future: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        early = self._early.pop(ticket, None)
        if early is None:
            self._waiting[ticket] = future
        elif isinstance(early, CDPError):
            future.set_exception(early)
        else:
            future.set_result(early)
        return future

    def close(self) -> None:
        """Stops listening; outcomes still waited for never come."""
        asyncio.get_running_loop().remove_reader(self._descriptor)

    def _submit(
        self, batch: bytes, producer: Producer | None, now_ms: int, source: str, system: bool
    ) -> tuple[int | None, int]:
        """Tickets of the tick before it, if any, and of the batch. In a thread when the batch is large."""
        tick = None
        if self._tick_with_batches and now_ms > self._ticked_ms:
            tick = self._store.submit_tick(now_ms)
            self._ticked_ms = now_ms
        return tick, self._store.submit(batch, producer=producer, now_ms=now_ms, source=source, system=system)

    def _submitted(self, tickets: tuple[int | None, int]) -> int:
        tick, ticket = tickets
        if tick is not None:
            self.ignore(tick)
        return ticket

    def _nobody_waits(self, work: asyncio.Future[tuple[int | None, int]]) -> None:
        if not work.cancelled() and work.exception() is None:
            self.ignore(self._submitted(work.result()))

    def _take(self) -> None:
        for ticket, outcome in self._store.poll():
            future = self._waiting.pop(ticket, None)
            if ticket in self._ignored:
                self._ignored.discard(ticket)
            elif future is None:
                self._early[ticket] = outcome  # applied before its coroutine went on
            elif future.cancelled():
                continue
            elif isinstance(outcome, CDPError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        for call in self._applied:
            call()
