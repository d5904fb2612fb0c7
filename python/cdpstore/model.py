"""The data that crosses borders: records going in, acks and profiles coming out.

Records are plain dicts, because that is what JSON, msgpack and every SDK already hold; the constructors here write them
with the right field names and leave out what is not given. `encode_batch` is the one place where Python values become
the bytes that C++ decodes.

>>> event("Charged", ids={"user_id": "u1"}, time_ms=1_700_000_000_000, properties={"price": 9.5})
{'type': 'event', 'name': 'Charged', 'ids': {'user_id': 'u1'}, 'time_ms': 1700000000000, 'properties': {'price': 9.5}}
>>> identify({"anonymous_id": "a1"}, {"user_id": "u1"})
{'type': 'identify', 'anonymous': {'anonymous_id': 'a1'}, 'known': {'user_id': 'u1'}}
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import msgpack
import msgspec

from cdpstore.errors import BadEvent

__all__ = [
    "Ack",
    "Change",
    "Consent",
    "Device",
    "Event",
    "Identity",
    "Listed",
    "LoadReport",
    "Membership",
    "Operation",
    "Record",
    "Reject",
    "StoreStats",
    "Suppression",
    "Transition",
    "consent",
    "datetime_of",
    "device",
    "encode_batch",
    "event",
    "group",
    "identify",
    "list_member",
    "membership",
    "merge",
    "milliseconds_of",
    "suppress",
    "traits",
    "unmerge",
]

Record: TypeAlias = dict[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Reject(msgspec.Struct, frozen=True):
    """A record that was refused: which one, why, where in it, what was found and what would have been right."""

    index: int
    code: str
    path: str = ""
    value: str = ""
    expected: str = ""


class Ack(msgspec.Struct, frozen=True):
    """What became of a batch. `sequence` is that of its last record in the log, durable when the ack is returned.

    Every record is counted once: accepted, duplicate, or in `rejects`.
    """

    sequence: int
    accepted: int
    duplicates: int = 0
    rejects: tuple[Reject, ...] = ()


class LoadReport(msgspec.Struct):
    """What became of the rows of a load; the first thousand rejects, `index` being the row.

    Every row is counted once: accepted, duplicate, rejected, or resumed (in by an earlier run of the same name).
    """

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    resumed_rows: int = 0
    sequence: int = 0
    rejects: list[Reject] = []


class Identity(msgspec.Struct, frozen=True, order=True, gc=False):
    """A kind and a value that point to a profile."""

    kind: str
    value: str


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event as it is stored, nested properties flattened to dotted names."""

    name: str
    time_ms: int
    properties: dict[str, Any] = {}


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One trait operation of a profile's history; `kind` is set, set_once, unset, increment, append or remove."""

    key: str
    kind: str
    value: Any
    time_ms: int


class Device(msgspec.Struct, frozen=True, gc=False):
    """A device of a profile as it stands. `dead_ms` and `reason` say since when it is dead (uninstalled, its token
    refused) and why; `last_seen_ms` is None when it was only ever reported dead."""

    id: str
    platform: str | None = None
    token: str | None = None
    app_version: str | None = None
    zone: str | None = None
    first_seen_ms: int = 0
    last_seen_ms: int | None = None
    dead_ms: int | None = None
    reason: str | None = None


class Consent(msgspec.Struct, frozen=True, gc=False):
    """What a profile agreed to on a channel, or on a topic of it; `state` is unsubscribed, pending, subscribed or
    opted_in, since `time_ms`."""

    channel: str
    topic: str | None
    state: str
    source: str | None = None
    time_ms: int = 0


