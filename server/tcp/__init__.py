"""The msgpack door: frames over TCP (docs/wire.md)."""

from cdpstore.server.tcp.listener import Listener
from cdpstore.server.tcp.services import Services

__all__ = ["Listener", "Services"]
