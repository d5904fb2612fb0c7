"""The only clock of the service. Everything below is given its time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from cdpstore.server.limits import TICK_S

__all__ = ["Clock", "ReplayClock", "SystemClock", "run_ticks"]


class Clock(Protocol):
    """Where the service's time comes from."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        ...

    def batch_ms(self, asked_ms: int | None) -> int:
        """The received time of a batch that asked for one, or did not."""
        ...


class SystemClock:
    """The machine's."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

    def batch_ms(self, asked_ms: int | None) -> int:
        """Now, whatever was asked: a client does not set the clock of a live store."""
        del asked_ms
        return self.now_ms()


class ReplayClock:
    """Moves only with the batches: history replayed as if it happened now. Never goes back.

    >>> clock = ReplayClock(start_ms=5)
    >>> clock.batch_ms(9), clock.batch_ms(7), clock.now_ms()
    (9, 9, 9)
    """

    def __init__(self, *, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """The time of the newest batch."""
        return self._now_ms

    def batch_ms(self, asked_ms: int | None) -> int:
        """The time asked for, unless a later one was seen."""
        self._now_ms = max(self._now_ms, asked_ms or 0)
        return self._now_ms


async def run_ticks(clock: Clock, tick: Callable[[int], Awaitable[object]]) -> None:
    """Calls `tick(now_ms)` every second, for ever; a late one is not made up for. A second in which time stood still
    has none."""
    ticked_ms = -1
    while True:
        await asyncio.sleep(TICK_S - time.time() % TICK_S)
        if (now_ms := clock.now_ms()) > ticked_ms:
            await tick(now_ms)
            ticked_ms = now_ms