class Membership(msgspec.Struct, frozen=True, gc=False):
    """A group that a profile is in, since `joined_ms`, with the group's traits as they stand."""

    kind: str
    id: str
    role: str | None = None
    joined_ms: int = 0
    traits: dict[str, Any] = {}


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A list that a profile is on, since `added_ms`."""

    name: str
    added_ms: int = 0


class Suppression(msgspec.Struct, frozen=True, gc=False):
    """Since when nothing more is kept of a profile, and why."""

    time_ms: int
    reason: str | None = None


class Change(msgspec.Struct, frozen=True, gc=False):
    """One operation of a profile's history on a fact: `record` is its type (device, consent, ...), `subject` what it is
    about, `fields` the texts it gave (None: cleared)."""

    record: str
    subject: dict[str, str]
    state: str
    fields: dict[str, str | None]
    time_ms: int


class Transition(msgspec.Struct, frozen=True):
    """A profile's entry to or exit from a live segment; `cursor` is what reading on starts from."""

    cursor: int
    segment: str
    profile_id: int
    entered: bool
    time_ms: int
    sequence: int = 0
    cause: str = ""


class StoreStats(msgspec.Struct, frozen=True):
    """What a store holds. `memory` is bytes by part, in memory; `log_bytes` is on disk, 0 without a path."""

    events: int
    profiles: int
    identities: int
    watermark: int
    engine_ms: int
    log_bytes: int
    memory: dict[str, int]

    @property
    def memory_bytes(self) -> int:
        """All parts together.

        >>> StoreStats(2, 1, 1, 3, 0, 0, {"rows": 40, "tail": 2}).memory_bytes
        42
        """
        return sum(self.memory.values())


def event(
    name: str,
    *,
    ids: Mapping[str, str | int],
    time_ms: int | None = None,
    properties: Mapping[str, Any] | None = None,
    event_id: str | None = None,
) -> Record:
    """A thing a profile did. Without `time_ms` it happened when it is received."""
    record: Record = {"type": "event", "name": name, "ids": dict(ids)}
    _put(record, time_ms=time_ms, properties=properties, event_id=event_id)
    return record


def traits(
    ids: Mapping[str, str | int],
    *,
    time_ms: int | None = None,
    set: Mapping[str, Any] | None = None,
    set_once: Mapping[str, Any] | None = None,
    increment: Mapping[str, int | float] | None = None,
    append: Mapping[str, Any] | None = None,
    remove: Mapping[str, Any] | None = None,
    unset: Sequence[str] | None = None,
) -> Record:
    """Operations on the traits of one profile, all at the same time, applied in the order of these parameters."""
    record: Record = {"type": "traits", "ids": dict(ids)}
    _put(record, time_ms=time_ms, set=set, set_once=set_once, increment=increment)
    _put(record, append=append, remove=remove, unset=unset)
    return record


def identify(
    anonymous: Mapping[str, str | int], known: Mapping[str, str | int], *, time_ms: int | None = None
) -> Record:
    """The anonymous identity turns out to be the known one: their profiles join."""
    return _pair("identify", {"anonymous": dict(anonymous), "known": dict(known)}, time_ms)


def merge(winner: Mapping[str, str | int], loser: Mapping[str, str | int], *, time_ms: int | None = None) -> Record:
    """Two known profiles are one; the winner's id and trait values stand."""
    return _pair("merge", {"winner": dict(winner), "loser": dict(loser)}, time_ms)


def unmerge(sequence: int, *, time_ms: int | None = None) -> Record:
    """Undoes the join that the record with this sequence made."""
    return _pair("unmerge", {"sequence": sequence}, time_ms)


def device(
    ids: Mapping[str, str | int],
    device_id: str,
    *,
    state: str | None = None,
    platform: str | None = None,
    token: str | None = None,
    app_version: str | None = None,
    zone: str | None = None,
    reason: str | None = None,
    clear: Iterable[str] = (),
    time_ms: int | None = None,
) -> Record:
    """A device of the profile was seen, or (`state="dead"`) is gone; what is left out stays as it is known, the fields
    named in `clear` are no longer so."""
    record: Record = {"type": "device", "ids": dict(ids), "id": device_id}
    _put(record, state=state, platform=platform, token=token, app_version=app_version, zone=zone)
    _put(record, reason=reason, time_ms=time_ms)
    return {**record, **dict.fromkeys(clear)}


