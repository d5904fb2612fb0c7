"""Newline-delimited JSON: one object a line. Without a mapping each is a record as `docs/architecture.md` says; with
one it is a flat row. Cost: bound by JSON in Python, about 0.3 M records a second.
"""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

import msgspec

from cdpstore.loaders.fields import FieldMapping, RowError
from cdpstore.loaders.formats import Row, Source
from cdpstore.model import Reject

__all__ = ["read"]

_LINE_BYTES: Final = 1 << 20  # JSON of the largest record, every letter escaped


def read(source: Source, mapping: Mapping[str, Any] | None, *, kind: str, after: int) -> Iterator[Row]:  # noqa: ARG001
    """The lines behind line `after`; empty ones are nothing."""
    decoder = msgspec.json.Decoder()
    for place, line in enumerate(_lines(source.bytes()), start=1):
        if place <= after or not line.strip():
            continue
        if len(line) > _LINE_BYTES:
            yield Row(place, None, Reject(place, "record.too_large", "", _shown(line), f"at most {_LINE_BYTES} bytes"))
            continue
        try:
            fields = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield Row(place, None, Reject(place, "row.json", "", _shown(line), str(error)))
            continue
        if mapping is None:
            yield Row(place, fields)
        elif not isinstance(fields, dict):
            yield Row(place, None, Reject(place, "record.not_a_map", "", _shown(line), "an object"))
        else:
            yield _mapped(place, mapping, fields)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines; of one that is too long only the beginning."""
    while line := file.readline(_LINE_BYTES + 1):
        yield line
        while len(line) > _LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(_LINE_BYTES + 1)


def _mapped(place: int, mapping: Mapping[str, Any], fields: Mapping[str, Any]) -> Row:
    """A line has fields of its own: what the mapping names and the line lacks is missing."""
    named = [each for each in mapping.get("properties", ()) if each not in fields]
    named += [field for field in _named(mapping) if field not in fields]
    try:
        return Row(place, FieldMapping.bind(mapping, [*fields, *named]).record(fields))
    except RowError as error:
        return Row(place, None, Reject(place, error.code, error.path, error.value, error.expected))


def _named(mapping: Mapping[str, Any]) -> list[str]:
    ids = mapping.get("ids")
    given = [mapping.get("name"), mapping.get("time"), mapping.get("event_id")]
    given += list(ids.values()) if isinstance(ids, Mapping) else ["user_id"]
    if not given[0]:
        given.append("event")
    return [field for field in given if isinstance(field, str)]


def _shown(line: bytes) -> str:
    return line[:64].decode(errors="replace").strip()
