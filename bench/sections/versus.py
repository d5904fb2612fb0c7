"""Every question against every peer, one thread against two, and bytes per event."""

from collections.abc import Sequence
from pathlib import Path

from bench.report import Result
from bench.versus.harness import Timing, Worker, compare, report, scaling
from bench.versus.questions import POINT_READS, QUESTIONS

# How many times faster than a peer we must be, at 20 M events on two cores.
FLOORS = {
    "q1": {"chdb": 6.0, "duckdb": 9.0},
    "q2": {"chdb": 40.0, "polars": 8.0},
    "q3": {"chdb": 18.0, "duckdb": 13.0},
    "q4": {"chdb": 25.0},
    "q5": {"chdb": 12.0, "duckdb": 20.0, "polars": 7.0},
    "q6": {"chdb": 10.0, "duckdb": 25.0},
    "q7": {"chdb": 20.0, "polars": 13.0},
    "q8": {"chdb": 18.0, "polars": 6.0},
    "q9": {"chdb": 6.0, "duckdb": 3.5},
    "q10": {"chdb": 6.0},
    "q15": {"chdb": 12.0, "polars": 2.0},
}
NEVER_SLOWER = 1.0
SCALING_FLOORS = {"q2": 1.7}
SCALING_FLOOR = 1.8
BYTES_FLOOR = 22.0
OURS = "cdpstore"


def ratios(question: str, timings: dict[str, Timing]) -> list[Result]:
    """The peers' time over ours."""
    ours = timings[OURS].median_ms
    reads = POINT_READS if question == "q16" else 1
    told = ", ".join(f"{name} {timing.median_ms / reads:.3g} ms [{timing.form}]" for name, timing in timings.items())
    return [
        Result(
            f"{question} against {name}",
            timing.median_ms / ours,
            "x",
            FLOORS.get(question, {}).get(name, NEVER_SLOWER),
            note=f"{QUESTIONS[question]}: {told}" if index == 0 else "",
        )
        for index, (name, timing) in enumerate(item for item in timings.items() if item[0] != OURS)
    ]


def measure(folder: Path, *, engines: Sequence[str], questions: Sequence[str], runs: int) -> list[Result]:
    """Loads all engines, then asks. Raises when answers differ."""
    results: list[Result] = []
    workers: list[Worker] = []
    try:
        for name in engines:
            worker = Worker(name, folder)
            workers.append(worker)
            info = worker.info
            print(
                f"# {name}: {info['version']}, loaded in {info['seconds']:.1f} s, "
                f"resident +{info['resident'] / 2**20:.0f} MiB, {info['bytes_per_event']:.1f} B/event",
                flush=True,
            )
        for question in questions:
            timings = compare(workers, question, runs)
            print(report(question, timings), flush=True)
            if OURS in timings:
                results += ratios(question, timings)
        for worker in workers:
            if worker.name == OURS:
                results += threads(worker, questions)
                results.append(Result("memory", worker.info["bytes_per_event"], "B/event", BYTES_FLOOR, "lower"))
    finally:
        for worker in workers:
            worker.close()
    return results


def threads(worker: Worker, questions: Sequence[str]) -> list[Result]:
    """How much faster two threads are than one."""
    results = []
    for question in questions:
        if question == "q16":
            continue
        times = scaling(worker, question)
        floor = SCALING_FLOORS.get(question, SCALING_FLOOR) if question in FLOORS and times.two_ms >= 1.0 else None
        note = f"{times.one_ms:.2f}, {times.two_ms:.2f} ms"
        results.append(Result(f"{question} 1 to 2 threads", times.ratio, "x", floor, note=note))
    return results
