"""Point reads in this process, as Python objects."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.data import records, schema
from bench.report import Result
from bench.versus.engine import point_users
from cdpstore.store import Store

EVENTS = 3_000_000
FLOOR_US = 10.0


def median_us(read: Callable[[Any], Any], keys: list[Any], rounds: int = 25) -> float:
    """Median time of one read."""
    times = []
    for _ in range(rounds):
        for key in keys:
            began = time.perf_counter_ns()
            read(key)
            times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1e3


def measure(folder: Path) -> list[Result]:
    """Profile alone, with its newest events, and with all of them."""
    with Store.open() as store:
        for batch in records.trait_batches(folder):
            store.append(batch, wait="none", now_ms=schema.START_MS)
        for batch in records.event_batches(folder, limit=EVENTS):
            store.append(batch, wait="none", now_ms=schema.END_MS)
        store.flush()
        store.compact()
        keys = [{"user_id": records.user_text(user)} for user in point_users(folder)]
        events = statistics.median(len(store.profile(key, events={}, now_ms=schema.END_MS).events) for key in keys)  # type: ignore[union-attr]
        none, newest = {"limit": 0}, {"limit": 10, "newest_first": True}
        return [
            Result(
                "point read: identities and traits",
                median_us(lambda key: store.profile(key, events=none, now_ms=schema.END_MS), keys),
                "us",
                FLOOR_US,
                "lower",
            ),
            Result(
                "point read: with the 10 newest events",
                median_us(lambda key: store.profile(key, events=newest, now_ms=schema.END_MS), keys),
                "us",
            ),
            Result(
                "point read: with all events",
                median_us(lambda key: store.profile(key, events={}, now_ms=schema.END_MS), keys),
                "us",
                note=f"median {events:g} events",
            ),
        ]
