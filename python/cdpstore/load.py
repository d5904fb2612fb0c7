"""Rows into a store from any library that writes Arrow: duckdb, polars, pandas, pyarrow.

A load is a run of batches like any others, logged and applied in order, so all that holds of `append` holds of it. A
load with a name can go on where it stopped: its batches are numbered under a producer of that name, and how far it came
is a definition in the store's own log. Batches sent again behind that mark get their acks again.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgpack

from cdpstore import _core
from cdpstore.errors import CDPError, InvalidRequest, from_core
from cdpstore.model import LoadReport, Reject

__all__ = ["KIND", "ArrowSource", "load_rows", "translated"]

KIND: Final = "load"
"""Definitions of this kind say how far a named load came: `{"rows", "number", "done"}`."""

_IN_FLIGHT: Final = 8  # batches: enough that decode, log and apply all have work
_MARK_EVERY: Final = 64  # batches; a producer's last 1,024 acks are kept, so no batch behind a mark is ever doubled
_REJECTS_KEPT: Final = 1_000


class ArrowSource(Protocol):
    """What has rows for Arrow readers."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def load_rows(
    engine: _core.Engine,
    rows: ArrowSource,
    mapping: Mapping[str, Any],
    *,
    now_ms: int,
    name: str | None,
    source: str,
    on_progress: Callable[[LoadReport], None] | None,
    on_reject: Callable[[Reject], None] | None,
) -> LoadReport:
    """Loads all rows; raises errors of the core for what cannot be read at all."""
    if not hasattr(rows, "__arrow_c_stream__"):
        hint = "; collect it first" if hasattr(rows, "collect") else ""
        raise InvalidRequest(
            "load.arrow.invalid", f"expected rows with __arrow_c_stream__, got {type(rows).__name__}{hint}", path="rows"
        )
    try:
        spec = msgpack.packb(dict(mapping))
    except (TypeError, ValueError) as error:
        raise InvalidRequest("load.mapping", f"expected a map of plain values: {error}", path="mapping") from None
    return _Load(engine, _core.Load(_stream(rows), spec), now_ms, name, source).run(on_progress, on_reject)


def _stream(rows: ArrowSource) -> object:
    """The stream of the rows; what their library says when it has none (of a byte-swapped column, of a closed file)."""
    try:
        return rows.__arrow_c_stream__()
    except CDPError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise InvalidRequest("load.arrow.invalid", f"the rows give no Arrow stream: {said}", path="rows") from error


class _Load:
    """One run. `number` is that of the next batch, from 1."""

    def __init__(self, engine: _core.Engine, rows: _core.Load, now_ms: int, name: str | None, source: str) -> None:
        self._engine = engine
        self._rows = rows
        self._now_ms = now_ms
        self._name = name
        self._source = source
        self._producer = hashlib.sha256(f"load:{name}".encode()).digest()[:16]
        self._number = 1
        self._waiting: deque[tuple[int, int, int]] = deque()  # ticket, first row, rows
        self._report = LoadReport()

    def run(
        self, on_progress: Callable[[LoadReport], None] | None, on_reject: Callable[[Reject], None] | None
    ) -> LoadReport:
        """Until the end, or the first error: then all that was sent is settled."""
        if self._is_done():
            return self._report
        try:
            while self._send():
                while len(self._waiting) >= _IN_FLIGHT:
                    self._settle(on_reject)
                if self._number % _MARK_EVERY == 0:
                    self._mark(done=False)
                if on_progress is not None:
                    on_progress(self._report)
            self._settle_all(on_reject)
        except BaseException as error:
            self._give_up(error, on_reject)
            raise
        finally:
            del self._rows  # the producer gets its memory back now, also when somebody keeps the error
        self._mark(done=True)
        if on_progress is not None:
            on_progress(self._report)
        return self._report

    def _is_done(self) -> bool:
        """Passes over what an earlier run brought in."""
        if self._name is None:
            return False
        marks = {name: body for kind, name, body in self._engine.definitions() if kind == KIND}
        if self._name not in marks:
            return False
        mark = msgpack.unpackb(marks[self._name])
        if mark["done"]:
            self._report = LoadReport(rows=mark["rows"], resumed_rows=mark["rows"])
            return True
        while self._number < mark["number"]:
            count = self._rows.skip()
            if count == 0:
                break
            self._number += 1
            self._report.rows += count
            self._report.resumed_rows += count
        return False

    def _send(self) -> bool:
        producer = None if self._name is None else (self._producer, 0, self._number)
        sent = self._engine.submit_rows(self._rows, self._now_ms, producer=producer, source=self._source)
        if sent is None:
            return False
        self._waiting.append(sent)
        self._number += 1
        return True

    def _settle(self, on_reject: Callable[[Reject], None] | None) -> None:
        ticket, first_row, count = self._waiting.popleft()
        sequence, accepted, duplicates, rejects = self._engine.wait(ticket)
        report = self._report
        report.rows += count
        report.accepted += accepted
        report.duplicates += duplicates
        report.rejected += len(rejects)
        report.sequence = max(report.sequence, sequence)
        for index, code, path, value, expected in rejects:
            reject = Reject(first_row + index, code, path, value, expected)
            if len(report.rejects) < _REJECTS_KEPT:
                report.rejects.append(reject)
            if on_reject is not None:
                on_reject(reject)

    def _settle_all(self, on_reject: Callable[[Reject], None] | None) -> None:
        while self._waiting:
            self._settle(on_reject)

    def _give_up(self, error: BaseException, on_reject: Callable[[Reject], None] | None) -> None:
        try:
            self._settle_all(on_reject)
            error.add_note(f"the {self._report.rows:,} rows before it are in the store")
        except Exception as second:  # the store itself failed: that is what `error` says, or what comes next will
            error.add_note(f"what became of the last rows is not known: {second}")

    def _mark(self, *, done: bool) -> None:
        if self._name is None:
            return
        waiting_rows = sum(count for _, _, count in self._waiting)
        body = {"rows": self._report.rows + waiting_rows, "number": self._number, "done": done}
        ticket = self._engine.submit_define(self._now_ms, KIND, self._name, msgpack.packb(body))
        self._engine.wait(ticket)


def translated(error: _core.CoreError) -> Exception:
    """An error of the core as ours, with what was noted on it."""
    ours = from_core(*error.args)
    for note in getattr(error, "__notes__", ()):
        ours.add_note(note)
    return ours
