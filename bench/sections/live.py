"""Queries while 500,000 events a second arrive, against the same queries before and after.

A query may take its floor times its quiet time, plus the share of the cores that the stream takes when nobody asks:
with 30 % of the cores taken, what a query needs of them lasts 1 / 0.7 times as long, whatever the engine does. That
share is a figure of its own; beside each ratio stands what is left of it without the share.
"""

import itertools
import os
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
FLOORS = {"q2": 1.5, "q3": 1.5, "q5": 2.0, "q7": 1.5, "q9": 1.5}  # beside the share of the stream
PAUSE_MS = 50.0


class Stream(threading.Thread):
    """Appends batches at the rate until they end or it is told to stop."""

    def __init__(self, store: Store, batches: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.store, self.batches, self.sent = store, batches, 0
        self.pause_ms = 0.0  # the longest append
        self.seconds = 0.0
        self.stopping = threading.Event()

    def run(self) -> None:
        began = time.perf_counter()
        for batch in self.batches:
            early = began + self.sent / RATE - time.perf_counter()
            if self.stopping.wait(max(early, 0.0)):
                return
            asked = time.perf_counter()
            self.store.append(batch, wait="none", now_ms=schema.END_MS)
            self.pause_ms = max(self.pause_ms, (time.perf_counter() - asked) * 1e3)
            self.sent += records.BATCH_EVENTS
            self.seconds = time.perf_counter() - began

    @property
    def rate(self) -> float:
        """Thousands of events a second that it reached."""
        return self.sent / self.seconds / 1e3


def share_of_cores(stream: Stream) -> float:
    """What the process takes of all cores while the stream runs alone: decode, apply, seal, merge."""
    took, began = time.process_time(), time.perf_counter()
    stream.start()
    stream.join()
    return (time.process_time() - took) / (time.perf_counter() - began) / (os.cpu_count() or 1)


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
    """Loads all but the last events, asks, streams half of these alone and half while asking, asks again."""
    batches = list(records.read_batches(records.batch_file(folder)))
    first_live = int(len(batches) * (1 - SHARE))
    first_asked = (first_live + len(batches)) // 2
    with Store.open() as store:
        for batch in itertools.chain(records.trait_batches(folder), batches[:first_live]):
            store.append(batch, wait="none", now_ms=schema.END_MS)
        store.flush()
        store.compact()
        medians(store, lambda turn: turn < 2)
        quiet = medians(store, lambda turn: turn < 9)
        share = share_of_cores(Stream(store, batches[first_live:first_asked]))
        stream = Stream(store, batches[first_asked:])
        stream.start()
        busy = medians(store, lambda turn: turn == 0 or stream.is_alive())
        stream.join()
        store.flush()
        store.compact()
        after = medians(store, lambda turn: turn < 9)
    return [
        Result("cores taken by 500 k events/s, nobody asking", 100 * share, "%"),
        Result("longest append while asked", stream.pause_ms, "ms", PAUSE_MS, "lower", f"{stream.rate:.0f} k events/s"),
        *(busy_result(question, quiet[question], busy[question], after[question], share) for question in QUESTIONS),
    ]


def busy_result(question: str, quiet: float, busy: float, after: float, share: float) -> Result:
    """How many times its quiet time a question takes; the floor has the share of the stream in it."""
    ratio = busy / max(quiet, after)
    floor = FLOORS[question]
    return Result(
        f"{question} while events arrive",
        ratio,
        "x",
        floor / (1 - share),
        "lower",
        note=f"{ratio * (1 - share):.2f} x without the share (floor {floor:g}); "
        f"{quiet:.2f} before, {busy:.2f} during, {after:.2f} ms after",
    )
