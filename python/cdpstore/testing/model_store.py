"""`ModelStore`: what the store means, in plain Python, with the face of `Store`.

Nothing is indexed and nothing is kept folded: it holds the records that were accepted, and every read computes its
answer from them by definition. Slow (quadratic in places) and obviously right: the oracle that the real store is
compared with, and a stand-in for tests of code that uses a store.

>>> store = ModelStore.open()
>>> ack = store.append([{"type": "event", "name": "Seen", "ids": {"user_id": "u1"}}], now_ms=1_700_000_000_000)
>>> ack.accepted, store.query({"kind": "trend", "event": "Seen"}, now_ms=1_700_000_000_000).rows()
(1, [(1,)])
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import msgpack

from cdpstore.errors import BadFrame
from cdpstore.model import Ack, Event, Identity, Operation, Record, Reject
from cdpstore.query import Question, to_spec
from cdpstore.rules import Rules
from cdpstore.schema import Schema
from cdpstore.table import GroupAnswer, ProfileAnswer, Table
from cdpstore.testing import export
from cdpstore.testing.breakdowns import segment_names, spread, with_predicates
from cdpstore.testing.calendars import Moment, absolute
from cdpstore.testing.clause_spec import common_fields, predicate
from cdpstore.testing.clauses import holds, own_values
from cdpstore.testing.decode import decode
from cdpstore.testing.durations import durations
from cdpstore.testing.event_spec import in_calendar
from cdpstore.testing.facts import changes_of, consents_of, devices_of, groups_of, lists_of, suppression_of
from cdpstore.testing.history import ACCEPTED, DUPLICATE, History
from cdpstore.testing.identity import KINDS as KINDS_OF_IDENTITY
from cdpstore.testing.identity import normalise
from cdpstore.testing.kinds import KINDS
from cdpstore.testing.kinds import profile as profile_kind
from cdpstore.testing.kinds.equal_buckets import with_equal_borders
from cdpstore.testing.local_clauses import written_out
from cdpstore.testing.population import with_cuts
from cdpstore.testing.profile_clocks import check_clock, with_clocks
from cdpstore.testing.records import Defect, LoggedRecord, canonical
from cdpstore.testing.retained import check_kept, events_read
from cdpstore.testing.rows import Person
from cdpstore.testing.schema import schema_of
from cdpstore.testing.spec import Fields, bad
from cdpstore.testing.value_tests import at_instant
from cdpstore.testing.view import View, resolved
from cdpstore.writes import Writes
from cdpstore.zones import TABLE

__all__ = ["ModelStore"]

Ids = Mapping[str, str | int]


class ModelStore(Writes[Ack], Rules[int]):
    """Profiles, events and questions by definition. One thread; `now_ms` must be given and never goes back."""

    def __init__(self) -> None:
        self._history = History()
        self._segments: dict[str, dict[str, Any]] = {}
        self._acks: dict[tuple[bytes, int, int], Ack] = {}

    @classmethod
    def open(cls) -> Self:
        """An empty store."""
        return cls()

    def close(self) -> None:
        """Nothing to give back."""

    @property
    def watermark(self) -> int:
        """Sequence of the newest record."""
        return self._history.sequence

    def append(
        self,
        batch: bytes | Sequence[Mapping[str, Any]],
        *,
        producer: tuple[bytes, int, int] | None = None,
        now_ms: int,
        system: bool = False,
    ) -> Ack:
        """Judges each record, takes in the good ones; the ack counts every record once."""
        if producer is not None and producer in self._acks:
            return self._acks[producer]
        logged: list[tuple[int, LoggedRecord]] = []
        rejects: list[Reject] = []
        for index, raw in enumerate(decode(_packed(batch))):
            try:
                logged.append((index, canonical(raw, now_ms, system=system)))
            except Defect as defect:
                rejects.append(Reject(index, defect.code, defect.path))
        accepted, duplicates = self._apply(logged, rejects, now_ms)
        ack = Ack(self.watermark, accepted, duplicates, tuple(sorted(rejects, key=lambda each: each.index)))
        if producer is not None:
            self._acks[producer] = ack
        return ack

    def _write(self, records: Sequence[Record], now_ms: int | None) -> Ack:
        assert now_ms is not None, "a model store has no clock"
        return self.append(records, now_ms=now_ms)

    def _define(self, kind: str, name: str, body: Mapping[str, Any] | None, now_ms: int | None) -> int:
        assert now_ms is not None, "a model store has no clock"
        if kind == "retention":
            self._history.define_retention(durations(body or {}), now_ms)
        elif body is None:
            self._history.unblock(name, now_ms)
        else:
            self._history.block(name, now_ms)
        return self.watermark

    def schema(self) -> Schema:
        """What has come in."""
        return schema_of(self._history)

    def query(self, spec: Mapping[str, Any] | Question, *, now_ms: int | None = None) -> Table:
        """The answer to a query, computed from the records; raises `BadQuery` with a path."""
        fields = Fields(to_spec(spec), "")
        kind = fields.require("kind", _kind_of)
        common = common_fields(fields)
        parse, answer = KINDS[kind]
        own = parse(fields, common)
        fields.done()
        if common["clock"] is not None:
            check_clock(kind, to_spec(spec), common)
        now_ms = self._now(common, now_ms)
        calendar = (common["zone"], common["week_start"])
        moment = Moment(now_ms, *calendar)
        start_ms, end_ms = resolved(common["range"] and absolute(common["range"], moment), now_ms)
        people = self._people(now_ms, common["as_of_ms"])
        own = with_cuts(at_instant(own, common["zone"], now_ms), people, moment)

        def meant(where: dict[str, Any]) -> Any:
            # As the live segment means it: its zone is UTC, whatever the question's.
            named = written_out(
                where,
                lambda reference: at_instant(in_calendar(self._segment(reference), "UTC", "monday"), "UTC", now_ms),
            )
            return with_cuts(at_instant(named, common["zone"], now_ms), people, moment)

        breakdown = common["breakdown"] = with_predicates(common["breakdown"], meant)
        if common["where"] is not None:
            where = meant(common["where"])
            people = [person for person in people if holds(where, person, moment)]
        else:
            where = None
        if common["as_of_ms"] is not None:
            check_kept(self._history, events_read([own, breakdown, where]), common["as_of_ms"], "as_of_ms")
        people = [_knowing_itself(person, moment) for person in people]
        people = [each for person in people for each in spread(person, breakdown, moment)]
        view = View(people, self.watermark, now_ms, start_ms, end_ms, *calendar, bool(breakdown))
        view = view if common["clock"] is None else with_clocks(view, common)
        common["breakdown"], notes = with_equal_borders(view, kind, {**common, **own})
        view = dataclasses.replace(view, segments=segment_names(common["breakdown"]))
        table = answer(view, {**common, **own})
        table.notes.update(notes)
        if common["zone"] != "UTC":
            table.notes["zone_table"] = TABLE
        return table

    def watch(self, name: str, segment: Mapping[str, Any] | None, *, now_ms: int | None = None) -> None:
        """Keeps the definition of a live segment, for predicates that name it; what it names must be there. None
        removes it."""
        del now_ms  # when it was defined changes nothing
        if segment is None:
            self._segments.pop(name, None)
            return
        fresh = predicate(segment, "")
        self._segments[name] = written_out(fresh, self._segment)

    def _segment(self, reference: dict[str, Any]) -> dict[str, Any]:
        if reference["segment"] not in self._segments:
            bad(reference["path"], "no live segment has this name")
        return self._segments[reference["segment"]]

    def profile(
        self,
        ids: Ids | int,
        *,
        events: Mapping[str, Any] | None = None,
        now_ms: int | None = None,
        as_of_ms: int | None = None,
    ) -> ProfileAnswer | None:
        """One profile whole, as it is or as it was valid at `as_of_ms`; None when unknown."""
        now_ms = self._now({"now_ms": now_ms, "as_of_ms": as_of_ms}, None)
        origin = self._origin_of(ids)
        if origin is None:
            return None
        person = self._history.person(origin, now_ms, as_of_ms)
        options = profile_kind.parse_events(dict(events) if events is not None else None)
        if as_of_ms is not None and (options is None or options["limit"] != 0):
            check_kept(self._history, set((options or {}).get("names") or [None]), as_of_ms, "as_of_ms")
        return ProfileAnswer(
            profile_id=person.profile_id,
            identities=tuple(Identity(*each) for each in self._history.identities(person.origins)),
            traits=person.traits,
            trait_history=tuple(
                Operation(each.key, each.kind, each.value, each.time_ms)
                for each in self._history.operations_of(person.origins, now_ms, as_of_ms)
            ),
            events=tuple(
                Event(row.name, row.time_ms, row.properties) for row in profile_kind.events_of(person.rows, options)
            ),
            created_ms=self._history.created_ms(person.origins),
            watermark=self.watermark,
            now_ms=now_ms,
            devices=devices_of(person.facts["device"]),
            consents=consents_of(person.facts["consent"]),
            changes=changes_of(self._history.facts_of(person.origins, now_ms)),
            groups=groups_of(person.facts["membership"], person.groups),
            lists=lists_of(person.facts["list"]),
            suppression=suppression_of(person.facts["suppress"]),
        )

    def segments_of(self, ids: Ids | int, *, now_ms: int | None = None) -> tuple[str, ...] | None:
        """Names of the live segments that the profile is in, by asking each for all its profiles; None when unknown."""
        answer = self.profile(ids, now_ms=now_ms)
        if answer is None:
            return None

        def members(name: str) -> list[int]:
            table = self.query({"kind": "profiles", "where": {"segment": name}}, now_ms=now_ms)
            return [row[0] for row in table.rows()]

        return tuple(name for name in sorted(self._segments, key=str.encode) if answer.profile_id in members(name))

    def group(self, kind: str, group_id: str, *, now_ms: int | None = None) -> GroupAnswer | None:
        """One group with its traits; None when unknown."""
        now_ms = self._history.received_ms if now_ms is None else now_ms
        traits = self._history.groups(now_ms).get((kind, group_id))
        if traits is None:
            return None
        operations = self._history.group_operations((kind, group_id), now_ms)
        history = tuple(Operation(each.key, each.kind, each.value, each.time_ms) for each in operations)
        created_ms = self._history.group_created_ms((kind, group_id))
        return GroupAnswer(kind, group_id, traits, history, created_ms, self.watermark, now_ms)

    def export(self, spec: Mapping[str, Any], *, now_ms: int | None = None) -> Table:
        """The rows of `Store.events` or `Store.profiles` for the same spec, as a table of plain values."""
        return export.answer(self._history, spec, self._history.received_ms if now_ms is None else now_ms)

    def _apply(
        self, logged: Iterable[tuple[int, LoggedRecord]], rejects: list[Reject], received_ms: int
    ) -> tuple[int, int]:
        outcomes = [(index, self._history.apply(record, received_ms)) for index, record in logged]
        rejects += [Reject(index, *outcome) for index, outcome in outcomes if outcome not in (ACCEPTED, DUPLICATE)]
        kinds = [outcome for _, outcome in outcomes]
        return kinds.count(ACCEPTED), kinds.count(DUPLICATE)

    def _now(self, common: Mapping[str, Any], now_ms: int | None) -> int:
        given, as_of_ms = common["now_ms"], common["as_of_ms"]
        if as_of_ms is not None and given is not None and given > as_of_ms:
            bad("now_ms", "expected an instant not after as_of_ms: what lies later is hidden")
        return next((int(each) for each in (given, as_of_ms, now_ms) if each is not None), self._history.received_ms)

    def _people(self, now_ms: int, as_of_ms: int | None) -> list[Person]:
        return self._history.people(now_ms, as_of_ms)

    def _origin_of(self, ids: Ids | int) -> int | None:
        if isinstance(ids, int):
            return ids if ids < len(self._history.book.identities) else None
        by_rank = sorted(ids.items(), key=lambda entry: KINDS_OF_IDENTITY[entry[0]].rank)
        found = [self._history.book.origin_of.get((kind, normalise(kind, str(value)))) for kind, value in by_rank]
        return next((origin for origin in found if origin is not None), None)


def _kind_of(node: Any, path: str) -> str:
    if not isinstance(node, str) or node not in KINDS:
        bad(path, f"expected one of {', '.join(KINDS)}")
    return node


def _knowing_itself(person: Person, moment: Moment) -> Person:
    own = own_values(person, moment)
    return dataclasses.replace(person, rows=[dataclasses.replace(row, own=own) for row in person.rows])


def _packed(batch: bytes | Sequence[Mapping[str, Any]]) -> bytes:
    if isinstance(batch, bytes | bytearray | memoryview):
        return bytes(batch)
    if isinstance(batch, Mapping | str) or not isinstance(batch, Sequence):
        raise BadFrame("batch.not_an_array", "a batch is a list of records or the bytes of a msgpack array")
    packed = msgpack.packb(batch, datetime=True)
    assert isinstance(packed, bytes)
    return packed
