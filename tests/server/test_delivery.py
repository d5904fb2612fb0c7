"""Delivery against a real SMTP server that fails as told: what is sent, tried again, given up, and said in the log."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from cdpstore.model import Ack, Event, event, traits
from cdpstore.server.delivery import Dispatcher
from cdpstore.server.delivery.channels import EmailChannel
from cdpstore.server.executor import Executor
from cdpstore.server.ingest import Collector
from cdpstore.store import Store
from cdpstore.testing.server_process import free_port

CAMPAIGN = {
    "segment": "buyers",
    "channel": "email",
    "from": "shop@example.test",
    "subject": "Thank you, {{ traits.name }}",
    "body": "{{ traits.orders }} orders.",
}
BUYERS = {"did": "Charged"}
RESULTS = {"names": ["Message Sent", "Message Failed"]}
BREAK = "break the connection after the data"


class ScriptedHost:
    """Answers `rcpt` and `data` from two scripts, then 250. Keeps the mails it took (also those it never answered)."""

    def __init__(self) -> None:
        self.rcpt: deque[str] = deque()
        self.data: deque[str] = deque()
        self.mails: list[str] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    def __enter__(self) -> "ScriptedHost":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def port(self) -> int:
        port: int = self._controller.port
        return port

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt.popleft() if self.rcpt else "250 fine"
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        answer = self.data.popleft() if self.data else "250 taken"
        if answer == BREAK or answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(envelope.content.decode())
        if answer == BREAK:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return answer


class Desk:
    """Store, collector and dispatcher in one loop, with a way to look at what became of the messages."""

    def __init__(self, host: ScriptedHost, lookup: Callable[[str], Awaitable[bool | None]] | None) -> None:
        self.store = Store.open()
        self.executor = Executor()
        self.collector = Collector(self.store, self.executor)
        self.channel = EmailChannel("127.0.0.1", host.port, lookup=lookup)
        self.lose_results = False
        self.dispatcher = self.begin()

    def begin(self) -> Dispatcher:
        """A dispatcher as a new process would have."""
        self.dispatcher = Dispatcher(
            self.store, self._append, self._define, {"email": self.channel}, now_ms, first_delay_s=0.02
        )
        self.collector.on_applied(self.dispatcher.wake)
        self.dispatcher.start()
        return self.dispatcher

    async def define(self, kind: str, name: str, body: dict[str, Any]) -> None:
        await self._define(kind, name, msgpack.packb(body))

    async def buy(self, user_id: str, **fields: Any) -> None:
        ids = {"user_id": user_id}
        fields = {"email": f"{user_id}@example.test", "name": user_id, "orders": 1, **fields}
        known = {key: value for key, value in fields.items() if value is not None}
        records = [traits(ids, set=known), event("Charged", ids=ids)]
        ack = await self.collector.append(msgpack.packb(records), now_ms=now_ms())
        assert ack.accepted == 2

    async def results(self, user_id: str) -> list[Event]:
        """The results in this person's timeline, once there are any."""
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            answer = self.store.profile({"user_id": user_id}, events=RESULTS)
            if answer is not None and answer.events:
                return list(answer.events)
            await asyncio.sleep(0.01)
        raise AssertionError(f"no result for {user_id}")

    async def close(self) -> None:
        await self.dispatcher.close()
        await self.channel.close()
        self.collector.close()
        self.executor.close()
        self.store.close()

    async def _append(self, batch: bytes, *, now_ms: int, system: bool) -> Ack:
        if self.lose_results and b"Message Queued" not in batch:
            await asyncio.Event().wait()  # the process dies before the result is in the log
        return await self.collector.append(batch, now_ms=now_ms, system=system)

    async def _define(self, kind: str, name: str, body: bytes) -> None:
        await self.collector.outcome(self.store.submit_define(kind, name, body, now_ms=now_ms()))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def deliver(
    story: Callable[[Desk, ScriptedHost], Awaitable[None]],
    *,
    lookup: Callable[[str], Awaitable[bool | None]] | None = None,
    **campaign: Any,
) -> None:
    async def run(host: ScriptedHost) -> None:
        desk = Desk(host, lookup)
        try:
            async with asyncio.timeout(60):
                await desk.define("watch", "buyers", BUYERS)
                await desk.define("campaign", "thanks", {**CAMPAIGN, **campaign})
                await story(desk, host)
        finally:
            await desk.close()

    with ScriptedHost() as host:
        asyncio.run(run(host))


