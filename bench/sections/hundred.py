"""A hundred million events in one store: a segment, a funnel and a retention, each answered from raw events."""

import statistics
import time
from pathlib import Path

from bench.data import records, schema
from bench.report import Result
from bench.versus.engines.ours import fill
from bench.versus.questions import QUESTIONS
from bench.versus.specs import SPECS
from cdpstore.store import Store

ASKED = ("q3", "q5", "q7")
RUNS = 9
FLOOR_MS = 1_000.0


def measure(folder: Path) -> list[Result]:
    """Milliseconds of each question; nothing at other sizes than `huge`."""
    if folder.name != "huge":
        return []
    with Store.open() as store:
        began = time.monotonic()
        fill(store, folder, records.event_batches(folder))
        seconds = time.monotonic() - began
        events = store.stats().events
        size_bytes = sum(part["size_bytes"] for part in store.memory().values())
        results = []
        for question in ASKED:
            times = []
            for _ in range(RUNS):
                asked = time.perf_counter()
                store.query(SPECS[question], now_ms=schema.END_MS)
                times.append((time.perf_counter() - asked) * 1e3)
            name = f"{question} over {events / 1e6:,.0f} M events"
            results.append(Result(name, statistics.median(times), "ms", FLOOR_MS, "lower", QUESTIONS[question]))
        note = f"profiles and event ids counted in; loaded and sorted in {seconds:,.0f} s"
        return [*results, Result("memory of the whole store", size_bytes / events, "B/event", note=note)]
