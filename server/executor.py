"""Where engine calls that take longer than a point read wait, so that the loop never does."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from cdpstore.server.limits import DECODE_THREADS, QUERY_THREADS

__all__ = ["Executor"]

_T = TypeVar("_T")


class Executor:
    """Two small pools: a long query never delays the decoding of a batch."""

    def __init__(self) -> None:
        self._decode = ThreadPoolExecutor(DECODE_THREADS, "decode")
        self._query = ThreadPoolExecutor(QUERY_THREADS, "query")

    async def decode(self, call: Callable[..., _T], *args: Any) -> _T:
        """Runs a call of the ingest path in its pool."""
        return await asyncio.get_running_loop().run_in_executor(self._decode, call, *args)

    async def query(self, call: Callable[..., _T], *args: Any) -> _T:
        """Runs a question in its pool."""
        return await asyncio.get_running_loop().run_in_executor(self._query, call, *args)

    def close(self) -> None:
        """Waits for what is running."""
        self._decode.shutdown()
        self._query.shutdown()
