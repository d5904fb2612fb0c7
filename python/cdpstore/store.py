"""A store in this process: the whole of cdpstore without a server.

Every call crosses into C++ once, with the GIL released there. `Store` is safe to use from many threads; reads pin a
version
and never wait for ingest. The only clock read below the server is `_now_ms` here, and only when `now_ms` is left out.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import msgpack

from cdpstore import _core, zones
from cdpstore.errors import BadFrame, BadQuery, CDPError, InvalidRequest, from_core
from cdpstore.export import ArrowRows, ColumnSpec, events_spec, facts_spec, groups_spec, profiles_spec
from cdpstore.load import ArrowSource, load_rows, translated
from cdpstore.model import (
    Ack,
    Change,
    Consent,
    Device,
    Event,
    Identity,
    Listed,
    LoadReport,
    Membership,
    Operation,
    Record,
    Reject,
    StoreStats,
    Suppression,
    Transition,
)
from cdpstore.query import Predicate, Question, to_spec
from cdpstore.rules import Rules
from cdpstore.schema import Schema, schema_from_core
from cdpstore.table import GroupAnswer, ProfileAnswer, Table
from cdpstore.unpackable import refused
from cdpstore.writes import Writes

__all__ = ["Producer", "Store"]

Answer = TypeVar("Answer")
Ids = Mapping[str, str | int]
Producer = tuple[bytes, int, int]
"""Sixteen bytes that name the sender, its epoch, and the number of this batch: a batch sent again gets its ack
again."""

_core.use_model(
    [
        *(ProfileAnswer, Identity, Operation, Event, Device, Consent, Change),
        *(Membership, Listed, Suppression, GroupAnswer),
    ]
)

_EVERYBODY = {"or": [{"trait": "email", "op": "exists"}, {"trait": "email", "op": "not_exists"}]}
_LOG_PART = "log_files"
_SHARDS = (1, 4, 16)

_INSTANT_MOST_MS = 2_000 * 366 * 86_400_000  # arithmetic on it never overflows, here or in C++

_REJECT_UNPACKABLE = "value.unsupported"
_ZONE_UNKNOWN = "query.zone.unknown"
_ZONE_NEEDED = "query.zone.needed"  # one that a profile's trait names
_ZONE_NAMES = "query.zone.names"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Store(Writes[Ack], Rules[int]):
    """Profiles, their events and every question about them, in memory; durable when opened with a path.

    >>> store = Store.open()
    >>> ack = store.append([{"type": "event", "name": "App Launched", "ids": {"user_id": "u1"}}])
    >>> ack.accepted
    1
    >>> store.query({"kind": "profiles", "where": {"did": "App Launched"}}).column("profile_id").tolist()
    [0]
    """

    def __init__(self, engine: _core.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        key: bytes | None = None,
        shards: int | None = None,
        workers: int = 0,
        background: bool = True,
    ) -> Self:
        """Opens the store in `path`, replaying its log; without a path it lives in memory only.

        `shards`: 1, 4 or 16 (a new store: 1); the directory keeps the number, and another one given later rebuilds the
        store with it, in the time that every open takes. No answer depends on it. `workers`: threads for queries, 0 for
        one a core. `background`: seal and merge by themselves (off: `seal`, `compact`).
        Raises `Unavailable` when another process has it open, `Corruption` when its files are damaged.
        Cost: replay of about two million events a second.
        """
        if shards not in (None, *_SHARDS):
            raise InvalidRequest("store.shards", "a store has 1, 4 or 16 shards", path="shards")
        if key is not None:
            raise InvalidRequest("store.key.unsupported", "encryption at rest is not built yet: open without a key")
        with _translated():
            return cls(
                _core.Engine(
                    path="" if path is None else str(path),
                    shards=0 if shards is None else shards,
                    workers=workers,
                    hash_key=secrets.randbits(64),
                    now_ms=_now_ms(),
                    background=background,
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Applies and syncs what was accepted, then gives the directory back. Later writes raise `Unavailable`."""
        with _translated():
            self._engine.close()

    def cancel_queries(self) -> None:
        """Queries that run and all that come raise `Timeout` (query.cancelled): the way to close without waiting."""
        self._engine.cancel_queries()

    # ---- ways in

    def append(
        self,
        batch: bytes | Sequence[Mapping[str, Any]],
        *,
        producer: Producer | None = None,
        wait: Literal["applied", "none"] = "applied",
        now_ms: int | None = None,
        source: str = "",
        system: bool = False,
    ) -> Ack | None:
        """Records into the store: a msgpack array of maps, or a list of dicts (`docs/architecture.md`, Records).

        Returns when they are durable, applied and visible; with `wait="none"` at once, without an ack (`flush` waits
        for
        all). Bad records come back in `Ack.rejects` and the rest is kept. Raises `BadFrame` when the batch cannot be
        read.
        Cost: about 0.3 µs an event in the calling thread, GIL released.
        """
        packed, unpackable = _pack(batch)
        with _translated():
            ticket = self._engine.submit(
                packed,
                _instant(now_ms),
                producer=producer,
                source=source,
                system=system,
                wanted=wait == "applied",
            )
            if wait == "none":
                return None
            return _ack(self._engine.wait(ticket), unpackable)

    def submit(
        self,
        batch: bytes,
        *,
        producer: Producer | None = None,
        now_ms: int | None = None,
        source: str = "",
        system: bool = False,
    ) -> int:
        """Queues a packed batch and returns its ticket; the ack comes through `poll`. For event loops."""
        with _translated():
            return self._engine.submit(batch, _instant(now_ms), producer=producer, source=source, system=system)

    def submit_define(self, kind: str, name: str, body: bytes, *, now_ms: int) -> int:
        """As `define` with a packed body (empty removes), through `poll`."""
        with _translated():
            return self._engine.submit_define(_instant(now_ms), _text(kind, "kind"), _text(name, "name"), body)

    def submit_tick(self, now_ms: int) -> int:
        """As `tick`, through `poll`."""
        with _translated():
            return self._engine.submit_tick(_instant(now_ms))

    def event_fd(self) -> int:
        """A descriptor that is readable when `poll` has something. Call it before the first `submit`."""
        with _translated():
            return self._engine.event_fd()

    def poll(self) -> list[tuple[int, Ack | CDPError]]:
        """Acks (or errors) of submitted batches that are ready, oldest first."""
        return [
            (ticket, _ack(ack, {}) if error is None else from_core(*error))
            for ticket, ack, error in self._engine.poll()
        ]

    def flush(self) -> None:
        """Returns when everything appended so far is applied and visible. Raises `Unavailable` when it cannot be."""
        with _translated():
            self._engine.flush()

    def _write(self, records: Sequence[Record], now_ms: int | None) -> Ack:
        ack = self.append(records, now_ms=now_ms)
        assert ack is not None
        return ack

    def load(
        self,
        rows: ArrowSource,
        mapping: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        now_ms: int | None = None,
        source: str = "",
        on_progress: Callable[[LoadReport], None] | None = None,
        on_reject: Callable[[Reject], None] | None = None,
    ) -> LoadReport:
        """Rows of any Arrow source (pyarrow, polars, pandas, a duckdb relation) as events, or as traits that are set.

        `mapping` says which column is what (`docs/architecture.md`, Load); what it leaves out is found by name. Returns
        when all is durable, applied and visible. A bad row is a reject with its number and never the end of the load;
        what breaks Arrow's rules, or the source itself, raises `InvalidRequest`, the rows before it being in. With a
        `name`, the same rows loaded again go on where they stopped, and do nothing when they were done.
        Cost: about 0.5 µs of processor time an event of six properties, spread over the threads of the store.

        >>> import pyarrow
        >>> rows = pyarrow.table({"user_id": [7, 8], "event": ["Viewed", "Viewed"], "page": ["a", "b"]})
        >>> Store.open().load(rows).accepted
        2
        """
        given = {} if mapping is None else mapping
        if not isinstance(given, Mapping):
            raise InvalidRequest("load.mapping", f"expected a map, got {type(given).__name__}", path="mapping")
        try:
            return load_rows(
                self._engine,
                rows,
                given,
                now_ms=_instant(now_ms),
                name=None if name is None else _text(name, "name"),
                source=source,
                on_progress=on_progress,
                on_reject=on_reject,
            )
        except _core.CoreError as error:
            raise translated(error) from None

    # ---- questions

    def query(
        self, spec: Mapping[str, Any] | Question | bytes, *, now_ms: int | None = None, threads: int = 0
    ) -> Table:
        """The answer to a query spec (`docs/architecture.md`, Query spec), exact, at the newest version.

        `now_ms` (or the spec's own) is the instant asked at; rows after it are invisible. Raises `BadQuery` with a
        path. The first question in a zone takes 0.1 s more: its table is made then.
        """
        packed = spec if isinstance(spec, bytes) else _pack_spec(to_spec(spec))
        at_ms = _instant(now_ms)
        return self._with_zones(packed, lambda: _table(self._engine.query(packed, at_ms, threads)))

    def _with_zones(self, packed: bytes, ask: Callable[[], Answer]) -> Answer:
        """The answer, once the core has the tables of the zones that the spec names."""
        known: set[str] = set()
        while True:
            try:
                return ask()
            except _core.CoreError as error:
                if error.args[1] == _ZONE_NAMES:
                    _core.set_zone_names(sorted(zones.available()))
                    continue
                named = _named_zone(packed, error)
                wanted = error.args[3].split() if error.args[1] == _ZONE_NEEDED else [named] if named else []
                if not wanted or known.intersection(wanted):
                    raise from_core(*error.args) from None
            for name in wanted:
                self._engine.add_zone(name, zones.transitions(name), zones.TABLE)
            known.update(wanted)

    def profile(
        self,
        ids: Ids | int,
        *,
        events: Mapping[str, Any] | None = None,
        now_ms: int | None = None,
        as_of_ms: int | None = None,
    ) -> ProfileAnswer | None:
        """One profile whole: identities, traits with their history, timeline in event order. None when unknown.

        `as_of_ms`: as it was valid then, by the joins that lived then; cost ~20 ns a join of the store more.
        Runs in the calling thread, the GIL held unless over 1,000 events may come along. Cost with ten: 5 to 20 µs.
        """
        at_ms = _instant(now_ms)
        try:
            plain = as_of_ms is None
            answer: ProfileAnswer | None = self._engine.profile(ids, events, at_ms) if plain else NotImplemented
            if answer is NotImplemented:
                spec = _profile_spec(ids, events, None if plain else {"as_of_ms": as_of_ms, "now_ms": now_ms})
                answer = self._engine.profile_by_spec(_pack_spec(spec), at_ms)
        except _core.CoreError as error:
            raise from_core(*error.args) from None
        return answer

    def segments_of(self, ids: Ids | int, *, now_ms: int | None = None) -> tuple[str, ...] | None:
        """Names of the live segments that a profile is in at this instant, ascending; None when it is unknown.

        Decided anew from its rows, as `query` would, so also between ticks: what a page asks before it shows
        itself. Runs in the calling thread, the GIL held. Cost with 20 segments that count events: 5 to 10 µs.

        >>> store = Store.open()
        >>> _ = store.watch("payers", {"did": "Charged"})
        >>> _ = store.append([{"type": "event", "name": "Charged", "ids": {"user_id": "u1"}}])
        >>> store.segments_of({"user_id": "u1"})
        ('payers',)
        """
        at_ms = _instant(now_ms)
        try:
            names: tuple[str, ...] | None = self._engine.segments_of(ids, at_ms)
        except _core.CoreError as error:
            raise from_core(*error.args) from None
        if names is NotImplemented:  # not plain: the validator must see them
            answer = self.profile(ids, now_ms=now_ms)
            return None if answer is None else self.segments_of(answer.profile_id, now_ms=now_ms)
        return names

    # ---- rows out

    def events(
        self,
        names: str | Sequence[str] | None = None,
        *,
        range: Mapping[str, Any] | None = None,
        where: Predicate | Mapping[str, Any] | None = None,
        columns: Sequence[ColumnSpec] | None = None,
        now_ms: int | None = None,
    ) -> ArrowRows:
        """Events as rows for any Arrow reader, in one line: `polars.DataFrame(rows)`, `duckdb.sql("from rows")`.

        Columns `profile_id`, `event`, `time`, then one a property and type (`docs/architecture.md`, Export); rows of a
        profile lie together, in event order. `names`: only these events; `range` as in a query; `where`: only of these
        profiles; `columns`: only these properties. They are those of this moment's version, whatever is written while
        they are read. Raises `BadQuery` with a path. Cost: 0.2 µs an event of
        six properties; memory of one stripe of profiles and one batch.

        >>> store = Store.open()
        >>> ids = {"user_id": "u1"}
        >>> _ = store.append([{"type": "event", "name": "Charged", "ids": ids, "properties": {"price": 9, "net": 7.5}}])
        >>> store.events("Charged", columns=["price"]).names
        ['profile_id', 'event', 'time', 'price']
        """
        return self._rows(events_spec(names, range, where, columns), now_ms)

    def profiles(
        self,
        where: Predicate | Mapping[str, Any] | None = None,
        *,
        columns: Sequence[ColumnSpec] | None = None,
        now_ms: int | None = None,
    ) -> ArrowRows:
        """Profiles as rows for any Arrow reader, in order of their ids.

        Columns `profile_id`, `created`, a list of texts a kind of identity (`user_id`, `anonymous_id`), then one a
        trait and type. `where`: only these profiles; `columns`: only these traits. Otherwise as `events`.

        >>> store = Store.open()
        >>> _ = store.set_traits({"user_id": "u1"}, {"plan": "pro"})
        >>> store.profiles({"trait": "plan", "op": "eq", "value": "pro"}).names
        ['profile_id', 'created', 'user_id', 'anonymous_id', 'plan']
        """
        return self._rows(profiles_spec(where, columns), now_ms)

    def facts(
        self, type: str, *, where: Predicate | Mapping[str, Any] | None = None, now_ms: int | None = None
    ) -> ArrowRows:
        """What holds of profiles, as rows for any Arrow reader: a row a profile and subject, in order of profiles' ids.

        `type`: "device", "consent", "membership", "list" or "suppress". Columns `profile_id`, the subject's (`id`;
        `channel` and `topic`; `kind` and `id` of the group; `name`; none), `state`, `first_time` (when the profile was
        first told of it), `since` (in this state), `time` (the latest operation of this state: a device's last sight),
        then its texts (`platform`, `source`, `role`, ..). Also what was left, removed or is dead: ask by its `state`.
        `where`: only of these profiles. Otherwise as `events`. Cost: 0.3 µs a row.

        >>> store = Store.open()
        >>> _ = store.set_consent({"user_id": "u1"}, "email", "subscribed", source="form")
        >>> store.facts("consent").names
        ['profile_id', 'channel', 'topic', 'state', 'first_time', 'since', 'time', 'source']
        """
        return self._rows(facts_spec(type, where), now_ms)

    def groups(
        self, kind: str | None = None, *, columns: Sequence[ColumnSpec] | None = None, now_ms: int | None = None
    ) -> ArrowRows:
        """Groups as rows for any Arrow reader, in the order that they were first told of.

        Columns `kind`, `id`, `created`, then one a trait and type. `kind`: only these; `columns`: only these traits.
        Who is in them: `facts("membership")`. Otherwise as `profiles`.

        >>> store = Store.open()
        >>> _ = store.set_group("company", "acme", {"plan": "pro"})
        >>> store.groups("company").names
        ['kind', 'id', 'created', 'plan']
        """
        return self._rows(groups_spec(kind, columns), now_ms)

    def _rows(self, spec: Mapping[str, Any], now_ms: int | None) -> ArrowRows:
        packed, at_ms = _pack_spec(spec), _instant(now_ms)
        return self._with_zones(packed, lambda: ArrowRows(self._engine.bind_export(packed, at_ms)))

    def group(self, kind: str, group_id: str, *, now_ms: int | None = None) -> GroupAnswer | None:
        """One group: its traits with their history. None when unknown. Cost: a few µs.

        >>> store = Store.open()
        >>> _ = store.set_group("company", "acme", {"plan": "pro"}, now_ms=1_700_000_000_000)
        >>> store.group("company", "acme", now_ms=1_700_000_000_000).traits
        {'plan': 'pro'}
        """
        try:
            answer: GroupAnswer | None = self._engine.group(
                _text(kind, "kind"), _text(group_id, "id"), _instant(now_ms)
            )
        except _core.CoreError as error:
            raise from_core(*error.args) from None
        return answer

    # ---- live segments

    def watch(self, name: str, predicate: Mapping[str, Any] | None, *, now_ms: int | None = None) -> int:
        """Keeps the predicate's members live under `name`; None stops it. Present members enter without transitions.

        A zone that the predicate names is written into the definition with its table, so that the log means the same
        whatever the machine's zones say; windows of the calendar without one are in UTC, their weeks from Monday.
        """
        return self.define("watch", name, None if predicate is None else predicate, now_ms=now_ms)

    def define(self, kind: str, name: str, body: Mapping[str, Any] | None, *, now_ms: int | None = None) -> int:
        """Puts a definition into the log; None removes it. Returns the sequence it was applied at.

        `kind` is a word of a-z, 0-9 and _ (the store's own: `watch`, a live segment; `retention` and `blocked`, see
        `set_retention` and `block`), `body` a map with strings as keys. Raises `InvalidRequest` (definition.invalid)
        for anything else, `BadQuery` for a watch's bad predicate.
        """
        packed = b"" if body is None else _pack_body(zones.with_tables(body) if kind == "watch" else body)
        with _translated():
            ticket = self._engine.submit_define(_instant(now_ms), _text(kind, "kind"), _text(name, "name"), packed)
            return _ack(self._engine.wait(ticket), {}).sequence

    def _define(self, kind: str, name: str, body: Mapping[str, Any] | None, now_ms: int | None) -> int:
        return self.define(kind, name, body, now_ms=now_ms)

    def schema(self) -> Schema:
        """Event names with first and last seen, volume and types of properties; traits with types; blocked names.

        As of the newest batch. Counted as batches come in (about 2 ns an event); a call costs about 0.2 µs a name and
        key.

        >>> store = Store.open()
        >>> ids = {"user_id": "u1"}
        >>> _ = store.append([{"type": "event", "name": "Charged", "ids": ids, "properties": {"price": price}}
        ...     for price in (5, 7, "free")], now_ms=1_700_000_000_000)
        >>> seen = store.schema().event("Charged")
        >>> seen.volume, seen.properties
        (3, {'price': {'int': 2, 'string': 1}})
        """
        with _translated():
            return schema_from_core(self._engine.schema())

    def definitions(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(kind, name, body) of every definition alive."""
        with _translated():
            found = self._engine.definitions()
        return [(kind, name, msgpack.unpackb(body, timestamp=3)) for kind, name, body in found]

    def members(self, name: str) -> Any:
        """Profile ids in the live segment, ascending uint64."""
        with _translated():
            return self._engine.members(_text(name, "name"))

    def transitions(self, cursor: int = 0, limit: int = 10_000) -> list[Transition]:
        """Entries and exits after `cursor`, oldest first. Cursors are the same after every restart."""
        with _translated():
            return [
                Transition(row_cursor, segment, profile_id, entered, time_ms, sequence, cause)
                for row_cursor, segment, profile_id, entered, sequence, time_ms, cause in self._engine.transitions(
                    cursor, limit
                )
            ]

    def tick(self, now_ms: int | None = None) -> int:
        """Advances engine time, which alone lets windows expire. Returns the sequence."""
        with _translated():
            ticket = self._engine.submit_tick(_instant(now_ms))
            return _ack(self._engine.wait(ticket), {}).sequence

    # ---- care

    def seal(self) -> None:
        """Brings the newest rows into order now (it happens by itself)."""
        with _translated():
            self._engine.seal_now()

    def compact(self) -> None:
        """Merges until nothing is worth merging and no merged profile is left apart. Cost: ~0.1 µs an event."""
        with _translated():
            self._engine.compact()

    def digest(self) -> str:
        """SHA-256 by value over profiles, rows, traits, links, dedupe window and live segments: equal after replay."""
        with _translated():
            return self._engine.digest()

    def memory(self) -> dict[str, dict[str, int]]:
        """Bytes and counts by part of the store; `log_files` are bytes on disk. `failed_seals` and `failed_merges` are
        there when memory ran out for one: they were tried again, nothing is lost, but the store is short of memory."""
        with _translated():
            return {part: {"size_bytes": size, "count": count} for part, size, count in self._engine.memory()}

    def stages(self) -> dict[str, tuple[int, int]]:
        """How often each stage of the way in ran since opening, and its nanoseconds altogether.

        `decode` a batch, `log` a group (write and sync), `apply` a group, `watch` what it touched.

        >>> store = Store.open()
        >>> _ = store.append([{"type": "event", "name": "App Launched", "ids": {"user_id": "u1"}}])
        >>> store.stages()["decode"][0]
        1
        """
        return self._engine.stages()

    def stats(self) -> StoreStats:
        """How much the store holds: events, profiles, bytes. Cost: ~1 ms for a thousand chunks, a look at each profile.

        >>> store = Store.open()
        >>> _ = store.append([{"type": "event", "name": "App Launched", "ids": {"user_id": "u1"}}])
        >>> stats = store.stats()
        >>> stats.events, stats.profiles, stats.identities, stats.memory_bytes > 0
        (1, 1, 1, True)
        """
        parts = self.memory()
        on_disk = parts.pop(_LOG_PART, {"size_bytes": 0})
        everybody = self.query({"kind": "profiles", "where": _EVERYBODY, "limit": 0})
        return StoreStats(
            events=parts["rows"]["count"] + parts["tail"]["count"],
            profiles=everybody.notes["count"],
            identities=parts["identities"]["count"],
            watermark=everybody.watermark,
            engine_ms=self.engine_ms,
            log_bytes=on_disk["size_bytes"],
            memory={part: fields["size_bytes"] for part, fields in parts.items()},
        )

    def verify(self) -> None:
        """Reads the log again and checks every chunk. Raises `Corruption` with file and offset."""
        with _translated():
            self._engine.verify()

    @property
    def engine_ms(self) -> int:
        """Engine time: of the newest tick or batch. 0 in a store that has seen none."""
        return self._engine.engine_ms()

    @property
    def watermark(self) -> int:
        """Sequence of the newest record that reads see."""
        return self._engine.watermark()


class _translated:
    """Errors of the core as those of `cdpstore.errors`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _core.CoreError):
            raise from_core(*error.args) from None


