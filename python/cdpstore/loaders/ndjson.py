"""Newline-delimited JSON, one record a line, plain or gzip: read, packed into batches, sent pipelined.

A line that is no JSON object is a reject with its line number and never the end of the load. Cost: bound by JSON in
Python,
about 0.3 M records a second.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgpack
import msgspec
from rich.console import Console

from cdpstore.model import Ack

__all__ = ["LoadReport", "load_files", "read_lines"]

_BATCH_RECORDS: Final = 2_000
_BATCHES_IN_FLIGHT: Final = 16
_REJECTS_SHOWN: Final = 20


class _Target(Protocol):
    def append_all(self, batches: Sequence[bytes], *, now_ms: int | None = None) -> list[Ack]: ...


class LoadReport(msgspec.Struct):
    """What became of the lines."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    first_rejects: list[str] = []


def load_files(target: _Target, files: Iterable[Path], *, progress: Console | None = None) -> LoadReport:
    """Sends every record of the files; returns counts and the first rejects, each with file and line."""
    report = LoadReport()
    for path in files:
        window: list[tuple[list[int], bytes]] = []
        for batch in _batches(path, report):
            window.append(batch)
            if len(window) == _BATCHES_IN_FLIGHT:
                _send(target, path, window, report)
                if progress is not None:
                    progress.print(f"{path.name}: {report.accepted:,} records", end="\r", highlight=False)
        _send(target, path, window, report)
    return report


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, line) of a file, gzip by its name."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
        yield from enumerate(lines, start=1)


def _batches(path: Path, report: LoadReport) -> Iterator[tuple[list[int], bytes]]:
    numbers: list[int] = []
    records: list[Any] = []
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            records.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _reject(report, f"{path.name}:{number}: not JSON: {error}")
            continue
        numbers.append(number)
        if len(records) == _BATCH_RECORDS:
            yield numbers, msgpack.packb(records)
            numbers, records = [], []
    if records:
        yield numbers, msgpack.packb(records)


def _send(target: _Target, path: Path, window: list[tuple[list[int], bytes]], report: LoadReport) -> None:
    acks = target.append_all([batch for _, batch in window])
    for (numbers, _), ack in zip(window, acks, strict=True):
        report.accepted += ack.accepted
        report.duplicates += ack.duplicates
        for reject in ack.rejects:
            where = f"{path.name}:{numbers[reject.index]}"
            _reject(report, f"{where}: {reject.code} at {reject.path or 'record'}: expected {reject.expected}")
    window.clear()


def _reject(report: LoadReport, line: str) -> None:
    report.rejected += 1
    if len(report.first_rejects) < _REJECTS_SHOWN:
        report.first_rejects.append(line)
