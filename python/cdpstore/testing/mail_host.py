"""A real SMTP server on localhost with an HTTP look-up beside it, as mail providers have: what tests and the demo
send to."""

import asyncio
import threading
import time
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from cdpstore.testing.server_process import free_port

__all__ = ["Mail", "MailHost"]


class Mail:
    """One accepted mail."""

    def __init__(self, to: str, message_id: str, subject: str, arrived_s: float) -> None:
        self.to = to
        self.message_id = message_id
        self.subject = subject
        self.arrived_s = arrived_s


class MailHost:
    """Accepts every mail and keeps it in order of arrival. Use as a context manager."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self._ids: set[str] = set()
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self.lookup_url = ""

    @property
    def smtp(self) -> str:
        """host:port of the SMTP server."""
        server = self._controller.server
        assert isinstance(server, asyncio.Server)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def wait_for(self, count: int, *, timeout_s: float) -> bool:
        """Waits until at least so many mails are there; False when the time is over."""
        end_s = time.monotonic() + timeout_s
        while len(self.mails) < count and time.monotonic() < end_s:
            time.sleep(0.005)
        return len(self.mails) >= count

    def __enter__(self) -> "MailHost":
        self._controller.start()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start_http(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._controller.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd for each mail."""
        arrived_s = time.perf_counter()
        assert isinstance(envelope.content, bytes)
        headers = dict(
            line.split(": ", 1) for line in envelope.content.decode().split("\r\n\r\n")[0].split("\r\n") if ": " in line
        )
        self.mails.append(Mail(envelope.rcpt_tos[0], headers["Message-ID"], headers.get("Subject", ""), arrived_s))
        self._ids.add(headers["Message-ID"])
        return "250 accepted"

    async def _start_http(self) -> None:
        app = web.Application()
        app.router.add_get("/messages", self._look_up)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        addresses: Any = self._runner.addresses
        self.lookup_url = f"http://127.0.0.1:{addresses[0][1]}/messages"

    async def _look_up(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.query["message_id"] in self._ids else 404)
