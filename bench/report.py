"""What was measured, beside its floor: the result, the table, the file."""

import json
import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


class Result(msgspec.Struct, frozen=True):
    """One figure. `floor` is what it must reach: at least, or at most when `better` is lower."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    better: Literal["higher", "lower"] = "higher"
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the floor is reached; None without one."""
        if self.floor is None:
            return None
        return self.value >= self.floor if self.better == "higher" else self.value <= self.floor


def show(results: Iterable[Result]) -> None:
    """The results as a table."""
    table = Table(title="cdpstore beside its floors")
    for heading, justify in (("what", "left"), ("value", "right"), ("floor", "right"), ("", "left"), ("note", "left")):
        table.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    for result in results:
        sign = ">=" if result.better == "higher" else "<="
        floor = "" if result.floor is None else f"{sign} {result.floor:g}"
        verdict = {None: "", True: "[green]holds[/]", False: "[red]below[/]"}[result.holds]
        if result.better == "lower" and result.holds is False:
            verdict = "[red]above[/]"
        table.add_row(result.name, f"{result.value:,.4g} {result.unit}", floor, verdict, result.note)
    Console(width=150).print(table)


def save(size: str, results: Iterable[Result]) -> Path:
    """The results as JSON, with when and where."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    taken = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = RESULTS / f"{taken}-{size}.json"
    rows = [msgspec.to_builtins(result) | {"holds": result.holds} for result in results]
    body = {
        "size": size,
        "taken": taken,
        "processor": processor(),
        "python": platform.python_version(),
        "results": rows,
    }
    path.write_text(json.dumps(body, indent=1) + "\n")
    return path


def processor() -> str:
    """The processor's name as Linux tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