def _named_zone(packed: bytes, error: _core.CoreError) -> str | None:
    """The zone that the core lacks and we have; None for any other error."""
    if error.args[1] != _ZONE_UNKNOWN:
        return None
    node = msgpack.unpackb(packed, timestamp=3, strict_map_key=False)
    for part in re.findall(r"[^.\[\]]+", error.args[3]):
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node if zones.is_zone(node) else None


def _table(answer: _core.Table) -> Table:
    columns = [answer.column(index) for index in range(len(answer.names))]
    return Table.from_core((answer.names, columns, answer.watermark, answer.now_ms, answer.notes))


def _profile_spec(ids: Ids | int, events: Mapping[str, Any] | None, when: dict[str, Any] | None) -> dict[str, Any]:
    who = {"profile": ids} if isinstance(ids, int) else {"ids": dict(ids)}
    return {"kind": "profile", **who, **(when or {}), "events": dict(events or {})}


class _Packers(threading.local):
    """One packer a thread: making one allocates a megabyte."""

    def __init__(self) -> None:
        self.spec = msgpack.Packer(datetime=True)


_packers = _Packers()


def _instant(now_ms: int | None) -> int:
    if now_ms is None:
        return _now_ms()
    if isinstance(now_ms, int) and -_INSTANT_MOST_MS <= now_ms <= _INSTANT_MOST_MS:
        return now_ms
    raise InvalidRequest("query.invalid", f"expected milliseconds since 1970, got {now_ms!r:.100}", path="now_ms")


