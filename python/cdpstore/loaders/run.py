"""The loop of a load: rows into numbered batches, a window of them on its way, and a mark on disk behind each window.

Nothing is loaded twice: batches have the numbers of a producer that is made of the file's content and the mapping, and
who takes them knows the numbers it took. The mark only saves the work of sending them again.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

import msgpack
import msgspec
import zstandard
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cdpstore.errors import InvalidRequest
from cdpstore.loaders.formats import Row, Source, format_of, reader_of
from cdpstore.loaders.targets import StoreTarget, Target
from cdpstore.model import LoadReport, Reject

__all__ = ["FileReport", "load_files", "state_folder"]

_BATCH_RECORDS: Final = 2_000
_BATCH_BYTES: Final = 4 << 20
_RECORD_BYTES: Final = 64 << 10
_WINDOW: Final = 16  # batches side by side
_REJECTS_SHOWN: Final = 20
_ENDS_BYTES: Final = 1 << 20


class FileReport(msgspec.Struct):
    """What became of the rows of all files. `resumed` came in by an earlier run."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    resumed: int = 0
    first_rejects: list[str] = []


class _Mark(msgspec.Struct):
    """How far a file is in."""

    place: int = 0
    number: int = 1
    rows: int = 0
    done: bool = False


class _Batch(msgspec.Struct):
    places: list[int]
    packed: bytes


def load_files(
    target: Target,
    files: Iterable[Path],
    *,
    mapping: Mapping[str, Any] | None = None,
    kind: str | None = None,
    rejects: Path | None = None,
    again: bool = False,
    state: Path | None = None,
    progress: Console | None = None,
) -> FileReport:
    """Sends every row of the files; raises `InvalidRequest` for a file or a mapping that cannot be meant.

    `kind`: the format, when the names do not tell. `rejects`: a file of NDJSON that each reject is added to, with file
    and line. `again`: also what an earlier run brought in (then only event ids keep rows from counting twice).
    """
    report = FileReport()
    with _Screen(progress) as screen, _Rejects(rejects, report) as refused:
        for path in files:
            _File(target, path, mapping, kind or format_of(path), state or state_folder(), again, report).load(
                screen, refused
            )
    return report


