"""The only clock of the service. Everything below is given its time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from cdpstore.server.limits import TICK_S

__all__ = ["now_ms", "run_ticks"]


def now_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


async def run_ticks(tick: Callable[[int], Awaitable[object]]) -> None:
    """Calls `tick(now_ms)` at every whole second, for ever; a late one is not made up for."""
    while True:
        await asyncio.sleep(TICK_S - time.time() % TICK_S)
        await tick(now_ms())
