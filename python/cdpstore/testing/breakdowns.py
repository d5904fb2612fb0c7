"""What an answer is split by: properties and times of the event, traits of the profile, all that the profile is in."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cdpstore.testing.calendars import Moment
from cdpstore.testing.clauses import holds
from cdpstore.testing.rows import Person
from cdpstore.testing.spec import Fields, bad, choice, each, name_of
from cdpstore.testing.value_groups import labels, take_groups, time_groups
from cdpstore.testing.values import typed

__all__ = ["operand", "segment_names", "spread", "with_predicates"]

Operand = dict[str, Any]
Parse = Callable[[Any, str], dict[str, Any]]


def operand(node: Any, path: str, predicate: Parse) -> Operand:
    """A property, a trait, segments, or groups of a kind."""
    fields = Fields(node, path)
    if fields.has("segments"):
        parsed: Operand = {
            "segments": fields.require("segments", each(lambda one, at: _segment(one, at, predicate), 1, 32))
        }
        names = ["other"]
        for at, segment in enumerate(parsed["segments"]):
            segment["name"] = segment["name"] or "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[at % 26] + "2" * (at // 26)
            if segment["name"] in names:
                bad(f"{path}.segments[{at}]", "two rows of one name")
            names.append(segment["name"])
        title = "segment"
    elif fields.has("group"):
        kind, of = fields.require("group", name_of), fields.take("trait", name_of)
        parsed = {"group": kind, "of": of}
        title = kind if of is None else f"{kind}.{of}"
    else:
        found: dict[str, Any] = {name: fields.take(name, name_of) for name in ("property", "trait")}
        found["time"] = fields.take("time", time_groups)
        found["event"] = fields.take("event", choice(["name"]))
        parsed = {name: key for name, key in found.items() if key is not None}
        if len(parsed) != 1:
            bad(path, "expected a property, a trait, a unit of time, the event's name, segments or a group")
        if "trait" in parsed:
            parsed["at"] = fields.take("at", choice(["now", "event"]))
        parsed["groups"] = found["time"] or (None if found["event"] else take_groups(fields))
        title = next(
            name if name in ("time", "event") else found[name] for name in parsed if name not in ("groups", "at")
        )
    parsed["name"] = fields.take("name", name_of) or title
    fields.done()
    return parsed


def _segment(node: Any, path: str, predicate: Parse) -> dict[str, Any]:
    if isinstance(node, str):
        return {"name": name_of(node, path), "where": {"segment": node, "path": path}}
    fields = Fields(node, path)
    segment = {"name": fields.take("name", name_of), "where": fields.require("where", predicate)}
    fields.done()
    return segment


def with_predicates(breakdown: Sequence[Operand], change: Callable[[dict[str, Any]], Any]) -> list[Operand]:
    """The breakdown with every segment's predicate changed."""
    return [
        {**each_operand, "segments": [{**one, "where": change(one["where"])} for one in each_operand["segments"]]}
        if "segments" in each_operand
        else each_operand
        for each_operand in breakdown
    ]


def segment_names(breakdown: Sequence[Operand]) -> Mapping[str, list[str]]:
    """By column, what its segments or buckets are called: till then they are numbers, so that they keep their order."""
    split = [one for one in breakdown if "segments" in one]
    bucketed = {one["name"]: labels(one["groups"]) for one in breakdown if one.get("groups")}
    return {
        **{one["name"]: [segment["name"] for segment in one["segments"]] for one in split},
        **{name: names for name, names in bucketed.items() if names is not None},
    }


def spread(person: Person, breakdown: Sequence[Operand], moment: Moment) -> Iterator[Person]:
    """The profile once for each combination of what it is in; as it is where nothing of that is asked."""
    members = [one for one in breakdown if "segments" in one or "group" in one]
    for chosen in itertools.product(*(_values(one, person, moment) for one in members)):
        named = {one["name"]: value for one, value in zip(members, chosen, strict=True)}
        yield dataclasses.replace(person, members=named)


def _values(split: Operand, person: Person, moment: Moment) -> list[Any]:
    if "segments" in split:
        return [at for at, one in enumerate(split["segments"]) if holds(one["where"], person, moment)] or [None]
    joined = [fact.subject for fact in person.facts["membership"] if fact.state == "joined"]
    ids = [str(group_id) for kind, group_id in joined if kind == split["group"]]
    values = ids if split["of"] is None else [person.groups[split["group"], one].get(split["of"]) for one in ids]
    return list({typed(value): value for value in values}.values()) or [None]
