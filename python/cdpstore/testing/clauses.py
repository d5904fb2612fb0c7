"""Predicates by their definition, one profile at a time: each clause, and what and, or, not make of them."""

from collections.abc import Callable, Sequence
from typing import Any

from cdpstore.model import datetime_of
from cdpstore.testing import event_clauses as events
from cdpstore.testing.calendars import Moment
from cdpstore.testing.facts import Fact
from cdpstore.testing.local_clauses import LOCAL, has_been, in_zones_of
from cdpstore.testing.predicates import is_operand, meets, passes, passes_operand, with_operands
from cdpstore.testing.rows import Person
from cdpstore.testing.values import is_number

__all__ = ["holds", "own_values"]


def holds(predicate: dict[str, Any], person: Person, moment: Moment) -> bool:
    """Whether the predicate is true of the profile at this instant."""
    if not predicate.keys() & {"and", "or", "not"}:
        predicate = in_zones_of(predicate, person.traits)

    find = own_values(person, moment)
    match predicate:
        case {"and": parts}:
            return all(holds(part, person, moment) for part in parts)
        case {"or": parts}:
            return any(holds(part, person, moment) for part in parts)
        case {"not": part}:
            return not holds(part, person, moment)
        case {"trait": _, "has_been": _}:
            return has_been(predicate, person, moment.now_ms)
        case {"trait": key, "value": value} if is_operand(value):
            return passes_operand(person.traits.get(key), predicate, find(value))
        case {"trait": key}:
            return passes(person.traits.get(key), predicate)
        case {"device": conditions}:
            return any(_device_meets(device, conditions) for device in person.facts["device"])
        case {"group": kind}:
            joined = [fact for fact in person.facts["membership"] if fact.state == "joined"]
            return any(_group_meets(fact, kind, predicate.get("where") or [], person) for fact in joined)
        case {"list": name}:
            return any(fact.subject == (name,) and fact.state == "added" for fact in person.facts["list"])
        case {"suppressed": wanted}:
            is_suppressed = any(fact.state == "suppressed" for fact in person.facts["suppress"])
            return is_suppressed is wanted
        case {"consent": channel}:
            subject = (channel, predicate.get("topic"))
            states = [fact.state for fact in person.facts["consent"] if fact.subject == subject]
            return passes(states[0] if states else None, predicate)
        case {"did": _}:
            return events.did(with_operands(predicate, find), person, moment)
        case {"did_not": _}:
            return events.did_not(with_operands(predicate, find), person, moment)
        case {"stopped": _}:
            return events.stopped(predicate, person, moment)
        case {"restarted": _}:
            return events.restarted(predicate, person, moment)
        case {"regularly": _}:
            return events.regularly(predicate, person, moment)
        case {"sequence": _}:
            return events.sequence(predicate, person, moment)
        case {"predominantly": clause}:
            return events.predominantly(clause, person, moment)
        case {"share": clause}:
            return events.share(clause, person, moment)
        case {"quantile": of, "cuts": cuts}:
            value = find(of)
            return bool(cuts) and is_number(value) and _lies(value, predicate["op"], cuts)
    for form, of_profile in LOCAL.items():
        if form in predicate:
            return of_profile(predicate, person, moment.now_ms)
    raise AssertionError(predicate)


def own_values(person: Person, moment: Moment) -> Callable[[dict[str, Any]], Any]:
    """What a comparison with the profile's own has on its right side."""
    return lambda value: (
        person.traits.get(value["trait"]) if "trait" in value else events.own(value["own"], person, moment)
    )


def _lies(value: Any, op: str, cuts: Sequence[int | float]) -> bool:
    if op == "between":
        return passes(value, {"op": "ge", "value": cuts[0]}) and passes(value, {"op": "le", "value": cuts[1]})
    return passes(value, {"op": op, "value": cuts[0]})


def _device_meets(device: Fact, conditions: Sequence[dict[str, Any]]) -> bool:
    values = {
        **device.texts,
        "id": device.subject[0],
        "dead": device.state == "dead",
        "first_seen": datetime_of(device.first_ms),
        "last_seen": datetime_of(device.last_ms["seen"]) if "seen" in device.last_ms else None,
    }
    return meets(conditions, values)


def _group_meets(fact: Fact, kind: str | None, conditions: Sequence[dict[str, Any]], person: Person) -> bool:
    group_kind, group_id = (str(part) for part in fact.subject)
    traits = person.groups[group_kind, group_id]
    values = {**traits, "$id": group_id, "$role": fact.texts.get("role")}
    return kind in (None, group_kind) and meets(conditions, values)
