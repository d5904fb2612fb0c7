"""The records that were accepted and what follows from them: dedupe, origins, links, rows, operations.

`apply` returns ACCEPTED, DUPLICATE, or the code and path of a reject that only the state could find. A reject and a
duplicate change nothing, though they are records of the log and take a sequence.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cdpstore.testing.facts import DROPPED, FORMS, FactOperation, FactRecord, fold_facts
from cdpstore.testing.identity import Identified, IdentityBook, Link, component, home
from cdpstore.testing.limits import LIMITS
from cdpstore.testing.records import EventRecord, GroupRecord, LoggedRecord, PairRecord, TraitsRecord, UnmergeRecord
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.traits import TraitOperation, fold
from cdpstore.testing.values import type_name

__all__ = ["ACCEPTED", "DUPLICATE", "History", "Outcome"]

Outcome = tuple[str, str]
ACCEPTED: Final = ("", "")
DUPLICATE: Final = ("duplicate", "")
BLOCKED: Final = ("event.name.blocked", "name")
SUPPRESSED: Final = ("profile.suppressed", "ids")
SYSTEM: Final = ("Message ", "Segment ")

_DAY_MS = 86_400_000


class History:
    """All that was accepted, in log order."""

    def __init__(self) -> None:
        self.book = IdentityBook()
        self.sequence = 0
        self.received_ms = 0
        self.tick_ms = 0
        self.blocked: dict[str, int] = {}
        self.trait_counts: Counter[tuple[str, str]] = Counter()
        self._rejected: Counter[str] = Counter()
        self._retention: list[tuple[int, Mapping[str, int]]] = []
        self._rows: list[Row] = []
        self._operations: list[TraitOperation] = []
        self._facts: list[FactOperation] = []
        self._groups: dict[tuple[str, str], int] = {}
        self._group_ms: dict[tuple[str, str], int] = {}
        self._group_operations: list[TraitOperation] = []
        self._links: list[Link] = []
        self._event_days: dict[Any, int] = {}
        self._created_ms: dict[int, int] = {}

    def apply(self, record: LoggedRecord, received_ms: int) -> Outcome:
        """Takes in one record; see the module for what it returns."""
        self.sequence += 1
        self.received_ms = max(self.received_ms, received_ms)
        self.tick_ms = max(self.tick_ms, received_ms)
        match record:
            case EventRecord():
                return self._event(record)
            case TraitsRecord():
                return self._traits(record)
            case PairRecord(type="identify"):
                return self._identify(record)
            case PairRecord():
                return self._merge(record)
            case UnmergeRecord():
                return self._unmerge(record)
            case FactRecord():
                return self._fact(record)
            case GroupRecord():
                return self._group(record)

    def people(self, now_ms: int, as_of_ms: int | None) -> list[Person]:
        """Every profile, ascending."""
        links = self._live_links(as_of_ms)
        homes = sorted({home(origin, links) for origin in range(len(self.book.identities))})
        return [self.person(each, now_ms, as_of_ms) for each in homes]

    def person(self, origin: int, now_ms: int, as_of_ms: int | None) -> Person:
        """The profile of an origin as it is seen at this instant."""
        links = self._live_links(as_of_ms)
        members = component(origin, links)
        until_ms = now_ms if as_of_ms is None else min(now_ms, as_of_ms)
        rows = [row for row in self.kept_rows(now_ms) if row.origin in members and row.time_ms <= until_ms]
        operations = self.operations_of(members, now_ms, as_of_ms)
        told = self.facts_of(members, until_ms)
        joined = [link for link in links if link.winner in members]
        return Person(
            profile_id=home(origin, links),
            origins=members,
            rows=sorted(rows, key=lambda row: row.event_order),
            traits=fold(members, joined, operations),
            facts={kind: fold_facts(kind, told) for kind in FORMS},
            groups=self.groups(until_ms),
            identities=[(kind, value) for kind, value, *_ in self.identities(members)],
            created_ms=self.created_ms(members),
            traits_at=lambda at_ms: fold(members, joined, [each for each in operations if each.time_ms <= at_ms]),
            traits_when=lambda of, at_ms: self.person(of, at_ms, at_ms).traits,
            trait_times=lambda key: {each.time_ms for each in operations if each.key == key},
        )

    def define_retention(self, rules: Mapping[str, int], now_ms: int) -> None:
        """From here on events stay so long, by name; `*` is every name that has no rule."""
        self.tick_ms = max(self.tick_ms, now_ms)
        self._retention.append((self.tick_ms, rules))

    def gone_until_ms(self, name: str, now_ms: int) -> int | None:
        """Up to when events of the name are past retention: what every rule there was reached while it held."""
        ends = [began_ms for began_ms, _ in self._retention[1:]] + [max(now_ms, self.tick_ms)]
        reached = [
            end_ms - rules.get(name, rules["*"] if "*" in rules else end_ms + 10**15)
            for (_, rules), end_ms in zip(self._retention, ends, strict=False)
        ]
        return max(reached, default=None)

    def kept_rows(self, now_ms: int) -> list[Row]:
        """Rows that retention leaves at this instant, future ones included."""
        if not self._retention:
            return self._rows
        return [row for row in self._rows if row.time_ms > (self.gone_until_ms(row.name, now_ms) or 0)]

    def block(self, name: str, now_ms: int) -> None:
        """Events of this name are rejected from here on."""
        self.tick_ms = max(self.tick_ms, now_ms)
        self.blocked[name] = self._rejected[name]

    def unblock(self, name: str, now_ms: int) -> None:
        """Events of this name are taken again."""
        self.tick_ms = max(self.tick_ms, now_ms)
        self.blocked.pop(name, None)

    def rows_ever(self) -> list[Row]:
        """Every row that was accepted."""
        return self._rows

    def operations_of(self, members: Sequence[int], now_ms: int, as_of_ms: int | None) -> list[TraitOperation]:
        """Visible trait operations of these origins by time, then log order."""
        until_ms = now_ms if as_of_ms is None else min(now_ms, as_of_ms)
        found = [each for each in self._operations if each.origin in members and each.time_ms <= until_ms]
        return sorted(found, key=lambda each: (each.time_ms, each.order))

    def facts_of(self, members: Sequence[int], until_ms: int) -> list[FactOperation]:
        """Visible operations of these origins on facts by time, then log order."""
        found = [each for each in self._facts if each.origin in members and each.time_ms <= until_ms]
        return sorted(found, key=lambda each: (each.time_ms, each.order))

    def groups(self, until_ms: int) -> dict[tuple[str, str], dict[str, Any]]:
        """The traits of every group."""
        return {name: fold([group], [], self.group_operations(name, until_ms)) for name, group in self._groups.items()}

    def group_operations(self, name: tuple[str, str], until_ms: int) -> list[TraitOperation]:
        """Visible operations on a group's traits by time, then log order."""
        group = self._groups.get(name)
        found = [each for each in self._group_operations if each.origin == group and each.time_ms <= until_ms]
        return sorted(found, key=lambda each: (each.time_ms, each.order))

    def identities(self, members: Iterable[int]) -> list[Identified]:
        """Identities of these origins, each origin's in order of first sight."""
        return [identity for origin in members for identity in self.book.identities[origin]]

    def created_ms(self, members: Iterable[int]) -> int | None:
        """The earliest time of any record that named one of them."""
        return min((self._created_ms[origin] for origin in members if origin in self._created_ms), default=None)

    def _event(self, record: EventRecord) -> Outcome:
        if record.name in self.blocked:
            self._rejected[record.name] += 1
            self.blocked[record.name] += 1
            return BLOCKED
        if not record.name.startswith(SYSTEM) and self._is_suppressed(record.ids):
            return SUPPRESSED
        if not self._is_fresh(record.event_id):
            return DUPLICATE
        origin = self._resolve(record.ids, record.time_ms)
        self._rows.append(Row(record.name, record.time_ms, origin, len(self._rows), record.properties))
        return ACCEPTED

    def _is_fresh(self, event_id: Any) -> bool:
        if event_id is None:
            return True
        day = self.received_ms // _DAY_MS
        seen = self._event_days.get(event_id)
        if seen is not None and seen > day - LIMITS["kDedupeDays"]:
            return False
        self._event_days[event_id] = day
        return True

    def _traits(self, record: TraitsRecord) -> Outcome:
        if self._is_suppressed(record.ids):
            return SUPPRESSED
        outcome = self._operate(self._operations, self._resolve(record.ids, record.time_ms), record)
        if outcome == ACCEPTED:
            self.trait_counts.update(
                (key, type_name(value)) for key, kind, value in record.operations if kind != "unset"
            )
        return outcome

    def group_created_ms(self, name: tuple[str, str]) -> int | None:
        """The earliest time of a record about the group's traits."""
        return self._group_ms.get(name)

    def _group(self, record: GroupRecord) -> Outcome:
        self._group_ms[record.group] = min(record.time_ms, self._group_ms.get(record.group, record.time_ms))
        group = self._groups.setdefault(record.group, len(self._groups))
        return self._operate(self._group_operations, group, record)

    def _operate(self, log: list[TraitOperation], origin: int, record: TraitsRecord | GroupRecord) -> Outcome:
        added: list[TraitOperation] = []
        for key, kind, value in record.operations:
            operation = TraitOperation(origin, key, kind, value, record.time_ms, self.sequence)
            kept = [each for each in (*log, *added) if each.origin == origin and each.key == key]
            if any(each.same_as(operation) for each in kept):
                continue
            if len(kept) >= LIMITS["kOperationsPerTrait"]:
                return "traits.operations.too_many", ""
            added.append(operation)
        log += added
        return ACCEPTED

    def _is_suppressed(self, ids: Sequence[Identified]) -> bool:
        """Whether the profile that a record of these identities belongs to is suppressed now."""
        origin = self.book.origin_of.get(ids[0])
        if origin is None:
            return False
        told = fold_facts("suppress", self.facts_of(self._members(origin), self.received_ms))
        return bool(told) and told[0].state == "suppressed"

    def _fact(self, record: FactRecord) -> Outcome:
        if record.type in DROPPED and self._is_suppressed(record.ids):
            return SUPPRESSED
        origin = self.book.origin_of.get(record.ids[0])
        fact = FactOperation(record.type, -1, record.subject, record.state, record.texts, record.time_ms, self.sequence)
        kept = [each for each in self._facts if each.origin == origin and each.type == record.type]
        is_repeat = any(dataclasses.replace(each, origin=-1).same_as(fact) for each in kept)
        if len(kept) >= LIMITS["kFactsPerOrigin"] and not is_repeat:
            return "fact.too_many", ""
        origin = self._resolve(record.ids, record.time_ms)
        if record.type == "membership":
            kind, group_id = record.subject
            self._groups.setdefault((str(kind), str(group_id)), len(self._groups))
        if not is_repeat:
            self._facts.append(dataclasses.replace(fact, origin=origin))
        return ACCEPTED

    def _identify(self, record: PairRecord) -> Outcome:
        anonymous, known = (self.book.origin_of.get(each) for each in (record.loser, record.winner))
        if anonymous is None:
            self.book.add(record.loser, self._resolve([record.winner], record.time_ms))
            return ACCEPTED
        if known is not None and self._home(known) == self._home(anonymous):
            return ACCEPTED
        if self.book.is_identified(self._members(anonymous)):
            return "identify.already_identified", "anonymous"
        return self._join(self._resolve([record.winner], record.time_ms), anonymous, record.time_ms)

    def _merge(self, record: PairRecord) -> Outcome:
        loser, winner = (self.book.origin_of.get(each) for each in (record.loser, record.winner))
        if loser is None:
            return "merge.unknown_identity", "loser"
        if winner is None:
            return "merge.unknown_identity", "winner"
        return self._join(winner, loser, record.time_ms)

    def _join(self, winner: int, loser: int, time_ms: int) -> Outcome:
        if self._home(winner) == self._home(loser):
            return ACCEPTED
        if len(self._members(winner)) + len(self._members(loser)) > LIMITS["kOriginsPerProfile"]:
            return "merge.too_large", ""
        link_ms = min(time_ms, self.received_ms)
        self._links.append(Link(self._home(winner), self._home(loser), self.sequence, link_ms))
        return ACCEPTED

    def _unmerge(self, record: UnmergeRecord) -> Outcome:
        for link in self._links:
            if link.sequence == record.sequence and link.lives(None):
                link.dead_sequence = self.sequence
                link.dead_from_ms = min(record.time_ms, self.received_ms)
                return ACCEPTED
        return "unmerge.unknown_link", "sequence"

    def _resolve(self, ids: Sequence[Identified], time_ms: int) -> int:
        origin = self.book.resolve(ids)
        self._created_ms[origin] = min(time_ms, self._created_ms.get(origin, time_ms))
        return origin

    def _live_links(self, as_of_ms: int | None) -> list[Link]:
        return [link for link in self._links if link.lives(as_of_ms)]

    def _home(self, origin: int) -> int:
        return home(origin, self._live_links(None))

    def _members(self, origin: int) -> list[int]:
        return component(origin, self._live_links(None))
