"""The registry: which events and traits a store has seen, how many, of which types."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

__all__ = ["VALUE_TYPES", "EventSchema", "Schema", "columns_of", "schema_from_core"]

VALUE_TYPES: Final = ("null", "bool", "int", "float", "string", "datetime", "list", "items")

TypesByKey = dict[str, dict[str, int]]
"""Key → type → how many values of that type came in."""


class EventSchema(msgspec.Struct, frozen=True):
    """One event name: the least and the greatest time of its events, how many were accepted, and their properties."""

    name: str
    first_ms: int
    last_ms: int
    volume: int
    properties: TypesByKey = {}


class Schema(msgspec.Struct, frozen=True):
    """All that came in until `watermark`, by name; what retention has dropped since is counted all the same.

    `traits` counts the values of accepted operations on profiles' traits (all but unset); `blocked` has the names that
    are blocked now and how many of their events were rejected.
    """

    events: tuple[EventSchema, ...] = ()
    traits: TypesByKey = {}
    blocked: dict[str, int] = {}
    watermark: int = 0

    def event(self, name: str) -> EventSchema | None:
        """The event of this name, None when none came in."""
        return next((event for event in self.events if event.name == name), None)


def schema_from_core(raw: tuple[Any, Any, Any, int]) -> Schema:
    """The registry as the engine tells it."""
    events, traits, blocked, watermark = raw
    return Schema(
        events=tuple(
            EventSchema(name, first_ms, last_ms, volume, _types(properties))
            for name, first_ms, last_ms, volume, properties in events
        ),
        traits=_types(traits),
        blocked={name: rejected for name, rejected, is_blocked in blocked if is_blocked},
        watermark=watermark,
    )


def _types(counts: Iterable[tuple[str, int, int]]) -> TypesByKey:
    found: TypesByKey = {}
    for key, number, count in counts:
        found.setdefault(key, {})[VALUE_TYPES[number]] = count
    return found


def columns_of(types: Mapping[str, int]) -> str:
    """The types of a key in one line, the most frequent first.

    >>> columns_of({"int": 2, "string": 40})
    'string 40, int 2'
    """
    ranked = sorted(types.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ranked)
