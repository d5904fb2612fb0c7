"""The calls that write one thing, once for every way to a store: in this process, over the wire, in a model.

A store gives `_write`, which sends records and returns what its `append` returns (an ack, or one to be awaited); each
method here builds its record (`cdpstore.model`) and hands it over. Times left out are the received time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from cdpstore import model
from cdpstore.model import Record

__all__ = ["Ids", "Writes"]

Ids = Mapping[str, str | int]
Done = TypeVar("Done")

_OPERATIONS = frozenset({"set", "set_once", "unset", "increment", "append", "remove"})


class Writes(ABC, Generic[Done]):
    """`Done` is what a write gives back."""

    __slots__ = ()

    @abstractmethod
    def _write(self, records: Sequence[Record], now_ms: int | None) -> Done:
        """Sends the records as one batch."""

    # ---- who is who

    def identify(self, anonymous: Ids, known: Ids, *, time_ms: int | None = None, now_ms: int | None = None) -> Done:
        """The anonymous profile becomes part of the known one. Rejected when it is already identified."""
        return self._write([model.identify(anonymous, known, time_ms=time_ms)], now_ms)

    def merge(self, winner: Ids, loser: Ids, *, time_ms: int | None = None, now_ms: int | None = None) -> Done:
        """Two known profiles become the winner. `Ack.sequence` is what `unmerge` takes."""
        return self._write([model.merge(winner, loser, time_ms=time_ms)], now_ms)

    def unmerge(self, sequence: int, *, time_ms: int | None = None, now_ms: int | None = None) -> Done:
        """Undoes the identify or merge with this sequence: all that either had is exactly as never joined."""
        return self._write([model.unmerge(sequence, time_ms=time_ms)], now_ms)

    # ---- what is known of a profile

    def set_traits(
        self, ids: Ids, ops: Mapping[str, Any], *, time_ms: int | None = None, now_ms: int | None = None
    ) -> Done:
        """Trait operations: `{"set": {...}, "set_once": {...}, "unset": [...], "increment": {...}, "append": ...,
        "remove": ...}`.

        A mapping without any of these names is taken as `set`.
        """
        fields = dict(ops) if ops.keys() <= _OPERATIONS else {"set": dict(ops)}
        return self._write([model.traits(ids, time_ms=time_ms, **fields)], now_ms)

    def set_device(
        self,
        ids: Ids,
        device_id: str,
        *,
        platform: str | None = None,
        token: str | None = None,
        app_version: str | None = None,
        zone: str | None = None,
        clear: Iterable[str] = (),
        time_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Done:
        """The device was seen: it lives, and what is given here is so; what is left out stays as it was, the fields
        named in `clear` are unknown from now on.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> _ = store.set_device({"user_id": "u1"}, "phone-1", platform="ios", token="t1", now_ms=1_700_000_000_000)
        >>> _ = store.set_device({"user_id": "u1"}, "phone-1", app_version="2.0", now_ms=1_700_000_001_000)
        >>> (device,) = store.profile({"user_id": "u1"}, now_ms=1_700_000_001_000).devices
        >>> device.token, device.app_version, device.last_seen_ms - device.first_seen_ms
        ('t1', '2.0', 1000)
        """
        record = model.device(
            ids,
            device_id,
            platform=platform,
            token=token,
            app_version=app_version,
            zone=zone,
            clear=clear,
            time_ms=time_ms,
        )
        return self._write([record], now_ms)

    def kill_device(
        self,
        ids: Ids,
        device_id: str,
        *,
        reason: str | None = None,
        time_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Done:
        """The device is gone (uninstalled, its token refused): it stays in the profile as dead until it is seen again.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> _ = store.kill_device({"user_id": "u1"}, "phone-1", reason="uninstalled", now_ms=1_700_000_000_000)
        >>> (device,) = store.profile({"user_id": "u1"}, now_ms=1_700_000_000_000).devices
        >>> device.dead_ms, device.reason
        (1700000000000, 'uninstalled')
        """
        return self._write([model.device(ids, device_id, state="dead", reason=reason, time_ms=time_ms)], now_ms)

    def set_consent(
        self,
        ids: Ids,
        channel: str,
        state: str,
        *,
        topic: str | None = None,
        source: str | None = None,
        time_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Done:
        """What the profile agrees to on a channel, or on one topic of it: `unsubscribed`, `pending` (asked to
        confirm), `subscribed`, `opted_in`. The latest time stands, not the latest arrival.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> _ = store.set_consent({"user_id": "u1"}, "email", "opted_in", source="checkout", now_ms=1_700_000_000_000)
        >>> where = {"consent": "email", "op": "in", "value": ["subscribed", "opted_in"]}
        >>> store.query({"kind": "profiles", "where": where}, now_ms=1_700_000_000_000).notes["count"]
        1
        """
        return self._write([model.consent(ids, channel, state, topic=topic, source=source, time_ms=time_ms)], now_ms)

    def suppress(
        self, ids: Ids, *, reason: str | None = None, time_ms: int | None = None, now_ms: int | None = None
    ) -> Done:
        """From here on nothing is kept of the profile: its events, traits, devices, memberships and lists are rejected
        (`profile.suppressed`); what it agrees to is heard, and who is who. What is there stays until it is erased.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> _ = store.suppress({"user_id": "u1"}, reason="asked for it", now_ms=1_700_000_000_000)
        >>> ack = store.set_traits({"user_id": "u1"}, {"plan": "pro"}, now_ms=1_700_000_000_001)
        >>> ack.rejects[0].code
        'profile.suppressed'
        """
        return self._write([model.suppress(ids, reason=reason, time_ms=time_ms)], now_ms)

    def unsuppress(
        self, ids: Ids, *, reason: str | None = None, time_ms: int | None = None, now_ms: int | None = None
    ) -> Done:
        """From here on what comes of the profile is kept again."""
        return self._write([model.suppress(ids, state="lifted", reason=reason, time_ms=time_ms)], now_ms)

    # ---- groups and lists

    def set_group(
        self,
        kind: str,
        group_id: str,
        ops: Mapping[str, Any],
        *,
        time_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Done:
        """Operations on a group's traits, as in `set_traits`.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> _ = store.set_group("company", "acme", {"plan": "pro"}, now_ms=1_700_000_000_000)
        >>> _ = store.join_group({"user_id": "u1"}, "company", "acme", role="admin", now_ms=1_700_000_000_000)
        >>> (company,) = store.profile({"user_id": "u1"}, now_ms=1_700_000_000_000).groups
        >>> company.role, company.traits
        ('admin', {'plan': 'pro'})
        """
        fields = dict(ops) if ops.keys() <= _OPERATIONS else {"set": dict(ops)}
        return self._write([model.group(kind, group_id, time_ms=time_ms, **fields)], now_ms)

    def join_group(
        self,
        ids: Ids,
        kind: str,
        group_id: str,
        *,
        role: str | None = None,
        time_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Done:
        """The profile is in the group, in this role; a group never heard of is one from now on."""
        return self._write([model.membership(ids, kind, group_id, role=role, time_ms=time_ms)], now_ms)

    def leave_group(
        self, ids: Ids, kind: str, group_id: str, *, time_ms: int | None = None, now_ms: int | None = None
    ) -> Done:
        """The profile is no longer in the group."""
        return self._write([model.membership(ids, kind, group_id, state="left", time_ms=time_ms)], now_ms)

    def list_add(
        self, name: str, members: Iterable[Ids], *, time_ms: int | None = None, now_ms: int | None = None
    ) -> Done:
        """Puts profiles on a list, each by its identities: at most 10,000 in one call. Who was never heard of becomes a
        profile, so a list may come before its people do anything.

        >>> from cdpstore.store import Store
        >>> store = Store.open()
        >>> ack = store.list_add("vip", [{"user_id": "u1"}, {"user_id": ""}], now_ms=1_700_000_000_000)
        >>> ack.accepted, ack.rejects[0].index
        (1, 1)
        >>> where = {"list": "vip"}
        >>> store.query({"kind": "profiles", "where": where}, now_ms=1_700_000_000_000).notes["count"]
        1
        """
        return self._write([model.list_member(ids, name, time_ms=time_ms) for ids in members], now_ms)

    def list_remove(
        self, name: str, members: Iterable[Ids], *, time_ms: int | None = None, now_ms: int | None = None
    ) -> Done:
        """Takes profiles off a list: at most 10,000 in one call."""
        records = [model.list_member(ids, name, state="removed", time_ms=time_ms) for ids in members]
        return self._write(records, now_ms)
