"""A client of bare sockets, for saying what a decent client never would."""

import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import msgpack

__all__ = ["Peer", "framed"]


def framed(*message: Any) -> bytes:
    """A frame around a msgpack array."""
    body: bytes = msgpack.packb(list(message))
    return len(body).to_bytes(4, "little") + body


class Peer:
    """A connection that sends and reads bytes as told."""

    def __init__(self, port: int, *, timeout_s: float = 20.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_all(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            self.send(frame)

    def hello(self, key: str) -> None:
        self.send(framed("hello", 0, 1, key))
        assert self.read()[:2] == ["reply", 0]

    def ask(self, *message: Any) -> list[Any]:
        self.send(framed(*message))
        return self.read()

    def read(self) -> list[Any]:
        """The next message. `EOFError` when the server hung up."""
        body: list[Any] = msgpack.unpackb(self._exactly(int.from_bytes(self._exactly(4), "little")))
        return body

    def is_closed(self) -> bool:
        """Whether the server hangs up, without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionError:
                more = b""
            if not more:
                raise EOFError
            data += more
        return data
