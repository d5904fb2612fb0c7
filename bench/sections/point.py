"""Point reads in this process. What a read delivers is whole in Python when it returns: structs, dicts, nothing lazy.

(a) identities, traits and the history of the traits; (b) also the 10 newest events with their properties: what the
page of a profile shows; (c) also all other events. Each is measured on a hundred profiles read in turn, which the
caches hold, and on profiles drawn from all, where nearly all memory touched is cold. Then which of twenty live segments
a profile is in.
"""

import random
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.data import records, schema
from bench.report import Result
from bench.versus.engine import point_users
from bench.versus.engines.ours import fill
from cdpstore.store import Store

FLOOR_US = 10.0
SEGMENTS_FLOOR_US = 5.0
READS = 20_000
NONE: dict[str, Any] = {"limit": 0}
NEWEST: dict[str, Any] = {"limit": 10, "newest_first": True}
ALL: dict[str, Any] = {}


def key_of(user: int) -> dict[str, str]:
    """How the user is asked for."""
    return {"user_id": records.user_text(user)}


def in_turn(folder: Path) -> Iterator[dict[str, str]]:
    """The same hundred profiles, again and again."""
    keys = [key_of(user) for user in point_users(folder)]
    while True:
        yield from keys


def drawn(folder: Path) -> Iterator[dict[str, str]]:
    """Any profile of the store."""
    count = pq.ParquetFile(folder / "users.parquet").metadata.num_rows
    draw = random.Random(11)
    while True:
        yield key_of(draw.randrange(count))


def times_us(store: Store, keys: Iterator[dict[str, str]], events: dict[str, Any]) -> list[float]:
    """Microseconds of each read."""
    times = []
    for key in islice(keys, READS):
        began = time.perf_counter_ns()
        answer = store.profile(key, events=events, now_ms=schema.END_MS)
        times.append((time.perf_counter_ns() - began) / 1e3)
        assert answer is not None
        assert answer.identities
        assert len(answer.traits) == len(records.USER_TRAITS)
        assert len(answer.events) <= events.get("limit", len(answer.events))
    return times


def _segments() -> dict[str, dict[str, Any]]:
    """Twenty: event i at least 1 + i mod 4 times in the last 3, 7, 14, 30 or 60 days."""
    days = (3, 7, 14, 30, 60)
    return {
        f"segment {i}": {
            "did": schema.EVENTS[i],
            "window": {"last": days[i % 5] * schema.DAY_MS},
            "count": {"op": "ge", "value": 1 + i % 4},
        }
        for i in range(20)
    }


def segments_us(store: Store, keys: Iterator[dict[str, str]]) -> list[float]:
    """Microseconds of each answer to which of twenty segments a profile is in."""
    times = []
    for key in islice(keys, READS):
        began = time.perf_counter_ns()
        answer = store.segments_of(key, now_ms=schema.END_MS)
        times.append((time.perf_counter_ns() - began) / 1e3)
        assert answer is not None
    return times


def measure(folder: Path) -> list[Result]:
    """Median and p99 of every kind of read, in caches and out of them."""
    with Store.open() as store:
        fill(store, folder, records.event_batches(folder))
        results = []
        for whose, keys in (("100 profiles in turn", in_turn(folder)), ("any profile", drawn(folder))):
            for what, events, floor in (
                ("identities, traits, history", NONE, FLOOR_US),
                ("the same and the 10 newest events", NEWEST, FLOOR_US),
                ("the same and all events", ALL, None),
            ):
                taken = times_us(store, keys, events)
                p99 = statistics.quantiles(taken, n=100)[-1]
                results.append(
                    Result(
                        f"point read, {whose}: {what}",
                        statistics.median(taken),
                        "us",
                        floor,
                        "lower",
                        f"p99 {p99:.1f} us",
                    )
                )
        for name, segment in _segments().items():
            store.watch(name, segment, now_ms=schema.END_MS)
        for whose, keys in (("100 profiles in turn", in_turn(folder)), ("any profile", drawn(folder))):
            taken = segments_us(store, keys)
            p99 = statistics.quantiles(taken, n=100)[-1]
            name = f"the segments that a profile is in, of 20, {whose}"
            results.append(
                Result(name, statistics.median(taken), "us", SEGMENTS_FLOOR_US, "lower", f"p99 {p99:.1f} us")
            )
        return results
