"""Loads by definition: each row of a table is one record, and a column that is null is a field that is missing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cdpstore.testing.identity import KINDS

__all__ = ["records_of"]

_NAMES: Final = ("event", "name")
_TIMES: Final = ("time", "time_ms", "timestamp")


def records_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], mapping: Mapping[str, Any]) -> list[Any]:
    """The records that `Store.load` takes the rows for; values are what `to_pylist` of pyarrow gives.

    >>> records_of([{"user_id": 7, "event": "A", "n": 1}], ["user_id", "event", "n"], {})
    [{'type': 'event', 'ids': {'user_id': 7}, 'name': 'A', 'properties': {'n': 1}}]
    """
    kind = mapping.get("type", "event")
    name = mapping.get("name", _first(columns, _NAMES)) if kind == "event" else None
    time = mapping.get("time", _first(columns, _TIMES))
    ids = mapping.get("ids") or {each: each for each in KINDS if KINDS[each].identifies and each in columns}
    event_id = mapping.get("event_id", _first(columns, ("event_id",))) if kind == "event" else None
    used = {name if isinstance(name, str) else None, time, event_id, *ids.values()}
    properties = mapping.get("properties", [each for each in columns if each not in used])
    if not isinstance(properties, Mapping):
        properties = {each: each for each in properties}
    return [_record(row, kind, name, time, ids, event_id, properties) for row in rows]


def _record(
    row: Mapping[str, Any],
    kind: str,
    name: Any,
    time: str | None,
    ids: Mapping[str, str],
    event_id: str | None,
    properties: Mapping[str, str],
) -> dict[str, Any]:
    record: dict[str, Any] = {"type": kind}
    record["ids"] = {each: row[column] for each, column in ids.items() if row[column] is not None}
    if isinstance(name, Mapping):
        record["name"] = name["value"]
    elif name is not None and row[name] is not None:
        record["name"] = row[name]
    if time is not None and row[time] is not None:
        record["time_ms"] = row[time]
    if event_id is not None and row[event_id] is not None:
        record["event_id"] = str(row[event_id])
    fields: dict[str, Any] = {}
    for column, key in properties.items():
        if row[column] is not None:
            _put(fields, key.split("."), row[column])
    record["properties" if kind == "event" else "set"] = fields
    return record


def _put(fields: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        fields = fields.setdefault(part, {})
    fields[path[-1]] = value


def _first(columns: Sequence[str], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in columns), None)