def consent(
    ids: Mapping[str, str | int],
    channel: str,
    state: str,
    *,
    topic: str | None = None,
    source: str | None = None,
    time_ms: int | None = None,
) -> Record:
    """What the profile agrees to on a channel, or on one topic of it."""
    record: Record = {"type": "consent", "ids": dict(ids), "channel": channel, "state": state}
    _put(record, topic=topic, source=source, time_ms=time_ms)
    return record


def suppress(
    ids: Mapping[str, str | int], *, state: str | None = None, reason: str | None = None, time_ms: int | None = None
) -> Record:
    """Nothing more is kept of the profile, or (`state="lifted"`) is again."""
    record: Record = {"type": "suppress", "ids": dict(ids)}
    _put(record, state=state, reason=reason, time_ms=time_ms)
    return record


def group(
    kind: str,
    group_id: str,
    *,
    time_ms: int | None = None,
    set: Mapping[str, Any] | None = None,
    set_once: Mapping[str, Any] | None = None,
    increment: Mapping[str, int | float] | None = None,
    append: Mapping[str, Any] | None = None,
    remove: Mapping[str, Any] | None = None,
    unset: Sequence[str] | None = None,
) -> Record:
    """Operations on the traits of a group, as `traits` has them of a profile."""
    operations = traits(
        {}, time_ms=time_ms, set=set, set_once=set_once, increment=increment, append=append, remove=remove, unset=unset
    )
    del operations["ids"]
    return {**operations, "type": "group", "kind": kind, "id": group_id}


def membership(
    ids: Mapping[str, str | int],
    kind: str,
    group_id: str,
    *,
    state: str | None = None,
    role: str | None = None,
    time_ms: int | None = None,
) -> Record:
    """The profile is in a group, or (`state="left"`) is no longer."""
    record: Record = {"type": "membership", "ids": dict(ids), "kind": kind, "id": group_id}
    _put(record, state=state, role=role, time_ms=time_ms)
    return record


def list_member(
    ids: Mapping[str, str | int], name: str, *, state: str | None = None, time_ms: int | None = None
) -> Record:
    """The profile is on a list, or (`state="removed"`) is no longer."""
    record: Record = {"type": "list", "ids": dict(ids), "name": name}
    _put(record, state=state, time_ms=time_ms)
    return record


def encode_batch(records: Iterable[Mapping[str, Any]]) -> bytes:
    """The batch as msgpack. Aware datetimes become timestamps; what msgpack cannot say raises `BadEvent`.

    >>> encode_batch([unmerge(7)])
    b'\\x91\\x82\\xa4type\\xa7unmerge\\xa8sequence\\x07'
    """
    try:
        packed = msgpack.packb([dict(record) for record in records], datetime=True, strict_types=False)
    except OverflowError as error:
        raise BadEvent("value.int.out_of_range", str(error)) from error
    except UnicodeEncodeError as error:
        raise BadEvent("value.string.utf8", str(error)) from error
    except (TypeError, ValueError) as error:
        raise BadEvent("record.field.type", str(error)) from error
    assert isinstance(packed, bytes)
    return packed


def datetime_of(time_ms: int) -> datetime:
    """The instant as an aware datetime in UTC, exact.

    >>> datetime_of(1_700_000_000_001).isoformat()
    '2023-11-14T22:13:20.001000+00:00'
    """
    return _EPOCH + timedelta(milliseconds=time_ms)


def milliseconds_of(moment: datetime) -> int:
    """Milliseconds since 1970 UTC, rounded down. REQUIRES: an aware datetime (a naive one raises `ValueError`).

    >>> milliseconds_of(datetime(2023, 11, 14, 22, 13, 20, 1999, tzinfo=UTC))
    1700000000001
    """
    if moment.tzinfo is None:
        raise ValueError("a datetime without a zone names no instant")
    return (moment - _EPOCH) // _MILLISECOND


def _put(record: Record, **fields: object) -> None:
    for name, value in fields.items():
        if value is None:
            continue
        record[name] = dict(value) if isinstance(value, Mapping) else value


def _pair(kind: str, fields: Record, time_ms: int | None) -> Record:
    record: Record = {"type": kind, **fields}
    _put(record, time_ms=time_ms)
    return record
