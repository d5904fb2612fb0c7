"""Facts by their definition: what is told of a profile from a time on, about a device, a channel, a group, a list.

All operations of a profile's origins on one subject, in order of (time, log), come to its state; nothing else does.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cdpstore.model import Change, Consent, Device, Listed, Membership, Suppression
from cdpstore.testing.decode import is_utf8
from cdpstore.testing.fields import refuse
from cdpstore.testing.identity import Identified

__all__ = [
    "DROPPED",
    "FORMS",
    "Fact",
    "FactOperation",
    "FactRecord",
    "changes_of",
    "check_fact",
    "consents_of",
    "devices_of",
    "fold_facts",
    "groups_of",
    "lists_of",
    "suppression_of",
    "text_of",
]


@dataclasses.dataclass(frozen=True)
class Form:
    """`subjects` and `texts` by name, with the bytes they may have; those that `stay` do so until told otherwise."""

    subjects: dict[str, int]
    required: tuple[str, ...]
    states: tuple[str, ...]
    texts: dict[str, int]
    stay: tuple[str, ...] = ()


FORMS: Final[dict[str, Form]] = {
    "device": Form(
        {"id": 512},
        ("ids", "id"),
        ("seen", "dead"),
        {"platform": 256, "token": 4096, "app_version": 256, "zone": 256, "reason": 256},
        ("platform", "token", "app_version", "zone"),
    ),
    "consent": Form(
        {"channel": 256, "topic": 256},
        ("ids", "channel", "state"),
        ("unsubscribed", "pending", "subscribed", "opted_in"),
        {"source": 256},
    ),
    "suppress": Form({}, ("ids",), ("suppressed", "lifted"), {"reason": 256}),
    "membership": Form({"kind": 256, "id": 512}, ("ids", "kind", "id"), ("joined", "left"), {"role": 256}),
    "list": Form({"name": 256}, ("ids", "name"), ("added", "removed"), {}),
}
DROPPED: Final = ("device", "membership", "list")
"""Facts of which nothing is kept while a profile is suppressed."""


@dataclasses.dataclass(frozen=True)
class FactRecord:
    """One fact as logged; `subject` in the order of the form, None where left out."""

    type: str
    time_ms: int
    ids: list[Identified]
    subject: tuple[str | None, ...]
    state: str
    texts: dict[str, str | None]


@dataclasses.dataclass(frozen=True)
class FactOperation:
    """A fact behind apply; `order` is its place in the log."""

    type: str
    origin: int
    subject: tuple[str | None, ...]
    state: str
    texts: dict[str, str | None]
    time_ms: int
    order: int

    def same_as(self, other: "FactOperation") -> bool:
        """Equal in all but its place in the log: then only the first is kept."""
        return dataclasses.replace(self, order=0) == dataclasses.replace(other, order=0)


@dataclasses.dataclass
class Fact:
    """What the operations on one subject come to."""

    subject: tuple[str | None, ...]
    first_ms: int
    state: str = ""
    since_ms: int = 0
    last_ms: dict[str, int] = dataclasses.field(default_factory=dict)
    texts: dict[str, str | None] = dataclasses.field(default_factory=dict)


def fold_facts(kind: str, operations: Iterable[FactOperation]) -> list[Fact]:
    """The facts of one type, by the first operation on each. REQUIRES: operations in order of (time, log)."""
    facts: dict[tuple[str | None, ...], Fact] = {}
    for operation in operations:
        if operation.type != kind:
            continue
        fact = facts.setdefault(operation.subject, Fact(operation.subject, operation.time_ms))
        if fact.state != operation.state:
            fact.state, fact.since_ms = operation.state, operation.time_ms
        fact.last_ms[operation.state] = operation.time_ms
        staying = {name: text for name, text in fact.texts.items() if name in FORMS[kind].stay}
        fact.texts = {**staying, **operation.texts}
    return list(facts.values())


def text_of(value: Any, name: str, bytes_max: int) -> str:
    """A text of 1 to so many bytes."""
    if not isinstance(value, str):
        refuse("record.field.type", name)
    if not 1 <= len(value.encode(errors="surrogateescape")) <= bytes_max:
        refuse("record.field.length", name)
    return value if is_utf8(value) else refuse("value.string.utf8", name)


def check_fact(kind: str, name: str, value: Any) -> str | None:
    """A subject, text or state of such a record, checked."""
    form = FORMS[kind]
    if name in form.subjects:
        return text_of(value, name, form.subjects[name])
    if name != "state":
        return None if value is None else text_of(value, name, form.texts[name])
    if not isinstance(value, str):
        refuse("record.field.type", name)
    return value if value in form.states else refuse("record.field.value", name)


def devices_of(facts: Sequence[Fact]) -> tuple[Device, ...]:
    """Devices as an answer tells them."""
    return tuple(
        Device(
            id=str(fact.subject[0]),
            **{name: fact.texts.get(name) for name in FORMS["device"].texts},
            first_seen_ms=fact.first_ms,
            last_seen_ms=fact.last_ms.get("seen"),
            dead_ms=fact.since_ms if fact.state == "dead" else None,
        )
        for fact in facts
    )


def consents_of(facts: Sequence[Fact]) -> tuple[Consent, ...]:
    """Consents as an answer tells them."""
    return tuple(
        Consent(str(fact.subject[0]), fact.subject[1], fact.state, fact.texts.get("source"), fact.last_ms[fact.state])
        for fact in facts
    )


def groups_of(facts: Sequence[Fact], groups: Mapping[tuple[str, str], dict[str, Any]]) -> tuple[Membership, ...]:
    """Memberships as an answer tells them; `groups` has the traits of each."""
    return tuple(
        Membership(*_named(fact), fact.texts.get("role"), fact.since_ms, groups[_named(fact)])
        for fact in facts
        if fact.state == "joined"
    )


def lists_of(facts: Sequence[Fact]) -> tuple[Listed, ...]:
    """Lists as an answer tells them."""
    return tuple(Listed(str(fact.subject[0]), fact.since_ms) for fact in facts if fact.state == "added")


def suppression_of(facts: Sequence[Fact]) -> Suppression | None:
    """The suppression as an answer tells it."""
    found = [fact for fact in facts if fact.state == "suppressed"]
    return Suppression(found[0].since_ms, found[0].texts.get("reason")) if found else None


def _named(fact: Fact) -> tuple[str, str]:
    kind, group_id = fact.subject
    return str(kind), str(group_id)


def changes_of(operations: Iterable[FactOperation]) -> tuple[Change, ...]:
    """The operations as an answer tells them."""
    return tuple(
        Change(
            each.type,
            {
                name: part
                for name, part in zip(FORMS[each.type].subjects, each.subject, strict=True)
                if part is not None
            },
            each.state,
            each.texts,
            each.time_ms,
        )
        for each in operations
    )