def state_folder() -> Path:
    """Where marks are kept."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "cdpstore" / "loads"


class _File:
    """One file on its way."""

    def __init__(
        self,
        target: Target,
        path: Path,
        mapping: Mapping[str, Any] | None,
        kind: str,
        state: Path,
        again: bool,
        report: FileReport,
    ) -> None:
        self._target = target
        self._path = path
        self._mapping = mapping
        self._kind = kind
        self._report = report
        self._name = _fingerprint(path, mapping, kind) + (os.urandom(8).hex() if again else "")
        self._producer = bytes.fromhex(self._name[:32]) if not again else os.urandom(16)
        self._mark_path = state / f"{self._name}.json"
        self._mark = _Mark() if again else _read_mark(self._mark_path)

    def load(self, screen: "_Screen", rejects: "_Rejects") -> None:
        """To the end of the file."""
        reader = reader_of(self._kind)
        with Source(self._path) as source:
            task = screen.begin(self._path.name, source.size_bytes)
            if self._kind == "parquet" and isinstance(self._target, StoreTarget):
                self._load_columns(self._target, source, screen, task, rejects)
                return
            self._report.resumed += self._mark.rows
            if self._mark.done:
                screen.show(task, source.size_bytes, self._report)
                return
            rows = _readable(reader.read(source, self._mapping, kind=self._kind, after=self._mark.place), self._path)
            for window in _windows(self._batches(rows, rejects)):
                self._send(window, rejects)
                screen.show(task, source.position, self._report)
            self._mark.done = True
            _write_mark(self._mark_path, self._mark)
            screen.show(task, source.size_bytes, self._report)

    def _load_columns(
        self, target: StoreTarget, source: Source, screen: "_Screen", task: TaskID | None, rejects: "_Rejects"
    ) -> None:
        """Parquet into a store of this process: no row becomes a Python object."""
        rows = reader_of("parquet").open_rows(source)  # type: ignore[attr-defined]
        before = FileReport(self._report.accepted, self._report.duplicates)

        def shown(loaded: LoadReport) -> None:
            self._report.accepted = before.accepted + loaded.accepted
            self._report.duplicates = before.duplicates + loaded.duplicates
            screen.show(task, 0, self._report)

        loaded = target.store.load(
            rows,
            self._mapping,
            name=f"file:{self._name}",
            now_ms=target.now_ms,
            on_progress=shown,
            on_reject=lambda reject: rejects.add(self._path, msgspec.structs.replace(reject, index=reject.index + 1)),
        )
        shown(loaded)
        self._report.resumed += loaded.resumed_rows
        screen.show(task, source.size_bytes, self._report)

    def _batches(self, rows: Iterable[Row], rejects: "_Rejects") -> Iterator[_Batch]:
        places: list[int] = []
        parts: list[bytes] = []
        size_bytes = 0
        for row in rows:
            packed = self._packed(row, rejects)
            if packed is None:
                continue
            places.append(row.place)
            parts.append(packed)
            size_bytes += len(packed)
            if len(parts) == _BATCH_RECORDS or size_bytes >= _BATCH_BYTES:
                yield _Batch(places, _array(parts))
                places, parts, size_bytes = [], [], 0
        if parts:
            yield _Batch(places, _array(parts))

    def _packed(self, row: Row, rejects: "_Rejects") -> bytes | None:
        if row.reject is not None:
            rejects.add(self._path, row.reject)
            return None
        try:
            packed: bytes = msgpack.packb(row.record, datetime=True)
        except (TypeError, ValueError, OverflowError) as error:
            rejects.add(
                self._path, Reject(row.place, "value.unsupported", "", "", f"values that records have: {error}")
            )
            return None
        if len(packed) > _RECORD_BYTES:
            rejects.add(
                self._path,
                Reject(row.place, "record.too_large", "", str(len(packed)), f"at most {_RECORD_BYTES} bytes"),
            )
            return None
        return packed

    def _send(self, window: list[_Batch], rejects: "_Rejects") -> None:
        acks = self._target.send([batch.packed for batch in window], self._producer, self._mark.number)
        for batch, ack in zip(window, acks, strict=True):
            self._mark.number += 1
            self._mark.place = batch.places[-1]
            self._mark.rows += len(batch.places)
            if ack is None:
                self._report.resumed += len(batch.places)
                continue
            self._report.accepted += ack.accepted
            self._report.duplicates += ack.duplicates
            for reject in ack.rejects:
                rejects.add(self._path, msgspec.structs.replace(reject, index=batch.places[reject.index]))
        _write_mark(self._mark_path, self._mark)


class _Rejects:
    """Where rejects go: the first few into the report, all into a file when there is one."""

    def __init__(self, path: Path | None, report: FileReport) -> None:
        self._path = path
        self._report = report
        self._file: TextIO | None = None

    def __enter__(self) -> "_Rejects":
        if self._path is not None:
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, path: Path, reject: Reject) -> None:
        """`reject.index` is the place in the file, from 1."""
        self._report.rejected += 1
        if len(self._report.first_rejects) < _REJECTS_SHOWN:
            where = f"{path.name}:{reject.index}: {reject.code} at {reject.path or 'the row'}"
            self._report.first_rejects.append(f"{where}: expected {reject.expected}")
        if self._file is not None:
            fields = {"code": reject.code, "path": reject.path, "value": reject.value, "expected": reject.expected}
            print(json.dumps({"file": str(path), "line": reject.index, **fields}), file=self._file)


class _Screen:
    """A bar a file on a terminal; nothing without one."""

    def __init__(self, console: Console | None) -> None:
        self._progress: Progress | None = None
        if console is not None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[rows]:,} accepted"),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> "_Screen":
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def begin(self, name: str, size_bytes: int) -> TaskID | None:
        """A new bar."""
        return None if self._progress is None else self._progress.add_task(name, total=size_bytes, rows=0)

    def show(self, task: TaskID | None, position: int, report: FileReport) -> None:
        """How far it is."""
        if self._progress is not None and task is not None:
            self._progress.update(task, completed=position, rows=report.accepted)


def _readable(rows: Iterator[Row], path: Path) -> Iterator[Row]:
    """The rows; a file that cannot be unpacked or read on is an error with its name. What came before is in."""
    try:
        yield from rows
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InvalidRequest("load.format", f"{path.name} cannot be read: {error}") from None


def _windows(batches: Iterable[_Batch]) -> Iterator[list[_Batch]]:
    window: list[_Batch] = []
    for batch in batches:
        window.append(batch)
        if len(window) == _WINDOW:
            yield window
            window = []
    if window:
        yield window


def _array(parts: list[bytes]) -> bytes:
    return bytes(msgpack.Packer().pack_array_header(len(parts))) + b"".join(parts)


def _fingerprint(path: Path, mapping: Mapping[str, Any] | None, kind: str) -> str:
    """The content by its size and both ends, what it is read as, and how it is cut."""
    size = path.stat().st_size
    digest = hashlib.sha256(json.dumps([size, kind, mapping, _BATCH_RECORDS, _BATCH_BYTES], sort_keys=True).encode())
    with path.open("rb") as file:
        digest.update(file.read(_ENDS_BYTES))
        file.seek(max(0, size - _ENDS_BYTES))
        digest.update(file.read(_ENDS_BYTES))
    return digest.hexdigest()


def _read_mark(path: Path) -> _Mark:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Mark)
    except (OSError, msgspec.MsgspecError):
        return _Mark()


def _write_mark(path: Path, mark: _Mark) -> None:
    """Whole or not at all; a mark that cannot be written costs only the work of sending again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(mark))
        beside.replace(path)
    except OSError:
        return
