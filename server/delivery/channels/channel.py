"""What every channel offers."""

from typing import Protocol

from cdpstore.server.delivery.message import Message, Result

__all__ = ["Channel"]


class Channel(Protocol):
    """A provider behind one call. Never raises for what a provider does: that is a `Result`."""

    async def send(self, message: Message) -> Result:
        """One attempt."""
        ...

    async def was_sent(self, message_id: str) -> bool | None:
        """Whether the provider has the message already; None when it cannot be asked."""
        ...

    async def close(self) -> None:
        """Gives connections back."""
        ...
