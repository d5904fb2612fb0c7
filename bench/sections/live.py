"""Queries while 500,000 events a second arrive, against the same queries before and after."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.data import records, schema
from bench.report import Result
from bench.versus.specs import SPECS
from cdpstore.store import Store

RATE = 500_000
SHARE = 0.15  # of the events are held back and arrive live
QUESTIONS = ["q2", "q3", "q5", "q7", "q9"]
FLOOR = 1.5


class Stream(threading.Thread):
    """Appends batches at the rate until they end or it is told to stop."""

    def __init__(self, store: Store, batches: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.store, self.batches, self.sent = store, batches, 0
        self.stopping = threading.Event()

    def run(self) -> None:
        began = time.perf_counter()
        for batch in self.batches:
            early = began + self.sent / RATE - time.perf_counter()
            if self.stopping.wait(max(early, 0.0)):
                return
            self.store.append(batch, wait="none", now_ms=schema.END_MS)
            self.sent += records.BATCH_EVENTS


def medians(store: Store, going: Callable[[int], bool]) -> dict[str, float]:
    """Median milliseconds of each question, asked in turn while `going(round)`."""
    times: dict[str, list[float]] = {question: [] for question in QUESTIONS}
    for turn in itertools.count():
        if not going(turn):
            break
        for question in QUESTIONS:
            began = time.perf_counter()
            store.query(SPECS[question], now_ms=schema.END_MS)
            times[question].append((time.perf_counter() - began) * 1e3)
    return {question: statistics.median(runs) for question, runs in times.items()}


def measure(folder: Path) -> list[Result]:
    """Loads all but the last events, asks, streams these while asking, asks again."""
    batches = list(records.read_batches(records.batch_file(folder)))
    first_live = int(len(batches) * (1 - SHARE))
    with Store.open() as store:
        for batch in itertools.chain(records.trait_batches(folder), batches[:first_live]):
            store.append(batch, wait="none", now_ms=schema.END_MS)
        store.flush()
        store.compact()
        medians(store, lambda turn: turn < 2)
        quiet = medians(store, lambda turn: turn < 9)
        stream = Stream(store, batches[first_live:])
        began = time.perf_counter()
        stream.start()
        busy = medians(store, lambda turn: turn == 0 or stream.is_alive())
        stream.join()
        reached = stream.sent / (time.perf_counter() - began)
        store.flush()
        store.compact()
        after = medians(store, lambda turn: turn < 9)
    note = f"{reached / 1e3:.0f} k events/s arrived"
    return [
        Result(
            f"{question} while events arrive",
            busy[question] / max(quiet[question], after[question]),
            "x",
            FLOOR,
            "lower",
            note=f"{quiet[question]:.2f} before, {busy[question]:.2f} during, {after[question]:.2f} ms after; {note}",
        )
        for question in QUESTIONS
    ]
