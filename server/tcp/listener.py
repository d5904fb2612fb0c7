"""Listens, and keeps what connections share."""

import asyncio
import ssl

from cdpstore.server.limits import CONNECTIONS_MOST
from cdpstore.server.tcp.connection import Connection
from cdpstore.server.tcp.services import Services

__all__ = ["Listener"]


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
        """Takes no new connections, lets running requests end, closes."""
        if self._server is not None:
            self._server.close()
        connections = list(self._connections)
        await asyncio.gather(*(connection.drain() for connection in connections))

    def _connection(self) -> Connection:
        return Connection(self._services, self._connections, refuse=len(self._connections) >= CONNECTIONS_MOST)

    def _push(self) -> None:
        for connection in self._connections:
            connection.push_transitions()
