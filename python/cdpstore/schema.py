"""The registry: which events and traits a store has seen, how many, of which types."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

__all__ = [
    "VALUE_TYPES",
    "EventSchema",
    "Place",
    "Schema",
    "SchemaPage",
    "columns_of",
    "joined",
    "page_of",
    "schema_from_core",
]

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


Place = tuple[int, str, str]
"""Where a page ends: the part (events, traits, blocked), and the names of the last entry in it; pages ascend by it."""

_EVENTS: Final = 0
_TRAITS: Final = 1
_BLOCKED: Final = 2
_PAGE_BYTES: Final = 4 << 20  # half of a frame
_ENTRY_BYTES: Final = (
    64  # numbers, types and heads of an entry beside its names, at most: a count has 9 bytes, a type 17
)


class SchemaPage(Schema, frozen=True):
    """As much of a registry as fits a frame; `next` is where it ends, None on the last page.

    An event may go on from page to page: its properties are then those of this page.
    """

    next: Place | None = None


def page_of(schema: Schema, after: Place | None, bytes_most: int = _PAGE_BYTES) -> SchemaPage:
    """The entries behind `after` that fit `bytes_most`, and one at least."""
    by_name = {event.name: event for event in schema.events}
    events: dict[str, EventSchema] = {}
    traits: TypesByKey = {}
    blocked: dict[str, int] = {}
    size_bytes, end = 0, after
    for place, types in _entries(schema):
        if after is not None and place <= tuple(after):
            continue
        part, name, key = place
        size_bytes += len(name.encode()) + len(key.encode()) + _ENTRY_BYTES + 26 * len(types)
        if size_bytes > bytes_most and end != after:
            return SchemaPage(tuple(events.values()), traits, blocked, schema.watermark, next=end)
        end = place
        if part == _EVENTS:
            if name not in events:
                whole = by_name[name]
                events[name] = EventSchema(name, whole.first_ms, whole.last_ms, whole.volume, {})
            if key:
                events[name].properties[key] = types
        elif part == _TRAITS:
            traits[name] = types
        else:
            blocked[name] = schema.blocked[name]
    return SchemaPage(tuple(events.values()), traits, blocked, schema.watermark)


def joined(pages: Iterable[SchemaPage]) -> Schema:
    """The registry of its pages: each tells of when it was read, so the watermark is the first one's: all up to there
    is in it."""
    events: dict[str, EventSchema] = {}
    traits: TypesByKey = {}
    blocked: dict[str, int] = {}
    watermark: int | None = None
    for page in pages:
        watermark = page.watermark if watermark is None else watermark
        for event in page.events:
            if event.name in events:
                events[event.name].properties.update(event.properties)
            else:
                events[event.name] = event
        traits.update(page.traits)
        blocked.update(page.blocked)
    return Schema(tuple(events.values()), traits, blocked, watermark or 0)


def _entries(schema: Schema) -> Iterator[tuple[Place, dict[str, int]]]:
    """All entries, ascending by their places; an event's own, with an empty key, before its properties."""
    for event in sorted(schema.events, key=lambda each: each.name):
        yield (_EVENTS, event.name, ""), {}
        for key in sorted(event.properties):
            yield (_EVENTS, event.name, key), event.properties[key]
    for key in sorted(schema.traits):
        yield (_TRAITS, key, ""), schema.traits[key]
    for name in sorted(schema.blocked):
        yield (_BLOCKED, name, ""), {}


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
