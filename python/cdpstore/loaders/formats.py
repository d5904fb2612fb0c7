"""Which formats there are, and how a file's bytes are unpacked. A format is a module with `read`; this is the list."""

import dataclasses
import gzip
import importlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Protocol, cast

import zstandard

from cdpstore.errors import InvalidRequest
from cdpstore.model import Reject

__all__ = ["FORMATS", "PACKINGS", "Reader", "Row", "Source", "format_of"]

FORMATS: Final = {
    "ndjson": "cdpstore.loaders.ndjson",
    "csv": "cdpstore.loaders.csv_rows",
    "tsv": "cdpstore.loaders.csv_rows",
    "parquet": "cdpstore.loaders.parquet",
}
PACKINGS: Final = (".gz", ".zst")
_SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".parquet": "parquet", ".pq": "parquet"}
_NEEDS: Final = {"parquet": "pyarrow: pip install 'cdpstore[arrow]'"}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: `place` is its line (its row in Parquet), from 1. Without a record it is a reject already."""

    place: int
    record: Mapping[str, Any] | None
    reject: Reject | None = None


class Source:
    """A file being read, unpacked by its name; `position` is how many of its bytes on disk were taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = path.stat().st_size
        self._raw = path.open("rb")
        self._open: list[IO[Any]] = [self._raw]

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        for each in reversed(self._open):
            each.close()

    @property
    def position(self) -> int:
        """Bytes of the file taken so far."""
        return self._raw.tell()

    def bytes(self) -> BinaryIO:
        """The content, unpacked."""
        match self.path.suffix:
            case ".gz":
                unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw))
            case ".zst":
                unpacked = cast(BinaryIO, io.BufferedReader(_Zstd(self._raw), 1 << 20))
            case _:
                return self._raw
        self._open.append(unpacked)
        return unpacked

    def text(self) -> IO[str]:
        """The content as text with its line ends; bytes that are no UTF-8 become lone surrogates."""
        text = io.TextIOWrapper(self.bytes(), encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._open.append(text)
        return text


class _Zstd(io.RawIOBase):
    """Frames one behind the other. The library's own reader takes a file that was cut for one that ends."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_inside = False
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._is_inside = False
            packed = packed or self._raw.read(1 << 17)
            if not packed:
                if self._is_inside:
                    raise EOFError("it ends inside a frame")
                return 0
            self._is_inside = True
            self._ready = self._frame.decompress(packed)
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


class Reader(Protocol):
    """What a format's module has."""

    def read(self, source: Source, mapping: Mapping[str, Any] | None, *, kind: str, after: int) -> Iterator[Row]:
        """The rows behind place `after`. Raises `InvalidRequest` for a file that is not of this format at all."""


def format_of(path: Path) -> str:
    """The format by the file's name.

    >>> format_of(Path("events.csv.gz")), format_of(Path("x.parquet")), format_of(Path("x.ndjson"))
    ('csv', 'parquet', 'ndjson')
    """
    suffixes = [each for each in path.suffixes if each not in PACKINGS]
    last = suffixes[-1] if suffixes else ""
    if last in (".csv", ".tsv"):
        return last[1:]
    if last in _SUFFIXES:
        return _SUFFIXES[last]
    raise InvalidRequest("load.format", f"no format is named by {path.name}: say which of {', '.join(FORMATS)}")


def reader_of(kind: str) -> Reader:
    """The module of a format; its library is asked for only now."""
    if kind not in FORMATS:
        raise InvalidRequest("load.format", f"expected one of {', '.join(FORMATS)}, got {kind}")
    try:
        return cast(Reader, importlib.import_module(FORMATS[kind]))
    except ImportError as error:
        raise InvalidRequest("load.format", f"{kind} needs {_NEEDS.get(kind, error.name)}") from None
