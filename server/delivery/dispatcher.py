"""From transitions to messages. Entries of a campaign's segment are taken in cursor order; each becomes at most one
message.

    claim    `Message Queued` into the log, event_id = message_id: who gets it accepted owns the sending
    send     the channel, outside of any lock
    result   `Message Sent` or `Message Failed` into the log, event_id made of message_id and state
    put off  `Message Deferred` instead, when a stop comes between two attempts: certainly not sent, to be claimed anew
    cursor   `define("cursor", "delivery", {"after"})`: every entry up to it has its result

After a crash the entries behind the last cursor are taken again. A claim that is a duplicate without a result is
*unknown*: the channel is asked; if it cannot tell, the campaign's `on_unknown` decides, and either way it is said in
the log.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import msgpack
import structlog

from cdpstore.errors import CDPError
from cdpstore.model import Ack, Transition, event
from cdpstore.server.delivery.campaign import CAMPAIGN_KIND, Campaign, campaign_of
from cdpstore.server.delivery.channels import Channel
from cdpstore.server.delivery.message import Message, Outcome, Result, message_id_of
from cdpstore.server.delivery.render import Renderer
from cdpstore.server.limits import ATTEMPTS_S
from cdpstore.store import Store
from cdpstore.table import ProfileAnswer

__all__ = ["Append", "Define", "Dispatcher"]

_log = structlog.get_logger("delivery")

_READ_AT_ONCE: Final = 1_000
_IN_FLIGHT: Final = 64
_ATTEMPTS: Final = 6
_FIRST_DELAY_S: Final = 0.5
_CURSOR_KIND: Final = "cursor"
_CURSOR_NAME: Final = "delivery"
_UNKNOWN_KEPT: Final = 10_000
_QUEUED: Final = "Message Queued"
_SENT: Final = "Message Sent"
_FAILED: Final = "Message Failed"
_DEFERRED: Final = "Message Deferred"


class Append(Protocol):
    """A batch into the log; its ack."""

    async def __call__(self, batch: bytes, *, now_ms: int, system: bool) -> Ack: ...


class Define(Protocol):
    """A definition into the log."""

    async def __call__(self, kind: str, name: str, body: bytes) -> None: ...


class Dispatcher:
    """Sends what campaigns ask for. Owns its tasks; `close` ends them."""

    def __init__(
        self,
        store: Store,
        append: Append,
        define: Define,
        channels: Mapping[str, Channel],
        clock: Callable[[], int],
        *,
        first_delay_s: float = _FIRST_DELAY_S,
    ) -> None:
        self._store = store
        self._append = append
        self._define = define
        self._channels = channels
        self._clock = clock
        self._renderer = Renderer()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._open: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._done_cursor = 0
        self._saved_cursor = 0
        self._runner: asyncio.Task[None] | None = None
        self._first_delay_s = first_delay_s
        self._stopping = asyncio.Event()
        self._lost: set[int] = set()
        self._complained: set[str] = set()
        self.unknown: deque[str] = deque(maxlen=_UNKNOWN_KEPT)
        """Message ids that a crash left unknown and no channel could settle."""

    def start(self) -> asyncio.Task[None]:
        """Goes on behind the last saved cursor. The task ends only by `close` or by a bug."""
        for kind, name, body in self._store.definitions():
            if (kind, name) == (_CURSOR_KIND, _CURSOR_NAME):
                self._done_cursor = self._saved_cursor = int(body["after"])
        self._runner = asyncio.create_task(self._run())
        self._wake.set()
        return self._runner

    def wake(self) -> None:
        """Something was applied: look for transitions."""
        self._wake.set()

    async def close(self) -> None:
        """Gives attempts in flight `ATTEMPTS_S` to end, puts off those that would be tried again, saves the cursor."""
        self._stopping.set()
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner
        attempts = list(self._open.values())
        if attempts:
            _, late = await asyncio.wait(attempts, timeout=ATTEMPTS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)
        await self._save_cursor()

    async def _run(self) -> None:
        read_cursor = self._done_cursor
        while True:
            await self._wake.wait()
            self._wake.clear()
            campaigns = self._campaigns()
            if missing := self._missing_channels(campaigns):
                self._complain("campaigns wait: their channel is not configured", *sorted(missing))
                continue
            while rows := self._store.transitions(read_cursor, _READ_AT_ONCE):
                campaigns = self._campaigns()
                for row in rows:
                    await self._take(row, campaigns)
                read_cursor = rows[-1].cursor
            self._advance(read_cursor)
            if not self._open and self._done_cursor != self._saved_cursor:
                await self._save_cursor()

    def _campaigns(self) -> dict[str, list[tuple[str, Campaign]]]:
        out: dict[str, list[tuple[str, Campaign]]] = {}
        for kind, name, body in self._store.definitions():
            if kind != CAMPAIGN_KIND:
                continue
            try:
                campaign = campaign_of(body)
            except CDPError as error:  # of an older version of ours: the others go on
                self._complain("a campaign is left out", name, str(error))
            else:
                out.setdefault(campaign.segment, []).append((name, campaign))
        return out

    def _complain(self, words: str, *about: str) -> None:
        """Once for each: this is looked at after every group of batches."""
        if (said := f"{words}: {', '.join(about)}") not in self._complained:
            self._complained.add(said)
            _log.warning(said)

    def _missing_channels(self, campaigns: Mapping[str, list[tuple[str, Campaign]]]) -> set[str]:
        wanted: set[str] = {campaign.channel for each in campaigns.values() for _, campaign in each}
        return wanted - self._channels.keys()

    async def _take(self, row: Transition, campaigns: Mapping[str, list[tuple[str, Campaign]]]) -> None:
        if not row.entered:
            return
        for name, campaign in campaigns.get(row.segment, ()):
            await self._slots.acquire()
            task = asyncio.create_task(self._deliver(name, campaign, row))
            self._open[row.cursor, name] = task
            task.add_done_callback(partial(self._delivered, row.cursor, name))

    def _delivered(self, cursor: int, name: str, task: asyncio.Task[None]) -> None:
        self._slots.release()
        self._open.pop((cursor, name), None)
        if task.cancelled():
            self._lost.add(cursor)
        elif task.exception() is not None:
            _log.error(
                "a message broke off; it is taken again after a restart", cursor=cursor, exc_info=task.exception()
            )
            self._lost.add(cursor)
        self._wake.set()

    def _advance(self, read_cursor: int) -> None:
        unfinished = self._lost.union(cursor for cursor, _ in self._open)
        self._done_cursor = min(unfinished, default=read_cursor + 1) - 1

    async def _save_cursor(self) -> None:
        if self._done_cursor == self._saved_cursor:
            return
        saved = self._done_cursor
        with contextlib.suppress(CDPError):  # a later one says it again
            await self._define(_CURSOR_KIND, _CURSOR_NAME, msgpack.packb({"after": saved}))
            self._saved_cursor = saved

    # ---- one message

    async def _deliver(self, name: str, campaign: Campaign, row: Transition) -> None:
        message_id = message_id_of(name, campaign.version, row.profile_id, row.cursor)
        names = {"names": [_SENT, _FAILED, _DEFERRED]}
        profile = self._store.profile(row.profile_id, events=names, now_ms=self._clock())
        if profile is None or not profile.identities:
            return
        past = [event.name for event in profile.events if event.properties.get("message_id") == message_id]
        if _SENT in past or _FAILED in past:
            return
        about = {"campaign": name, "message_id": message_id, "channel": campaign.channel, "segment": row.segment}
        turn = len(past)
        claim = await self._record(profile, _QUEUED, f"{message_id}/{turn}" if turn else message_id, about)
        if claim.duplicates and await self._settle(campaign, profile, message_id, about):
            return
        message = self._compose(campaign, profile, message_id)
        result = message if isinstance(message, Result) else await self._attempt(campaign, message)
        if result is None:
            await self._record(profile, _DEFERRED, f"{message_id}/deferred/{turn}", about)
            self._lost.add(row.cursor)
        else:
            await self._record_result(profile, message_id, about, result)

    async def _settle(
        self, campaign: Campaign, profile: ProfileAnswer, message_id: str, about: Mapping[str, Any]
    ) -> bool:
        """What became of a message claimed before a crash. True: nothing more to do."""
        known = await self._channels[campaign.channel].was_sent(message_id)
        if known:
            await self._record_result(profile, message_id, about, Result(Outcome.SENT, "found at the provider"))
            return True
        if known is False or campaign.on_unknown == "resend":
            return False
        self.unknown.append(message_id)
        unknown = Result(Outcome.UNKNOWN, "a crash lost the provider's answer")
        await self._record_result(profile, message_id, about, unknown)
        return True

    def _compose(self, campaign: Campaign, profile: ProfileAnswer, message_id: str) -> Message | Result:
        to = profile.traits.get(campaign.to_trait)
        if not isinstance(to, str) or not to:
            return Result(Outcome.PERMANENT, f"the profile has no trait {campaign.to_trait!r}")
        values = {"profile": {"id": profile.profile_id, "traits": profile.traits}, "traits": profile.traits}
        try:
            subject = self._renderer.render(campaign.subject, values)
            body = self._renderer.render(campaign.body, values)
        except CDPError as error:
            return Result(Outcome.PERMANENT, str(error))
        return Message(message_id, to, campaign.sender, subject, body)

    async def _attempt(self, campaign: Campaign, message: Message) -> Result | None:
        """Tries until it is sent or there is no hope: temporary failures are retried with growing delays. None when a
        stop came between two attempts."""
        delay_s = self._first_delay_s
        for left in reversed(range(_ATTEMPTS)):
            result = await self._try(campaign, message)
            if result.outcome is not Outcome.TEMPORARY or left == 0:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
                return None
            delay_s *= 2
        return result

    async def _try(self, campaign: Campaign, message: Message) -> Result:
        channel = self._channels[campaign.channel]
        result = await channel.send(message)
        if result.outcome is not Outcome.UNKNOWN:
            return result
        sent = await channel.was_sent(message.message_id)
        if sent:
            return Result(Outcome.SENT, f"found at the provider; {result.detail}")
        if sent is False or campaign.on_unknown == "resend":
            return Result(Outcome.TEMPORARY, result.detail)
        self.unknown.append(message.message_id)
        return result

    async def _record_result(
        self, profile: ProfileAnswer, message_id: str, about: Mapping[str, Any], result: Result
    ) -> None:
        name = _SENT if result.outcome is Outcome.SENT else _FAILED
        fields = {**about, "detail": result.detail[:1_000]}
        if result.outcome is not Outcome.SENT:
            fields["reason"] = result.outcome.value
        await self._record(profile, name, f"{message_id}/result", fields)

    async def _record(self, profile: ProfileAnswer, name: str, event_id: str, properties: Mapping[str, Any]) -> Ack:
        identity = profile.identities[0]
        record = event(name, ids={identity.kind: identity.value}, properties=properties, event_id=event_id)
        ack = await self._append(msgpack.packb([record]), now_ms=self._clock(), system=True)
        if ack.rejects:
            raise RuntimeError(f"the store refused a message record: {ack.rejects[0]}")
        return ack
