"""The registry by definition: counted from every record that was accepted."""

from collections.abc import Iterable
from typing import Any

from cdpstore.schema import EventSchema, Schema, TypesByKey
from cdpstore.testing.history import History
from cdpstore.testing.values import type_name

__all__ = ["schema_of"]


def schema_of(history: History) -> Schema:
    """What has come in."""
    rows = history.rows_ever()
    events = []
    for name in sorted({row.name for row in rows}, key=str.encode):
        own = [row for row in rows if row.name == name]
        times = [row.time_ms for row in own]
        values = [(key, type_name(value)) for row in own for key, value in row.properties.items()]
        events.append(EventSchema(name, min(times), max(times), len(own), _counted(values)))
    return Schema(tuple(events), _counted(history.trait_counts.elements()), dict(history.blocked), history.sequence)


def _counted(values: Iterable[tuple[str, Any]]) -> TypesByKey:
    found: TypesByKey = {}
    for key, kind in values:
        types = found.setdefault(key, {})
        types[kind] = types.get(kind, 0) + 1
    return found
