"""One connection: frames in, requests run, replies out. Batches of a connection enter the log in the order sent;
everything else runs beside them and answers when ready.

The socket is not read while `REQUESTS_IN_FLIGHT` requests run, nor while the peer does not read its replies; a peer
that goes on not reading for `STALLED_S` is dropped. Before hello a frame has `HELLO_BYTES` at most.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

import msgspec
import structlog

from cdpstore.errors import BadFrame, CDPError, InternalError, LimitExceeded, Unauthenticated
from cdpstore.model import Ack, StoreStats, Transition
from cdpstore.schema import SchemaPage, page_of
from cdpstore.server.access import Access
from cdpstore.server.limits import (
    HELLO_BYTES,
    HELLO_WITHIN_S,
    INLINE_EVENTS,
    PUSH_TRANSITIONS,
    REQUESTS_IN_FLIGHT,
    STALLED_S,
    WATCHES_MOST,
    WRITE_BUFFER_BYTES,
)
from cdpstore.server.tcp.definitions import checked_body
from cdpstore.server.tcp.services import Services
from cdpstore.wire import (
    FRAME_BYTES_MOST,
    PROTOCOL_VERSION,
    Append,
    Cancel,
    Define,
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
    fault_of,
    frame,
)

__all__ = ["Connection"]

_log = structlog.get_logger("tcp")


class Connection(asyncio.Protocol):
    """The protocol of asyncio, one object a socket."""

    def __init__(self, services: Services, connections: "set[Connection]", *, refuse: bool = False) -> None:
        self._services = services
        self._connections = connections  # those that are open; it puts itself in and takes itself out
        self._refuse = refuse
        self._frames = FrameReader(HELLO_BYTES)
        self._access: Access | None = None
        self._transport: asyncio.Transport | None = None
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._batches: asyncio.Queue[Append] = asyncio.Queue()
        self._batch_runner: asyncio.Task[None] | None = None
        self._acks: set[asyncio.Task[None]] = set()
        self._watches: dict[int, tuple[str, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._writable = True
        self._draining = False

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by class, only by its methods
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if self._refuse:
            self._fail(LimitExceeded("connections.too_many", "too many connections", retry_after_ms=1000))
            return
        self._connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(HELLO_WITHIN_S, self._late)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connections.discard(self)
        self._transport = None
        self._stop_timer()
        self._watches.clear()
        for task in (*self._requests.values(), *self._acks, *filter(None, [self._batch_runner])):
            task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._frames.feed(data)
        try:
            for body in self._frames.bodies():
                self._receive(decode_message(body))
        except CDPError as error:
            self._fail(error)

    def pause_writing(self) -> None:
        self._writable = False
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(STALLED_S, self.hang_up)
        self._throttle()

    def resume_writing(self) -> None:
        self._writable = True
        self._stop_timer()
        self._throttle()
        self.push_transitions()

    # ---- requests

    def _receive(self, message: Message) -> None:
        if message.id < 0 or message.id in self._requests:
            raise BadFrame("frame.id", f"the id {message.id} is negative or of a request that still runs")
        if self._access is None:
            self._hello(message)
        elif isinstance(message, Append):
            if self._allowed(message, "ingest"):
                self._enqueue(message)
        elif isinstance(message, Cancel):
            self._cancel(message)
        elif type(message) in _HANDLERS:
            self._start(message)
        else:
            raise BadFrame("frame.message", f"a client does not send {type(message).__name__} here")

    def _allowed(self, message: Message, right: Any) -> bool:
        assert self._access is not None
        try:
            self._access.require(right)
        except CDPError as error:
            self._send(fault_of(message.id, error))
            return False
        return True

    def _hello(self, message: Message) -> None:
        if not isinstance(message, Hello):
            raise Unauthenticated("access.hello.missing", "the first frame of a connection is hello")
        if message.version != PROTOCOL_VERSION:
            raise BadFrame("frame.version", f"this server speaks version {PROTOCOL_VERSION}, not {message.version}")
        self._access = self._services.keys.check(message.api_key)
        self._frames.bytes_most = FRAME_BYTES_MOST
        self._stop_timer()
        self._send(Reply(message.id, {"version": PROTOCOL_VERSION}))

    def _cancel(self, message: Cancel) -> None:
        task = self._requests.get(message.request_id)
        if task is not None:
            task.cancel()
        watched = self._watches.pop(message.request_id, None)
        self._send(Reply(message.id, task is not None or watched is not None))

    def _enqueue(self, message: Append) -> None:
        self._batches.put_nowait(message)
        if self._batch_runner is None or self._batch_runner.done():
            self._batch_runner = asyncio.create_task(self._run_batches())
        self._throttle()

    async def _run_batches(self) -> None:
        while not self._batches.empty():
            message = self._batches.get_nowait()
            try:
                ticket = await self._services.collector.submit(
                    message.batch,
                    producer=message.producer,
                    now_ms=self._services.clock.batch_ms(message.now_ms),
                )
            except Exception as error:  # whatever it is, the batches behind it are still to come
                self._send(fault_of(message.id, _told(error, message)))
                self._throttle()
                continue
            if self._transport is None:
                self._services.collector.ignore(ticket)
                continue
            task = asyncio.create_task(self._acknowledge(message, self._services.collector.outcome(ticket)))
            self._acks.add(task)
            task.add_done_callback(self._acknowledged)

    async def _acknowledge(self, message: Append, outcome: asyncio.Future[Ack]) -> None:
        try:
            ack = await outcome
        except Exception as error:
            self._send(fault_of(message.id, _told(error, message)))
        else:
            self._send(Reply(message.id, ack))

    def _acknowledged(self, task: asyncio.Task[None]) -> None:
        self._acks.discard(task)
        self._throttle()

    def _start(self, message: Message) -> None:
        task = asyncio.create_task(self._run(message))
        self._requests[message.id] = task
        task.add_done_callback(lambda _: self._ended(message.id))
        self._throttle()

    async def _run(self, message: Message) -> None:
        right, handler = _HANDLERS[type(message)]
        if not self._allowed(message, right):
            return
        try:
            self._send(Reply(message.id, await handler(self, message)))
        except Exception as error:
            self._send(fault_of(message.id, _told(error, message)))

    def _ended(self, request_id: int) -> None:
        self._requests.pop(request_id, None)
        self._throttle()

    async def _query(self, message: Query) -> bytes:
        services = self._services
        now_ms = services.clock.now_ms() if message.now_ms is None else message.now_ms
        spec = bytes(message.spec)
        return await services.executor.query(lambda: services.store.query(spec, now_ms=now_ms).to_msgpack())

    async def _profile(self, message: ReadProfile) -> bytes | None:
        now_ms = self._services.clock.now_ms() if message.as_of_ms is None else None
        when = {"now_ms": now_ms, "as_of_ms": message.as_of_ms}

        def read() -> bytes | None:
            answer = self._services.store.profile(message.ids, events=message.events, **when)
            return None if answer is None else answer.to_msgpack()

        limit = (message.events or {}).get("limit")
        if message.as_of_ms is None and isinstance(limit, int) and limit <= INLINE_EVENTS:
            return read()
        return await self._services.executor.query(read)

    async def _group(self, message: ReadGroup) -> bytes | None:
        answer = self._services.store.group(message.kind, message.group_id, now_ms=self._services.clock.now_ms())
        return None if answer is None else answer.to_msgpack()

    async def _segments_of(self, message: ReadSegments) -> tuple[str, ...] | None:
        return self._services.store.segments_of(message.ids, now_ms=self._services.clock.now_ms())

    async def _schema(self, message: ReadSchema) -> SchemaPage:
        return await self._services.executor.query(lambda: page_of(self._services.store.schema(), message.after))

    async def _define(self, message: Define) -> int:
        body = checked_body(message.kind, bytes(message.body))
        store = self._services.store
        ticket = store.submit_define(message.kind, message.name, body, now_ms=self._services.clock.now_ms())
        ack: Ack = await self._services.collector.outcome(ticket)
        return ack.sequence

    async def _watch(self, message: Watch) -> int:
        if len(self._watches) >= WATCHES_MOST and message.id not in self._watches:
            raise LimitExceeded("watches.too_many", f"a connection has at most {WATCHES_MOST} watches")
        self._services.store.transitions(message.after_cursor, 0)  # refuses a cursor that is gone
        self._watches[message.id] = (message.name, message.after_cursor)
        asyncio.get_running_loop().call_soon(self.push_transitions)
        return message.after_cursor

    async def _ping(self, _: Ping) -> None:
        return None

    async def _stats(self, _: Stats) -> StoreStats:
        services = self._services
        return await services.executor.query(services.store.stats)

    # ---- out

    def push_transitions(self) -> None:
        """Sends watchers what is new, as long as the peer reads."""
        for request_id, (name, cursor) in list(self._watches.items()):
            while self._writable:
                try:
                    rows = self._services.store.transitions(cursor, PUSH_TRANSITIONS)
                except CDPError as error:
                    del self._watches[request_id]
                    self._send(fault_of(request_id, error))
                    break
                if not rows:
                    break
                cursor = rows[-1].cursor
                self._watches[request_id] = (name, cursor)
                wanted = [_row(row) for row in rows if name in ("", row.segment)]
                if wanted:
                    self._send(Push(request_id, wanted))

    async def drain(self) -> None:
        """Reads nothing more, finishes what runs, closes."""
        if self._transport is None:
            return
        self._draining = True
        self._throttle()
        if self._batch_runner is not None:
            await asyncio.gather(self._batch_runner, return_exceptions=True)
        await asyncio.gather(*self._requests.values(), *self._acks, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def hang_up(self) -> None:
        """Ends it now, whatever runs."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, message: Message) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        body = encode_message(message)
        if len(body) > FRAME_BYTES_MOST:
            told = f"an answer has at most {FRAME_BYTES_MOST} bytes, this has {len(body)}: ask for less with limit"
            body = encode_message(fault_of(message.id, LimitExceeded("answer.too_large", told)))
        self._transport.write(frame(body))

    def _fail(self, error: CDPError) -> None:
        self._send(fault_of(-1, error))
        if self._transport is not None:
            self._transport.close()

    def _throttle(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        running = len(self._requests) + len(self._acks) + self._batches.qsize()
        blocked = self._draining or not self._writable
        if self._reading and (running >= REQUESTS_IN_FLIGHT or blocked):
            self._transport.pause_reading()
            self._reading = False
        elif not self._reading and running < REQUESTS_IN_FLIGHT // 2 and not blocked:
            self._transport.resume_reading()
            self._reading = True

    def _late(self) -> None:
        self._fail(Unauthenticated("access.hello.late", f"no hello within {HELLO_WITHIN_S:.0f} s"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _told(error: Exception, message: Message) -> CDPError:
    """What the peer is told: our errors as they are, a bug of ours by its name alone, with the trace in our own log."""
    if isinstance(error, CDPError):
        return error
    _log.error("a request met a bug", request=type(message).__name__, exc_info=error)
    return InternalError("internal", f"{type(error).__name__}: the server's log says more")


def _row(transition: Transition) -> tuple[Any, ...]:
    return msgspec.structs.astuple(transition)


_HANDLERS: Final[dict[type[Any], tuple[str, Callable[[Connection, Any], Awaitable[Any]]]]] = {
    Query: ("read", Connection._query),
    ReadProfile: ("read", Connection._profile),
    ReadGroup: ("read", Connection._group),
    ReadSegments: ("read", Connection._segments_of),
    ReadSchema: ("read", Connection._schema),
    Define: ("admin", Connection._define),
    Watch: ("read", Connection._watch),
    Ping: ("read", Connection._ping),
    Stats: ("read", Connection._stats),
}
