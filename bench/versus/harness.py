"""Times engines beside each other: each holds its data warm in its own process, and the runs alternate (A B C A B C),
so that a drifting machine drifts for all. An engine's fastest form counts; answers must be equal."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

HOPELESS = 3.0  # a form slower than this times the best so far is not repeated


@dataclass
class Timing:
    """One engine on one question."""

    form: str
    digest: str
    head: str
    rows: int
    forms_ms: dict[str, float]
    runs_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.runs_ms)


class Worker:
    """The process of one engine."""

    def __init__(self, name: str, folder: Path) -> None:
        command = [sys.executable, "-m", "bench.versus.worker", name, str(folder.resolve())]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.info: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: exit {self.process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def ask(self, **message: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def choose_form(worker: Worker, question: str) -> Timing | None:
    """The engine's fastest form of a question, warmed up; None when it has no answer."""
    best: Timing | None = None
    forms_ms: dict[str, float] = {}
    for form in worker.ask(do="forms", question=question).get("forms", []):
        reply = worker.ask(do="run", question=question, form=form, check=True)
        if "error" in reply:
            print(f"  ! {worker.name} {form}: {reply['error']}", flush=True)
            continue
        spent = reply["ms"]
        if spent < HOPELESS * min(forms_ms.values(), default=spent):
            again = (worker.ask(do="run", question=question, form=form) for _ in range(2))
            spent = min(spent, *(run["ms"] for run in again))
        forms_ms[form] = spent
        if best is not None and best.digest != reply["digest"]:
            print(f"  ! {worker.name} {question}: its forms disagree: {best.head} {reply['head']}", flush=True)
        if spent == min(forms_ms.values()):
            best = Timing(form, reply["digest"], reply["head"], reply["rows"], forms_ms)
    return best


def compare(workers: Sequence[Worker], question: str, runs: int) -> dict[str, Timing]:
    """Timings of every engine that answers the question. Raises when the answers differ."""
    timings = {worker.name: best for worker in workers if (best := choose_form(worker, question))}
    for _ in range(runs):
        for worker in workers:
            if timing := timings.get(worker.name):
                reply = worker.ask(do="run", question=question, form=timing.form)
                timing.runs_ms.append(reply["ms"])
    if len({timing.digest for timing in timings.values()}) > 1:
        told = "\n".join(f"  {name}: {timing.rows} rows, {timing.head}" for name, timing in timings.items())
        raise AssertionError(f"{question}: the engines disagree\n{told}")
    return timings


SCALING_ROUNDS = 41


class Scaling(NamedTuple):
    """Median milliseconds with one thread and with two, and the median of what each round's pair tells."""

    one_ms: float
    two_ms: float
    ratio: float


def scaling(worker: Worker, question: str) -> Scaling:
    """Our engine with one thread and with two, a pair a round: a host that slows down for a while slows both of one."""
    pairs = [
        tuple(worker.ask(do="run", question=question, form=form)["ms"] for form in ("1 thread", "2 threads"))
        for _ in range(SCALING_ROUNDS)
    ]
    one, two = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Scaling(one, two, statistics.median(of_one / of_two for of_one, of_two in pairs))


def report(question: str, timings: dict[str, Timing], ours: str = "cdpstore") -> str:
    """One line: medians, minima, forms, and the peers' time over ours."""
    parts = [
        f"{name} {timing.median_ms:.2f} (min {min(timing.runs_ms):.2f}) ms [{timing.form}]"
        for name, timing in timings.items()
    ]
    if ours in timings:
        base = timings[ours].median_ms
        parts += [f"{name} {timing.median_ms / base:.1f}x" for name, timing in timings.items() if name != ours]
    return f"{question:4s} " + " | ".join(parts)