def headers_of(mail: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in mail.split("\r\n\r\n")[0].split("\r\n"))


def test_a_mail_says_what_the_template_says() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        await desk.buy("ada", orders=3)
        (sent,) = await desk.results("ada")
        assert (sent.name, sent.properties["campaign"]) == ("Message Sent", "thanks")
        headers, body = headers_of(host.mails[0]), host.mails[0].split("\r\n\r\n")[1]
        assert (headers["Subject"], headers["To"], body.strip()) == ("Thank you, ada", "ada@example.test", "3 orders.")
        assert headers["Message-ID"] == f"<{sent.properties['message_id']}@cdpstore.local>"

    deliver(story)


def test_a_temporary_failure_is_tried_again_until_it_goes() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        host.rcpt.extend(["451 later", "450 busy"])
        host.data.extend(["452 full"])
        await desk.buy("ada")
        (sent,) = await desk.results("ada")
        assert sent.name == "Message Sent"
        assert len(host.mails) == 1

    deliver(story)


def test_a_temporary_failure_without_end_is_given_up_and_said() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        host.rcpt.extend(["451 later"] * 100)
        await desk.buy("ada")
        (failed,) = await desk.results("ada")
        assert (failed.name, failed.properties["reason"]) == ("Message Failed", "temporary")
        assert "451" in failed.properties["detail"]
        assert len(host.rcpt) == 94

    deliver(story)


@pytest.mark.parametrize("phase", ["rcpt", "data"])
def test_a_permanent_failure_is_not_tried_again(phase: str) -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        getattr(host, phase).append("550 no such mailbox")
        await desk.buy("ada")
        (failed,) = await desk.results("ada")
        assert (failed.name, failed.properties["reason"]) == ("Message Failed", "permanent")
        assert "550" in failed.properties["detail"]
        await desk.buy("bob")
        assert (await desk.results("bob"))[0].name == "Message Sent"
        assert len(host.mails) == 1

    deliver(story)


def test_nobody_at_the_smtp_port_is_temporary() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        desk.channel._port = free_port()
        await desk.buy("ada")
        (failed,) = await desk.results("ada")
        assert (failed.name, failed.properties["reason"]) == ("Message Failed", "temporary")
        assert host.mails == []

    deliver(story)


@pytest.mark.parametrize(
    "address",
    [None, "", 7, "nobody", "a@b\r\nBcc: c@d.test", "a@b.test, c@d.test", "<a@b.test>", "a@", "@", "é@b.test"],
)
def test_a_profile_without_an_address_fails_alone(address: Any) -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        await desk.buy("ada", email=address)
        await desk.buy("bob")
        (failed,) = await desk.results("ada")
        assert (failed.name, failed.properties["reason"]) == ("Message Failed", "permanent")
        assert (await desk.results("bob"))[0].name == "Message Sent"
        assert [headers_of(mail)["To"] for mail in host.mails] == ["bob@example.test"]

    deliver(story)


@pytest.mark.parametrize("name", ["x\r\nBcc: evil@example.test", "x\nBcc: evil@example.test", "x\rBcc: e@example.test"])
def test_a_trait_cannot_add_headers(name: str) -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        await desk.buy("ada", name=name)
        (failed,) = await desk.results("ada")
        assert (failed.name, failed.properties["reason"]) == ("Message Failed", "permanent")
        assert host.mails == []

    deliver(story)


