"""Data as real customers have it, beside the plain workload: how much more a load and each question takes, an event.

Every shape is as many events as the plain one of this section (at most `EVENTS_MOST`), loaded as Arrow columns into a
store of its own, brought into order, and asked the same four questions. Figures are ratios of time per event; the load
of more properties may cost in proportion to them.
"""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.data import generate, schema
from bench.process import processor_s, resident_bytes
from bench.report import Result
from cdpstore.model import encode_batch, merge
from cdpstore.store import Store

EVENTS_MOST = 2_000_000
RUNS = 9
NOW_MS = schema.END_MS
STEPS = ["Event 0", "Event 1", "Event 2"]
QUESTIONS: dict[str, dict[str, Any]] = {
    "active by day": {"kind": "trend", "event": {"event": None}, "measures": ["unique"], "interval": "day"},
    "sum by property": {
        "kind": "trend",
        "event": STEPS,
        "measures": [{"sum": "p0"}],
        "breakdown": [{"property": "p1"}],
    },
    "funnel": {"kind": "funnel", "steps": STEPS, "window": "7d"},
    "segment": {"kind": "profiles", "where": {"did": "Event 0", "count": {"op": "ge", "value": 3}}, "limit": 1},
}
IDLE_STORES = 1_000
IDLE_MEMORY, IDLE_DISK = 2.0, 4.0  # MB a store
PROPORTION = 1.5  # what a shape may cost beyond its share of data

Columns = dict[str, npt.NDArray[Any]]


