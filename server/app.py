"""The service put together: store, door, clock, delivery, and how they start and stop."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
import uvloop

from cdpstore.errors import CDPError, Unavailable
from cdpstore.server.access import KeyFile
from cdpstore.server.clock import Clock, ReplayClock, SystemClock, run_ticks
from cdpstore.server.config import Config
from cdpstore.server.delivery import Dispatcher
from cdpstore.server.delivery.channels import Channel, EmailChannel, MessageLookup
from cdpstore.server.executor import Executor
from cdpstore.server.ingest import Collector
from cdpstore.server.tcp import Listener, Services
from cdpstore.store import Store

__all__ = ["serve"]

_log = structlog.get_logger("server")

_FIRST_KEY: Final = "first"

_PASSES: Final = ("log.space", "store.no_memory")  # refusals that end by themselves; others of the log do not


def serve(config: Config, *, started: Callable[[int, str | None], None]) -> None:
    """Runs until SIGTERM or SIGINT. `started(port, new_api_key)` is called once it listens; the key only when it is
    new."""
    uvloop.run(_serve(config, started))


async def _serve(config: Config, started: Callable[[int, str | None], None]) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout says the port, no more
    data = Path(config.server.data)
    keys = KeyFile(data / "keys")
    new_key = None if keys.names else keys.create(_FIRST_KEY, ("admin",))
    store = Store.open(data / "store", workers=config.store.workers, shards=config.store.shards)
    replay = config.server.clock == "batches"
    clock: Clock = ReplayClock(start_ms=store.engine_ms) if replay else SystemClock()
    executor = Executor()
    collector = Collector(store, executor, tick_with_batches=replay)
    channels = _channels(config)
    dispatcher = _dispatcher(store, collector, channels, clock)
    listener = Listener(Services(store, collector, executor, keys, clock))
    collector.on_applied(dispatcher.wake)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ticks = asyncio.create_task(_ticks(store, collector, clock) if not replay else stop.wait())
    ticks.add_done_callback(lambda task: _stop_on_failure(task, stop))
    dispatcher.start().add_done_callback(lambda task: _stop_on_failure(task, stop))
    started(await listener.start(config.server.host, config.server.port), new_key)
    await stop.wait()
    await listener.stop()
    ticks.cancel()
    with contextlib.suppress(asyncio.CancelledError, CDPError):
        await ticks
    await dispatcher.close()
    for channel in channels.values():
        await channel.close()
    collector.close()
    executor.close()
    store.close()


async def _ticks(store: Store, collector: Collector, clock: Clock) -> None:
    async def tick(now_ms: int) -> None:
        try:
            await collector.outcome(store.submit_tick(now_ms))
        except Unavailable as error:
            if error.code not in _PASSES:
                raise
            _log.warning("a tick was left out", reason=str(error))

    await run_ticks(clock, tick)


def _channels(config: Config) -> dict[str, Channel]:
    delivery = config.delivery
    if not delivery.smtp_host:
        return {}
    lookup = MessageLookup(delivery.lookup_url).found if delivery.lookup_url else None
    email = EmailChannel(delivery.smtp_host, delivery.smtp_port, message_domain=delivery.message_domain, lookup=lookup)
    return {"email": email}


def _dispatcher(store: Store, collector: Collector, channels: dict[str, Channel], clock: Clock) -> Dispatcher:
    async def define(kind: str, name: str, body: bytes) -> None:
        await collector.outcome(store.submit_define(kind, name, body, now_ms=clock.now_ms()))

    return Dispatcher(store, collector.append, define, channels, clock.now_ms)


def _stop_on_failure(task: asyncio.Task[Any], stop: asyncio.Event) -> None:
    """A log that failed never comes back in this process, nor does a bug go away: stop, so that a supervisor starts
    anew."""
    if not task.cancelled() and task.exception() is not None:
        _log.error("time or delivery broke off; stopping", exc_info=task.exception())
        stop.set()
