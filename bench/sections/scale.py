"""Time and memory per event as the store grows: the same questions at this size and at the next, asked in turn."""

import statistics
from pathlib import Path

from bench.data import generate
from bench.report import Result
from bench.versus.harness import Worker

NEXT = {"tiny": "small", "small": "full", "full": "large"}
QUESTIONS = ["q2", "q3", "q5", "q7", "q9"]
FORM = "2 threads"
RUNS = 15
FLOOR = 1.1  # time per event of the larger beside the smaller


def measure(folder: Path) -> list[Result]:
    """One result a question; nothing at the largest size."""
    if folder.name not in NEXT:
        return []
    sizes = (folder.name, NEXT[folder.name])
    workers = []
    try:
        for size in sizes:
            workers.append(Worker("cdpstore", generate.ensure(size)))
        results = [compare(workers, sizes, question) for question in QUESTIONS]
        for size, worker in zip(sizes, workers, strict=True):
            note = f"{worker.info['bytes_per_event']:.1f} B/event, resident +{worker.info['resident'] / 2**20:,.0f} MiB"
            rate = generate.SIZES[size].events / worker.info["seconds"] / 1e6
            results.append(Result(f"load of {size}", rate, "M events/s", note=note))
        return results
    finally:
        for worker in workers:
            worker.close()


def compare(workers: list[Worker], sizes: tuple[str, str], question: str) -> Result:
    """Milliseconds per million events of both, and how much more the larger takes."""
    for worker in workers:
        worker.ask(do="run", question=question, form=FORM)
    times: list[list[float]] = [[], []]
    for _ in range(RUNS):
        for runs, worker in zip(times, workers, strict=True):
            runs.append(worker.ask(do="run", question=question, form=FORM)["ms"])
    medians = [statistics.median(runs) for runs in times]
    events = [generate.SIZES[size].events for size in sizes]
    per_event = [median / count for median, count in zip(medians, events, strict=True)]
    note = ", ".join(f"{count / 1e6:g} M: {median:.2f} ms" for median, count in zip(medians, events, strict=True))
    return Result(f"{question} per event as events grow", per_event[1] / per_event[0], "x", FLOOR, "lower", note=note)
