"""Events into the engine in this process: decoded, logged and synced, applied; with and without event ids."""

import tempfile
import time
from pathlib import Path

from bench.data import records, schema
from bench.report import Result
from cdpstore.store import Store

EVENTS = 3_000_000
RUNS = 3


def rate(batches: list[bytes], events: int, directory: Path | None) -> float:
    """Millions of events a second, from the first byte until all is durable and visible."""
    with Store.open(directory) as store:
        began = time.perf_counter()
        for batch in batches:
            store.append(batch, wait="none", now_ms=schema.END_MS)
        store.flush()
        seconds = time.perf_counter() - began
        ack = store.append([], now_ms=schema.END_MS)
        assert ack is not None
        assert ack.sequence >= events, f"{ack.sequence} of {events} records are in the store"
    return events / seconds / 1e6


def measure(folder: Path) -> list[Result]:
    """The best of the runs: neighbours only ever slow a run down."""
    results = []
    for name, event_ids, floor in (("without event ids", False, 2.0), ("with event ids", True, 1.2)):
        batches = list(records.event_batches(folder, limit=EVENTS, event_ids=event_ids))
        events = min(EVENTS, records.event_count(folder))
        for place in ("memory", "durable"):
            rates = []
            for _ in range(RUNS):
                with tempfile.TemporaryDirectory() as directory:
                    rates.append(rate(batches, events, Path(directory) / "store" if place == "durable" else None))
            shown = ", ".join(f"{each:.2f}" for each in rates)
            results.append(Result(f"append {name}, {place}", max(rates), "M events/s", floor, note=shown))
    return results