class Shape:
    """Events as columns: whose, which, when, and the numbers of properties."""

    def __init__(self, events: int, *, names: int = 30, properties: int = 6, late: float = 0.01, seed: int = 1) -> None:
        draw = np.random.default_rng(seed)
        self.events, self.properties = events, properties
        self.people = max(100, events // 20)
        self.user = draw.integers(0, self.people, events)
        self.name = np.minimum(draw.integers(0, names, events), draw.integers(0, names, events))
        self.time = schema.START_MS + np.sort(draw.integers(0, schema.DAYS * schema.DAY_MS, events))
        is_late = draw.random(events) < late
        self.time[is_late] -= draw.integers(0, 28 * schema.DAY_MS, int(is_late.sum()))
        self.draw = draw

    def table(self, first: int, last: int) -> pa.Table:
        """Rows [first, last) in arrival order."""
        part = slice(first, last)
        columns: dict[str, Any] = {
            "user_id": pa.DictionaryArray.from_arrays(*_coded("u", self.user[part])),
            "event": pa.DictionaryArray.from_arrays(*_coded("Event ", self.name[part])),
            "time": pa.array(self.time[part], pa.int64()),
        }
        for number in range(self.properties):
            values = self.draw.integers(0, 50, last - first)
            if number % 3 == 1:
                columns[f"p{number}"] = pa.DictionaryArray.from_arrays(*_coded("value ", values))
            else:
                columns[f"p{number}"] = pa.array(values, pa.int64())
        return pa.table(columns)


def _coded(prefix: str, numbers: npt.NDArray[Any]) -> tuple[pa.Array, pa.Array]:
    different, codes = np.unique(numbers, return_inverse=True)
    return pa.array(codes.astype(np.int32)), pa.array([f"{prefix}{number}" for number in different])


class Measured:
    """What one shape took, an event."""

    def __init__(self, shape: Shape, after: Callable[[Store, Shape], None] | None = None) -> None:
        with Store.open() as store:
            self.load = 0.0
            for first in range(0, shape.events, 500_000):
                rows = shape.table(first, min(first + 500_000, shape.events))
                began = time.perf_counter()
                report = store.load(rows, now_ms=NOW_MS)
                self.load += time.perf_counter() - began
                assert report.accepted == rows.num_rows
            if after is not None:
                after(store, shape)
            began = time.perf_counter()
            store.compact()
            self.order = time.perf_counter() - began
            held = store.memory()["rows"]
            assert held["count"] == shape.events
            self.bytes = held["size_bytes"] / shape.events
            self.load /= shape.events
            self.asked = {name: _asked(store, spec) / shape.events for name, spec in QUESTIONS.items()}


def _asked(store: Store, spec: dict[str, Any]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        store.query(spec, now_ms=NOW_MS)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def join_a_tenth(store: Store, shape: Shape) -> None:
    """A tenth of everybody is one with somebody else."""
    half = shape.people // 2
    pairs = [(at, at + half) for at in range(shape.people // 10)]
    for first in range(0, len(pairs), 5_000):
        records = [
            merge({"user_id": f"u{one}"}, {"user_id": f"u{other}"}) for one, other in pairs[first : first + 5_000]
        ]
        ack = store.append(encode_batch(records), now_ms=NOW_MS)
        assert ack is not None
        assert not ack.rejects


def one_has_half(shape: Shape) -> Shape:
    """Half of the events are one profile's."""
    shape.user[::2] = 0
    return shape


def measure(folder: Path) -> list[Result]:
    """One result a shape and figure."""
    events = min(EVENTS_MOST, generate.SIZES[folder.name].events)
    plain = Measured(Shape(events))
    shapes: list[tuple[str, float, Measured]] = []
    for properties in (12, 50):
        shapes.append((f"{properties} properties", properties / 6, Measured(Shape(events, properties=properties))))
    shapes += [(f"{names:,} event names", 1.0, Measured(Shape(events, names=names))) for names in (200, 2_000)]
    shapes.append(("10 % merged", 1.0, Measured(Shape(events), join_a_tenth)))
    shapes.append(("10 % late", 1.0, Measured(Shape(events, late=0.1))))
    shapes.append((f"one profile with {events // 2:,} events", 1.0, Measured(one_has_half(Shape(events)))))
    results = [
        Result("plain: load", 1e-6 / plain.load, "M events/s", note=f"{plain.bytes:.1f} B/event"),
        *(Result(f"plain: {name}", value * 1e9, "ns/event") for name, value in plain.asked.items()),
    ]
    for name, share, shape in shapes:
        load, size = shape.load / plain.load, shape.bytes / plain.bytes
        note = f"{1e-6 / shape.load:.2f} M events/s, {size:.2f} x the bytes"
        results.append(Result(f"{name}: load an event", load, "x", share * PROPORTION, "lower", note))
        for question, value in shape.asked.items():
            ratio = value / plain.asked[question]
            results.append(
                Result(f"{name}: {question}", ratio, "x", PROPORTION, "lower", f"{value * 1e9:.2f} ns/event")
            )
    return results + idle_stores()


def idle_stores() -> list[Result]:
    """Durable stores of one event each, open in this process."""
    gc.collect()
    with tempfile.TemporaryDirectory() as directory:
        before = resident_bytes()
        stores = []
        try:
            for number in range(IDLE_STORES):
                store = Store.open(Path(directory) / str(number), workers=1)
                stores.append(store)
                store.append([{"type": "event", "name": "Seen", "ids": {"user_id": "u"}}], now_ms=NOW_MS)
            memory = (resident_bytes() - before) / 1e6 / IDLE_STORES
            disk = sum(file.stat().st_blocks * 512 for file in Path(directory).rglob("*")) / 1e6 / IDLE_STORES
            used = processor_s()
            time.sleep(2)
            share = (processor_s() - used) / 2
            began = time.perf_counter()
            stores[0].query(QUESTIONS["funnel"], now_ms=NOW_MS)
            asked_us = (time.perf_counter() - began) * 1e6
        finally:
            for store in stores:
                store.close()
    what = f"{IDLE_STORES:,} idle stores"
    return [
        Result(f"{what}: memory of each", memory, "MB", IDLE_MEMORY, "lower"),
        Result(f"{what}: disk of each", disk, "MB", IDLE_DISK, "lower"),
        Result(
            f"{what}: processor they take", share, "cores", 0.1, "lower", f"a question among them {asked_us:,.0f} us"
        ),
    ]
