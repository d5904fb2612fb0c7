"""Asking a provider whether it has a message, over HTTP."""

from typing import Final

import aiohttp

__all__ = ["MessageLookup"]

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class MessageLookup:
    """`GET url?message_id=<..>`: 200 means it has it, 404 that it has not."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def found(self, message_id: str) -> bool | None:
        """None when the provider gives no clear answer."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.get(self._url, params={"message_id": message_id}) as response,
            ):
                return {200: True, 404: False}.get(response.status)
        except (aiohttp.ClientError, TimeoutError):
            return None