def _text(text: str, path: str) -> str:
    if isinstance(text, str) and not any("\ud800" <= letter <= "\udfff" for letter in text):
        return text
    raise InvalidRequest("definition.invalid", f"expected a text, got {text!r:.100}", path=path)


def _pack_spec(spec: Mapping[str, Any]) -> bytes:
    try:
        packed: bytes = _packers.spec.pack(spec)
    except (TypeError, ValueError, OverflowError) as error:
        raise refused(spec, error) from None
    return packed


def _pack_body(body: Mapping[str, Any]) -> bytes:
    if not isinstance(body, Mapping):
        raise InvalidRequest("definition.invalid", f"expected a map, got {type(body).__name__}", path="body")
    try:
        return _pack_spec(dict(body))
    except BadQuery as error:
        raise InvalidRequest("definition.invalid", error.message, path="body") from None


def _pack(batch: bytes | Sequence[Mapping[str, Any]]) -> tuple[bytes, dict[int, str]]:
    """The batch packed, and what is wrong with records that cannot be (they are sent as nil and come back as
    rejects)."""
    if isinstance(batch, bytes | bytearray | memoryview):
        return bytes(batch), {}
    if isinstance(batch, Mapping | str) or not isinstance(batch, Sequence):
        raise BadFrame("batch.not_an_array", "a batch is a list of records or the bytes of a msgpack array")
    try:
        return msgpack.packb(batch, datetime=True), {}
    except (TypeError, ValueError, OverflowError):
        return _pack_each(batch)  # type: ignore[arg-type]  # bytes went above


def _pack_each(batch: Iterable[Mapping[str, Any]]) -> tuple[bytes, dict[int, str]]:
    packer = msgpack.Packer(datetime=True)
    parts: list[bytes] = []
    unpackable: dict[int, str] = {}
    for index, record in enumerate(batch):
        try:
            parts.append(msgpack.packb(record, datetime=True))
        except (TypeError, ValueError, OverflowError) as error:
            parts.append(packer.pack(None))
            unpackable[index] = str(error)
    return packer.pack_array_header(len(parts)) + b"".join(parts), unpackable


def _ack(raw: tuple[int, int, int, list[tuple[int, str, str, str, str]]], unpackable: Mapping[int, str]) -> Ack:
    sequence, accepted, duplicates, rejects = raw
    return Ack(
        sequence=sequence,
        accepted=accepted,
        duplicates=duplicates,
        rejects=tuple(
            Reject(index, _REJECT_UNPACKABLE, "", "", f"a value of the documented types: {unpackable[index]}")
            if index in unpackable
            else Reject(index, code, path, value, expected)
            for index, code, path, value, expected in rejects
        ),
    )
