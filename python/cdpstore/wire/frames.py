"""Frames out of a byte stream, and into it.

    stream := frame*
    frame  := length u32 little-endian · body (length bytes: one msgpack array)

A length over the limit is refused before a byte of the body is waited for: a header may say four gigabytes.
"""

from collections.abc import Iterator
from typing import Final

from cdpstore.errors import BadFrame

__all__ = ["FRAME_BYTES_MOST", "FrameReader", "frame"]

FRAME_BYTES_MOST: Final = (8 << 20) + (64 << 10)
"""A batch of 8 MiB and what goes around it."""

_HEADER: Final = 4
_COMPACT_AT: Final = 1 << 20


def frame(body: bytes) -> bytes:
    """The body with its length in front. Raises `BadFrame` when it is too long to send."""
    if len(body) > FRAME_BYTES_MOST:
        raise BadFrame("frame.too_large", f"a frame has at most {FRAME_BYTES_MOST} bytes, this has {len(body)}")
    return len(body).to_bytes(_HEADER, "little") + body


class FrameReader:
    """Collects received bytes and gives back whole bodies, in order.

    >>> reader = FrameReader()
    >>> reader.feed(frame(b"abc")[:5]); list(reader.bodies())
    []
    >>> reader.feed(b"bc" + frame(b"de")); list(reader.bodies())
    [b'abc', b'de']
    """

    def __init__(self, bytes_most: int = FRAME_BYTES_MOST) -> None:
        self.bytes_most = bytes_most
        """Of a body. A server takes little from a peer that it does not know yet."""
        self._buffer = bytearray()
        self._start = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes received and not yet given back."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Adds received bytes. Cost: one copy."""
        if self._start >= _COMPACT_AT or self._start == len(self._buffer):
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def bodies(self) -> Iterator[bytes]:
        """Whole bodies received so far. Raises `BadFrame` on a length over the limit; the stream is then lost."""
        while self.buffered_bytes >= _HEADER:
            begin = self._start + _HEADER
            length = int.from_bytes(self._buffer[self._start : begin], "little")
            if length > self.bytes_most:
                most = self.bytes_most
                raise BadFrame("frame.too_large", f"a frame has at most {most} bytes here, the header says {length}")
            if len(self._buffer) < begin + length:
                return
            with memoryview(self._buffer) as view:
                body = bytes(view[begin : begin + length])
            self._start = begin + length
            yield body
