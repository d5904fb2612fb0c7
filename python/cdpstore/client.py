"""Clients of a cdpstore server: `AsyncClient` for event loops, `Client` for everything else. Both speak
`cdpstore.wire`.

A client is a producer: it numbers its batches, keeps each until its ack, and after a broken connection sends what was
not
acknowledged again under the same numbers, so nothing is lost and nothing is doubled. Requests are pipelined; replies
come in
any order.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import msgpack
import msgspec

from cdpstore.errors import CDPError, InvalidRequest, Unavailable
from cdpstore.model import Ack, Record, Reject, StoreStats, Transition, encode_batch
from cdpstore.rules import Rules
from cdpstore.schema import Schema, SchemaPage, joined
from cdpstore.table import GroupAnswer, ProfileAnswer, Table
from cdpstore.unpackable import refused
from cdpstore.wire import (
    PROTOCOL_VERSION,
    Append,
    Cancel,
    Define,
    Fault,
    FrameReader,
    Hello,
    Message,
    Ping,
    Push,
    Query,
    ReadGroup,
    ReadProfile,
    ReadSchema,
    ReadSegments,
    Reply,
    Stats,
    Watch,
    decode_message,
    encode_message,
    frame,
)
from cdpstore.writes import Writes

__all__ = ["AsyncClient", "Client"]

_T = TypeVar("_T")

_RECONNECT_DELAYS_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_IN_FLIGHT_MOST: Final = 256


class AsyncClient(Writes[Awaitable[Ack]], Rules[Awaitable[int]]):
    """One connection to a server, reconnecting. Use within one event loop."""

    def __init__(self, host: str, port: int, api_key: str, *, name: str = "", patience_s: float = 30.0) -> None:
        self._address = (host, port)
        self._api_key = api_key
        self._name = name
        self._patience_s = patience_s
        self._producer = secrets.token_bytes(16)
        self._next_id = 1
        self._next_number = 1
        self._waiting: dict[int, tuple[Message, asyncio.Future[Any]]] = {}
        self._pushes: dict[int, asyncio.Queue[list[Any]]] = {}
        self._window = asyncio.Semaphore(_IN_FLIGHT_MOST)
        self._connection: _Connection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        self._fatal: CDPError | None = None

    @classmethod
    async def connect(
        cls, host: str = "127.0.0.1", port: int = 7411, api_key: str = "", *, name: str = "", patience_s: float = 30.0
    ) -> Self:
        """A connected client. Raises `Unavailable` when nobody answers for `patience_s`, `Unauthenticated` for a bad
        key."""
        client = cls(host, port, api_key, name=name, patience_s=patience_s)
        client._runner = asyncio.create_task(client._run())
        try:
            await client._ready()
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; requests still waiting raise `Unavailable`."""
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner
            self._runner = None
        self._fail(Unavailable("client.closed", "the client was closed"))

    # ---- requests

    async def append(
        self,
        batch: bytes | Sequence[Mapping[str, Any]],
        *,
        now_ms: int | None = None,
        producer: tuple[bytes, int, int] | None = None,
    ) -> Ack:
        """Records into the store; returns when they are durable and visible. Resent until acknowledged.

        `producer`: (16 bytes, epoch, number) of a sender that may send the batch again from another connection.
        """
        packed = batch if isinstance(batch, bytes) else encode_batch(batch)
        if producer is None:
            producer = (self._producer, 1, self._next_number)
            self._next_number += 1
        request = Append(self._take_id(), packed, producer, now_ms)
        return _ack(await self._ask(request))

    def _write(self, records: Sequence[Record], now_ms: int | None) -> Awaitable[Ack]:
        return self.append(records, now_ms=now_ms)

    async def query(self, spec: Mapping[str, Any], *, now_ms: int | None = None) -> Table:
        """The answer to a query spec. Raises `BadQuery` with a path."""
        return Table.from_msgpack(await self._ask(Query(self._take_id(), _raw(spec), now_ms)))

    async def profile(
        self, ids: Mapping[str, str] | int, *, events: Mapping[str, Any] | None = None, as_of_ms: int | None = None
    ) -> ProfileAnswer | None:
        """One profile whole, as it is or as it was valid at `as_of_ms`; None when unknown."""
        wanted = ids if isinstance(ids, int) else dict(ids)
        which = None if events is None else dict(events)
        body = await self._ask(ReadProfile(self._take_id(), wanted, which, as_of_ms))
        return None if body is None else ProfileAnswer.from_msgpack(body)

    async def segments_of(self, ids: Mapping[str, str] | int) -> tuple[str, ...] | None:
        """Names of the live segments that a profile is in now, ascending; None when it is unknown."""
        wanted = ids if isinstance(ids, int) else dict(ids)
        names = await self._ask(ReadSegments(self._take_id(), wanted))
        return None if names is None else tuple(names)

    async def group(self, kind: str, group_id: str) -> GroupAnswer | None:
        """One group with its traits and their history, or None."""
        body = await self._ask(ReadGroup(self._take_id(), kind, group_id))
        return None if body is None else GroupAnswer.from_msgpack(body)

    async def define(self, kind: str, name: str, body: Mapping[str, Any] | None) -> int:
        """A definition into the log (`watch`, `campaign`, `retention`, `blocked`); None removes it. Returns its
        sequence."""
        sequence: int = await self._ask(Define(self._take_id(), kind, name, _raw(body)))
        return sequence

    def _define(self, kind: str, name: str, body: Mapping[str, Any] | None, now_ms: int | None) -> Awaitable[int]:
        if now_ms is not None:
            raise InvalidRequest("definition.invalid", "over the wire the server tells the time", path="now_ms")
        return self.define(kind, name, body)

    async def schema(self) -> Schema:
        """What has come in: event names, properties, traits, their types and volume; blocked names.

        One of many thousand names comes in pages, each as of its own newest batch; all up to `watermark` is in it.
        """
        pages: list[SchemaPage] = []
        while not pages or pages[-1].next is not None:
            after = pages[-1].next if pages else None
            pages.append(msgspec.convert(await self._ask(ReadSchema(self._take_id(), after)), SchemaPage))
        return joined(pages)

    async def ping(self) -> None:
        """Returns when the server has read everything sent before."""
        await self._ask(Ping(self._take_id()))

    async def stats(self) -> StoreStats:
        """How much the store holds: events, profiles, bytes."""
        return msgspec.convert(await self._ask(Stats(self._take_id())), StoreStats)

    async def transitions(self, name: str = "", after_cursor: int = 0) -> AsyncIterator[Transition]:
        """Entries and exits of a live segment (all of them when `name` is empty), from a cursor on, without end.

        After a broken connection it goes on from the last one seen.
        """
        cursor = after_cursor
        while True:
            request_id = self._take_id()
            pushes = self._pushes[request_id] = asyncio.Queue()
            try:
                await self._ask(Watch(request_id, name, cursor))
                while (rows := await pushes.get()) is not _LOST:
                    for row in rows:
                        transition = Transition(*row)
                        cursor = transition.cursor
                        yield transition
            finally:
                del self._pushes[request_id]
                self._give_up(request_id)

    # ---- machinery

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _give_up(self, request_id: int) -> None:
        """Tells the server that nobody waits any more; there is nothing to wait for."""
        if self._connection is not None:
            self._connection.tell(Cancel(self._take_id(), request_id))

    async def _ready(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._connected.wait()
        except TimeoutError:
            host, port = self._address
            raise Unavailable("client.unreachable", f"no server answers at {host}:{port}") from None
        if self._fatal is not None:
            raise self._fatal

    async def _ask(self, request: Message) -> Any:
        async with self._window:
            await self._ready()
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._waiting[request.id] = (request, future)
            try:
                if self._connection is not None:
                    await self._connection.send(request)
                return await future
            finally:
                self._waiting.pop(request.id, None)

    async def _run(self) -> None:
        attempt = 0
        while self._fatal is None:
            try:
                self._connection = await _Connection.open(self._address, self._api_key, self._name)
                attempt = 0
                for request, _ in list(self._waiting.values()):
                    await self._connection.send(request)
                self._connected.set()
                await self._connection.read(self._receive)
            except CDPError as error:
                self._fail(error)
            except (OSError, EOFError):
                pass
            finally:
                if self._connection is not None:
                    self._connection.abort()
                    self._connection = None
            if self._fatal is None:
                self._connected.clear()
                for pushes in self._pushes.values():
                    pushes.put_nowait(_LOST)
                await asyncio.sleep(_RECONNECT_DELAYS_S[min(attempt, len(_RECONNECT_DELAYS_S) - 1)])
                attempt += 1

    def _receive(self, message: Message) -> None:
        if isinstance(message, Push):
            if message.id in self._pushes:
                self._pushes[message.id].put_nowait(message.transitions)
            return
        if isinstance(message, Fault) and message.id < 0:
            raise message.error()
        waiting = self._waiting.get(message.id)
        if waiting is None or waiting[1].done():
            return
        if isinstance(message, Reply):
            waiting[1].set_result(message.value)
        elif isinstance(message, Fault):
            waiting[1].set_exception(message.error())

    def _fail(self, error: CDPError) -> None:
        if self._fatal is None:
            self._fatal = error
        self._connected.set()
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(error)


_LOST: Final[list[Any]] = []


class _Connection:
    """A socket that said hello."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader()

    @classmethod
    async def open(cls, address: tuple[str, int], api_key: str, name: str) -> _Connection:
        reader, writer = await asyncio.open_connection(*address)
        connection = cls(reader, writer)
        await connection.send(Hello(0, PROTOCOL_VERSION, api_key, name))
        answers: list[Message] = []
        while not answers:
            await connection._read_some(answers.append)
        if isinstance(answers[0], Fault):
            connection.abort()
            raise answers[0].error()
        return connection

    async def send(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # the reader sees the end, and the request is sent again
            self.tell(message)
            await self._writer.drain()

    def tell(self, message: Message) -> None:
        self._writer.write(frame(encode_message(message)))

    async def read(self, receive: Callable[[Message], None]) -> None:
        while True:
            await self._read_some(receive)

    async def _read_some(self, receive: Callable[[Message], None]) -> None:
        data = await self._reader.read(1 << 18)
        if not data:
            raise EOFError
        self._frames.feed(data)
        for body in self._frames.bodies():
            receive(decode_message(body))

    def abort(self) -> None:
        self._writer.transport.abort()


class Client(Writes[Ack], Rules[int]):
    """`AsyncClient` for programs without an event loop: the same calls, blocking, safe from many threads."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 7411,
        api_key: str = "",
        *,
        name: str = "",
        patience_s: float = 30.0,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cdpstore-client", daemon=True)
        self._thread.start()
        try:
            self._client = self._wait(AsyncClient.connect(host, port, api_key, name=name, patience_s=patience_s))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and its thread. Closing again does nothing."""
        if not self._loop.is_closed():
            self._wait(self._client.close())
            self._stop()

    def append(
        self,
        batch: bytes | Sequence[Mapping[str, Any]],
        *,
        now_ms: int | None = None,
        producer: tuple[bytes, int, int] | None = None,
    ) -> Ack:
        """As `AsyncClient.append`."""
        return self._wait(self._client.append(batch, now_ms=now_ms, producer=producer))

    def _write(self, records: Sequence[Record], now_ms: int | None) -> Ack:
        return self.append(records, now_ms=now_ms)

    def append_all(
        self,
        batches: Sequence[bytes | Sequence[Mapping[str, Any]]],
        *,
        now_ms: int | None = None,
        producer: tuple[bytes, int, int] | None = None,
    ) -> list[Ack]:
        """Many batches pipelined over the connection, acks in the same order; `producer` is that of the first, the
        others have the numbers behind it."""

        def sent(at: int, batch: bytes | Sequence[Mapping[str, Any]]) -> Coroutine[Any, Any, Ack]:
            own = None if producer is None else (producer[0], producer[1], producer[2] + at)
            return self._client.append(batch, now_ms=now_ms, producer=own)

        async def gather() -> list[Ack]:
            return list(await asyncio.gather(*(sent(at, batch) for at, batch in enumerate(batches))))

        return self._wait(gather())

    def query(self, spec: Mapping[str, Any], *, now_ms: int | None = None) -> Table:
        """As `AsyncClient.query`."""
        return self._wait(self._client.query(spec, now_ms=now_ms))

    def profile(
        self, ids: Mapping[str, str] | int, *, events: Mapping[str, Any] | None = None, as_of_ms: int | None = None
    ) -> ProfileAnswer | None:
        """As `AsyncClient.profile`."""
        return self._wait(self._client.profile(ids, events=events, as_of_ms=as_of_ms))

    def segments_of(self, ids: Mapping[str, str] | int) -> tuple[str, ...] | None:
        """As `AsyncClient.segments_of`."""
        return self._wait(self._client.segments_of(ids))

    def group(self, kind: str, group_id: str) -> GroupAnswer | None:
        """As `AsyncClient.group`."""
        return self._wait(self._client.group(kind, group_id))

    def define(self, kind: str, name: str, body: Mapping[str, Any] | None) -> int:
        """As `AsyncClient.define`."""
        return self._wait(self._client.define(kind, name, body))

    def _define(self, kind: str, name: str, body: Mapping[str, Any] | None, now_ms: int | None) -> int:
        if now_ms is not None:
            raise InvalidRequest("definition.invalid", "over the wire the server tells the time", path="now_ms")
        return self.define(kind, name, body)

    def schema(self) -> Schema:
        """As `AsyncClient.schema`."""
        return self._wait(self._client.schema())

    def ping(self) -> None:
        """As `AsyncClient.ping`."""
        self._wait(self._client.ping())

    def stats(self) -> StoreStats:
        """As `AsyncClient.stats`."""
        return self._wait(self._client.stats())

    def _wait(self, work: Coroutine[Any, Any, _T] | Awaitable[_T]) -> _T:
        async def run() -> _T:
            return await work

        running = run()
        try:
            return asyncio.run_coroutine_threadsafe(running, self._loop).result()
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            running.close()
            if asyncio.iscoroutine(work):
                work.close()
            raise Unavailable("client.closed", "the client was closed") from None

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _raw(spec: Mapping[str, Any] | None) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgpack.packb(None if spec is None else dict(spec), datetime=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise refused(spec, error) from None


def _ack(value: Mapping[str, Any]) -> Ack:
    return Ack(
        sequence=value["sequence"],
        accepted=value["accepted"],
        duplicates=value["duplicates"],
        rejects=tuple(Reject(**reject) for reject in value["rejects"]),
    )
