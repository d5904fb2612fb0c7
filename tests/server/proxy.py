"""A TCP proxy between a client and a server that breaks connections when told to."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Self

from cdpstore.wire import FrameReader, Message, decode_message

__all__ = ["Proxy"]

Verdict = Callable[[Message], bool]


class Proxy:
    """Forwards both ways. `cut_before(message)` is asked for each frame of the server, before the client sees it: True
    closes the connection instead, so that the server did what it was asked and the client never learns."""

    def __init__(self, port: int, cut_before: Verdict) -> None:
        self.cuts = 0
        self.port = 0
        self._target = port
        self._cut_before = cut_before
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.create_task(self._forward(reader, server_writer, None)),
            asyncio.create_task(self._forward(server_reader, writer, FrameReader())),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, server_writer):
                end.transport.abort()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: FrameReader | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                if frames is not None and self._ends(frames, data):
                    self.cuts += 1
                    return
                writer.write(data)
                await writer.drain()

    def _ends(self, frames: FrameReader, data: bytes) -> bool:
        frames.feed(data)
        return any([self._cut_before(decode_message(body)) for body in frames.bodies()])
