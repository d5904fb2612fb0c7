"""Yes or no about a profile: traits, facts, and what is made of them by & | and ~. What it did: `did.py`.

>>> (on_list("vip") & trait("plan").eq("trial")).spec()["and"][1]
{'trait': 'plan', 'op': 'eq', 'value': 'trial'}
>>> (~is_suppressed()).spec()
{'not': {'suppressed': True}}
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from cdpstore.query.comparison import Comparison, Condition
from cdpstore.query.where import Conditional

__all__ = [
    "HasDevice",
    "InGroup",
    "Predicate",
    "TraitPredicate",
    "consent",
    "has_device",
    "in_group",
    "is_suppressed",
    "on_list",
    "predicate_spec",
    "trait",
]


class Predicate(ABC):
    """What can be joined with &, | and ~."""

    __slots__ = ()

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The predicate as a spec."""

    def __and__(self, other: "Predicate") -> "Predicate":
        return _Joined("and", (*_parts("and", self), *_parts("and", other)))

    def __or__(self, other: "Predicate") -> "Predicate":
        return _Joined("or", (*_parts("or", self), *_parts("or", other)))

    def __invert__(self) -> "Predicate":
        return _Not(self)

    def __bool__(self) -> bool:
        raise TypeError("a predicate has no truth of its own: join with & | ~ instead of and, or, not")


@dataclasses.dataclass(frozen=True, slots=True)
class _Joined(Predicate):
    word: str
    parts: tuple[Predicate, ...]

    def spec(self) -> dict[str, Any]:
        return {self.word: [part.spec() for part in self.parts]}


@dataclasses.dataclass(frozen=True, slots=True)
class _Not(Predicate):
    part: Predicate

    def spec(self) -> dict[str, Any]:
        return {"not": self.part.spec()}


@dataclasses.dataclass(frozen=True, slots=True)
class TraitPredicate(Predicate):
    """A condition on a trait, and perhaps for how long it has held."""

    key: str
    condition: Condition

    def for_at_least(self, duration: str | int) -> "TraitPredicate":
        """It has held without interruption for so long, by the trait's history."""
        return TraitPredicate(self.key, {**self.condition, "has_been": {"at_least": duration}})

    def for_less_than(self, duration: str | int) -> "TraitPredicate":
        """It holds, and not yet for so long.

        >>> trait("plan").eq("pro").for_less_than("30d").spec()["has_been"]
        {'less_than': '30d'}
        """
        return TraitPredicate(self.key, {**self.condition, "has_been": {"less_than": duration}})

    def spec(self) -> dict[str, Any]:
        return {"trait": self.key, **self.condition}


def trait(key: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Predicate]:
    """A condition on a trait, completed by its operator."""
    return Comparison(lambda condition: TraitPredicate(key, condition), ignore_case=ignore_case, missing=missing)


@dataclasses.dataclass(frozen=True, slots=True)
class _Consent(Predicate):
    channel: str
    topic: str | None
    condition: Condition

    def spec(self) -> dict[str, Any]:
        topic = {} if self.topic is None else {"topic": self.topic}
        return {"consent": self.channel, **topic, **self.condition}


@dataclasses.dataclass(frozen=True, slots=True)
class HasDevice(Conditional, Predicate):
    """The profile has a device that meets all conditions, one and the same.

    They are on id, platform, token, app_version, zone, reason, dead, first_seen or last_seen.
    """

    conditions: tuple[Condition, ...] = ()

    def _meeting(self, condition: Condition) -> "HasDevice":
        return HasDevice((*self.conditions, condition))

    def spec(self) -> dict[str, Any]:
        return {"device": list(self.conditions)}


@dataclasses.dataclass(frozen=True, slots=True)
class InGroup(Conditional, Predicate):
    """The profile is in a group of this kind (any, when None) that meets all conditions.

    They are on traits of the group, on `$id`, or on `$role`, the member's.
    """

    kind: str | None
    conditions: tuple[Condition, ...] = ()

    def _meeting(self, condition: Condition) -> "InGroup":
        return InGroup(self.kind, (*self.conditions, condition))

    def spec(self) -> dict[str, Any]:
        where = {"where": list(self.conditions)} if self.conditions else {}
        return {"group": self.kind, **where}


@dataclasses.dataclass(frozen=True, slots=True)
class _State(Predicate):
    word: str
    value: str | bool

    def spec(self) -> dict[str, Any]:
        return {self.word: self.value}


def in_group(kind: str | None = None) -> InGroup:
    """The profile is in a group of this kind, or of any.

    >>> in_group("company").where("plan").eq("pro").where("$role").eq("admin").spec()["where"][1]
    {'property': '$role', 'op': 'eq', 'value': 'admin'}
    """
    return InGroup(kind)


def on_list(name: str) -> Predicate:
    """The profile is on the list.

    >>> (on_list("vip") & ~is_suppressed()).spec()
    {'and': [{'list': 'vip'}, {'not': {'suppressed': True}}]}
    """
    return _State("list", name)


def is_suppressed() -> Predicate:
    """Nothing more is kept of the profile."""
    return _State("suppressed", True)


def consent(channel: str, topic: str | None = None) -> Comparison[Predicate]:
    """A condition on what the profile agreed to on a channel, or on a topic of it; missing when it never said.

    >>> consent("email").is_in("subscribed", "opted_in").spec()
    {'consent': 'email', 'op': 'in', 'value': ['subscribed', 'opted_in']}
    """
    return Comparison(lambda condition: _Consent(channel, topic, condition))


def has_device() -> HasDevice:
    """The profile has a device, dead or alive.

    >>> has_device().where("platform").eq("ios").where("dead").eq(False).spec()["device"][1]
    {'property': 'dead', 'op': 'eq', 'value': False}
    """
    return HasDevice()


def predicate_spec(predicate: Predicate | Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a predicate, or the dict that already is one."""
    return predicate.spec() if isinstance(predicate, Predicate) else dict(predicate)


def _parts(word: str, predicate: Predicate) -> tuple[Predicate, ...]:
    if isinstance(predicate, _Joined) and predicate.word == word:
        return predicate.parts
    return (predicate,)
