"""Listens, and keeps what connections share."""

import asyncio
import contextlib
import ssl
from typing import Final

from cdpstore.server.limits import CANCELLED_S, CONNECTIONS_MOST, DRAIN_S
from cdpstore.server.tcp.connection import Connection
from cdpstore.server.tcp.services import Services

__all__ = ["Listener"]

_LOOK_AGAIN_S: Final = 0.01


class Listener:
    """The open port and its connections."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        services.collector.on_applied(self._push)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listens; returns the port, which is a free one when 0 was asked for."""
        self._server = await asyncio.get_running_loop().create_server(self._connection, host, port, ssl=tls)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Takes no new connections, gives running requests `DRAIN_S`, then cancels queries, then hangs up."""
        if self._server is not None:
            self._server.close()
        draining = [asyncio.create_task(connection.drain()) for connection in list(self._connections)]
        if draining:
            await asyncio.wait(draining, timeout=DRAIN_S)
        self._services.store.cancel_queries()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCELLED_S):
                await asyncio.gather(*draining)
                while self._connections:  # what was written is still on its way
                    await asyncio.sleep(_LOOK_AGAIN_S)
        for connection in list(self._connections):
            connection.hang_up()

    def _connection(self) -> Connection:
        return Connection(self._services, self._connections, refuse=len(self._connections) >= CONNECTIONS_MOST)

    def _push(self) -> None:
        for connection in self._connections:
            connection.push_transitions()
