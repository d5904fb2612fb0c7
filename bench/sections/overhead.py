"""What one query call costs when there is nothing to compute."""

import statistics
import time
from pathlib import Path

from bench.data import schema
from bench.report import Result
from cdpstore.store import Store

FLOOR_US = 30.0
CALLS = 2_000


def measure(folder: Path) -> list[Result]:  # noqa: ARG001 - every section is called alike
    """A trend over a store of one event, from Python and back."""
    event = {"type": "event", "name": "Charged", "ids": {"user_id": "u1"}, "time_ms": schema.START_MS}
    spec = {"kind": "trend", "event": "Charged", "interval": None}
    with Store.open() as store:
        store.append([event], now_ms=schema.END_MS)
        assert store.query(spec, now_ms=schema.END_MS).rows() == [(1,)]
        times_us = []
        for _ in range(CALLS):
            began = time.perf_counter_ns()
            store.query(spec, now_ms=schema.END_MS)
            times_us.append((time.perf_counter_ns() - began) / 1e3)
    return [Result("overhead of a query call", statistics.median(times_us), "us", FLOOR_US, "lower")]
