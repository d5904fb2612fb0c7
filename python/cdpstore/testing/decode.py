"""Hostile msgpack as plain Python; nothing is lost that decides acceptance: repeated keys, broken UTF-8, binary, ext.

Maps come as `Pairs`, strings with surrogates where their bytes are no UTF-8, so that the rules in `records` can see it.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack

from cdpstore.errors import BadFrame
from cdpstore.testing.limits import LIMITS

__all__ = ["Pairs", "RawRecord", "decode", "is_utf8"]


class Pairs(list[tuple[Any, Any]]):
    """A map as sent, in order, repeats kept."""


class RawRecord(NamedTuple):
    """One element of the batch and how many bytes it took."""

    body: Any
    size_bytes: int


def decode(batch: bytes) -> list[RawRecord]:
    """The records of a batch; raises `BadFrame` when it cannot be read at all."""
    if len(batch) > LIMITS["kBatchBytes"]:
        raise BadFrame("batch.too_large", f"{len(batch)} bytes, at most {LIMITS['kBatchBytes']}")
    try:
        return list(_records(batch))
    except BadFrame:
        raise
    except (ValueError, msgpack.UnpackException) as error:
        raise BadFrame("batch.unreadable", str(error)) from error


def is_utf8(text: str) -> bool:
    """Whether the string's bytes were UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _records(batch: bytes) -> Iterator[RawRecord]:
    unpacker = msgpack.Unpacker(
        strict_map_key=False,
        object_pairs_hook=Pairs,
        unicode_errors="surrogateescape",
        timestamp=0,
        max_buffer_size=max(len(batch), 1),
    )
    unpacker.feed(batch)
    count = _array_size(unpacker, batch)
    if count > LIMITS["kBatchRecords"]:
        raise BadFrame("batch.too_many_records", f"{count} records, at most {LIMITS['kBatchRecords']}")
    for _ in range(count):
        before = unpacker.tell()
        body = unpacker.unpack()
        yield RawRecord(body, unpacker.tell() - before)
    if unpacker.tell() != len(batch):
        raise BadFrame("batch.unreadable", "bytes behind the array")


def _array_size(unpacker: Any, batch: bytes) -> int:
    lead = batch[0] if batch else None
    if lead is None or lead == 0xC1:
        raise BadFrame("batch.unreadable", "no msgpack")
    if not (0x90 <= lead <= 0x9F or lead in (0xDC, 0xDD)):
        raise BadFrame("batch.not_an_array", "a batch is an array of records")
    size = unpacker.read_array_header()
    assert isinstance(size, int)
    return size
