"""Where a load goes: a store of this process, or a server. Both take numbered batches and never the same one twice."""

from collections.abc import Sequence
from typing import Any, Protocol

from cdpstore.errors import Conflict
from cdpstore.model import Ack
from cdpstore.store import Store

__all__ = ["ClientTarget", "StoreTarget", "Target"]

_STALE = "producer.number.stale"


class Target(Protocol):
    """Takes batches of one producer with rising numbers; None for one that came in so long ago that its ack is gone."""

    def send(self, batches: Sequence[bytes], producer: bytes, first_number: int) -> list[Ack | None]: ...


class _Client(Protocol):
    """`cdpstore.client.Client`, as far as it is needed."""

    def append(
        self, batch: Any, *, now_ms: int | None = None, producer: tuple[bytes, int, int] | None = None
    ) -> Ack: ...
    def append_all(
        self, batches: Any, *, now_ms: int | None = None, producer: tuple[bytes, int, int] | None = None
    ) -> list[Ack]: ...


class StoreTarget:
    """A store of this process."""

    def __init__(self, store: Store, *, now_ms: int | None = None) -> None:
        self.store = store
        self.now_ms = now_ms

    def send(self, batches: Sequence[bytes], producer: bytes, first_number: int) -> list[Ack | None]:
        """One batch after the other."""
        return [self._send(batch, (producer, 0, first_number + at)) for at, batch in enumerate(batches)]

    def _send(self, batch: bytes, producer: tuple[bytes, int, int]) -> Ack | None:
        try:
            return self.store.append(batch, producer=producer, now_ms=self.now_ms)
        except Conflict as error:
            if error.code != _STALE:
                raise
            return None


class ClientTarget:
    """A server, the batches of a call side by side on the connection."""

    def __init__(self, client: _Client, *, now_ms: int | None = None) -> None:
        self._client = client
        self._now_ms = now_ms

    def send(self, batches: Sequence[bytes], producer: bytes, first_number: int) -> list[Ack | None]:
        """All at once; one by one when the server has seen some long ago."""
        try:
            acks = self._client.append_all(batches, now_ms=self._now_ms, producer=(producer, 0, first_number))
            return list[Ack | None](acks)
        except Conflict as error:
            if error.code != _STALE:
                raise
        return [self._send(batch, (producer, 0, first_number + at)) for at, batch in enumerate(batches)]

    def _send(self, batch: bytes, producer: tuple[bytes, int, int]) -> Ack | None:
        try:
            return self._client.append(batch, now_ms=self._now_ms, producer=producer)
        except Conflict as error:
            if error.code != _STALE:
                raise
            return None