@pytest.mark.parametrize(
    "subject",
    ["{{ traits.name | divided_by: 0 }}", "{% for i in (1..100000000) %}x{% endfor %}", "{% include 'secret' %}"],
)
def test_a_template_that_fails_at_work_fails_its_message_with_a_reason(subject: str) -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        await desk.buy("ada", name=3)
        (failed,) = await desk.results("ada")
        assert (failed.name, failed.properties["reason"]) == ("Message Failed", "permanent")
        assert "template.invalid" in failed.properties["detail"]
        assert host.mails == []

    deliver(story, subject=subject)


async def always(_: str) -> bool | None:
    return True


async def never(_: str) -> bool | None:
    return False


@pytest.mark.parametrize(
    ("lookup", "on_unknown", "result", "mails"),
    [
        (always, "drop", "Message Sent", 1),
        (never, "drop", "Message Sent", 2),
        (None, "drop", "Message Failed", 1),
        (None, "resend", "Message Sent", 2),
    ],
)
def test_a_connection_lost_after_the_data_is_settled_or_decided(
    lookup: Callable[[str], Awaitable[bool | None]] | None, on_unknown: str, result: str, mails: int
) -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        host.data.append(BREAK)
        await desk.buy("ada")
        (last,) = await desk.results("ada")
        assert (last.name, len(host.mails)) == (result, mails)
        assert len(desk.dispatcher.unknown) == (1 if result == "Message Failed" else 0)

    deliver(story, lookup=lookup, on_unknown=on_unknown)


@pytest.mark.parametrize(
    ("lookup", "on_unknown", "result", "mails"),
    [
        (always, "drop", "Message Sent", 1),
        (never, "drop", "Message Sent", 2),
        (None, "drop", "Message Failed", 1),
        (None, "resend", "Message Sent", 2),
    ],
)
def test_a_crash_before_the_result_is_settled_or_decided_by_the_next_process(
    lookup: Callable[[str], Awaitable[bool | None]] | None, on_unknown: str, result: str, mails: int
) -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        desk.lose_results = True
        await desk.buy("ada")
        while not host.mails:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        for task in list(desk.dispatcher._open.values()):
            task.cancel()  # the process is gone
        assert desk.dispatcher._runner is not None
        desk.dispatcher._runner.cancel()
        desk.lose_results = False
        desk.begin()
        (last,) = await desk.results("ada")
        assert (last.name, len(host.mails)) == (result, mails)
        if result == "Message Failed":
            assert last.properties["reason"] == "unknown"
            assert list(desk.dispatcher.unknown) == [last.properties["message_id"]]

    deliver(story, lookup=lookup, on_unknown=on_unknown)


def test_a_stop_between_two_attempts_puts_the_message_off_and_the_next_process_sends_it() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        desk.dispatcher._first_delay_s = 60
        host.rcpt.append("451 later")
        await desk.buy("ada")
        while host.rcpt:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await desk.dispatcher.close()
        desk.begin()
        (sent,) = await desk.results("ada")
        assert (sent.name, len(host.mails)) == ("Message Sent", 1)

    deliver(story)


def test_what_was_done_is_not_done_again_by_the_next_process() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        for number in range(30):
            await desk.buy(f"u{number}")
        for number in range(30):
            await desk.results(f"u{number}")
        await desk.dispatcher.close()
        desk.begin()
        await desk.buy("last")
        await desk.results("last")
        assert sorted(headers_of(mail)["To"] for mail in host.mails) == sorted(
            [*(f"u{number}@example.test" for number in range(30)), "last@example.test"]
        )

    deliver(story)


def test_a_definition_of_an_older_version_stops_no_other_campaign() -> None:
    async def story(desk: Desk, host: ScriptedHost) -> None:
        await desk.define("campaign", "broken", {"segment": "buyers", "unknown": 1})
        await desk.buy("ada")
        assert (await desk.results("ada"))[0].name == "Message Sent"
        assert len(host.mails) == 1

    deliver(story)
