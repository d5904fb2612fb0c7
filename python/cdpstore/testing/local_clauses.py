"""Clauses on one profile apart from its facts and events, by definition."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from cdpstore.model import datetime_of
from cdpstore.testing.durations import milliseconds
from cdpstore.testing.places import is_within
from cdpstore.testing.predicates import passes
from cdpstore.testing.rows import Person
from cdpstore.zones import is_zone

__all__ = ["LOCAL", "bucket_of", "has_been", "in_zones_of", "written_out", "zone_kept"]


def bucket_of(profile_id: int, salt: str) -> int:
    """Where a profile falls among 10,000 by this salt, as `docs/architecture.md` defines it.

    >>> bucket_of(0, "a"), bucket_of(1, "a")
    (3779, 3215)
    """
    number = 0xCBF29CE484222325
    for byte in salt.encode() + profile_id.to_bytes(8, "little"):
        number = ((number ^ byte) * 0x100000001B3) % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        number = ((number ^ (number >> 33)) * factor) % 2**64
    return (number ^ (number >> 33)) % 10_000


def has_been(clause: dict[str, Any], person: Person, now_ms: int) -> bool:
    """Whether the test of the trait has passed for so long without interruption."""
    if not passes(person.traits.get(clause["trait"]), clause):
        return False
    ((word, span),) = ((word, span) for word, span in clause["has_been"].items() if span is not None)
    return (_since(clause, person) <= now_ms - milliseconds(span)) is (word == "at_least")


def _since(clause: dict[str, Any], person: Person) -> float:
    since = float("inf")
    for time_ms in sorted(person.trait_times(clause["trait"]), reverse=True):
        if not passes(person.traits_at(time_ms).get(clause["trait"]), clause):
            return since
        since = time_ms
    return -float("inf") if passes(None, clause) else since


def _identity(clause: dict[str, Any], person: Person, now_ms: int) -> bool:  # noqa: ARG001
    values = [value for kind, value in person.identities if kind == clause["identity"]]
    return passes(values or None, clause)


def _profile(clause: dict[str, Any], person: Person, now_ms: int) -> bool:
    times = [row.time_ms for row in person.rows if not row.name.startswith(("Message ", "Segment "))]
    if clause["profile"] == "created":
        times = [] if person.created_ms is None else [person.created_ms]
    visible = [time_ms for time_ms in times if time_ms <= now_ms]
    found = (max if clause["profile"] == "last_seen" else min)(visible, default=None)
    value: datetime | None = None if found is None else datetime_of(found)
    return passes(value, clause)


def _bucket(clause: dict[str, Any], person: Person, now_ms: int) -> bool:  # noqa: ARG001
    rule = clause["bucket"]
    return bool(rule["from"] <= bucket_of(person.profile_id, rule["salt"]) < rule["to"])


def _geo(clause: dict[str, Any], person: Person, now_ms: int) -> bool:  # noqa: ARG001
    return is_within(person.traits, clause)


LOCAL: Final[dict[str, Callable[[dict[str, Any], Person, int], bool]]] = {
    "identity": _identity,
    "profile": _profile,
    "bucket": _bucket,
    "geo": _geo,
}


def in_zones_of(clause: Any, traits: Mapping[str, Any]) -> Any:
    """The clause, the zones that these traits name in place of the traits; None where they name none."""
    if isinstance(clause, dict):
        return {
            name: zone_kept(part, traits) if name == "zone" and isinstance(part, dict) else in_zones_of(part, traits)
            for name, part in clause.items()
        }
    return [in_zones_of(part, traits) for part in clause] if isinstance(clause, list) else clause


def zone_kept(kept: dict[str, Any], traits: Mapping[str, Any]) -> str | None:
    """The zone that the trait names; else that given, if any."""
    named = traits.get(kept["trait"])
    return named if isinstance(named, str) and is_zone(named) else kept["else"]


def written_out(predicate: dict[str, Any], find: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The predicate with what `find` gives in place of every reference to a segment."""
    if "segment" in predicate:
        return written_out(find(predicate), find)
    out = dict(predicate)
    for word in ("and", "or"):
        if word in out:
            out[word] = [written_out(part, find) for part in out[word]]
    for word in ("not", "among"):
        if out.get(word) is not None:
            out[word] = written_out(out[word], find)
    return out
