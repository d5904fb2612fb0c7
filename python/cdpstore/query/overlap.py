"""Overlap: who is in which of several segments, and how one changed between two instants.

>>> from cdpstore.query import did
>>> overlap(paid=did("Charged"), trial={"trait": "plan", "op": "eq", "value": "trial"}).spec()["segments"][0]
{'name': 'paid', 'where': {'did': 'Charged'}}
>>> changes(did("Charged").within("30d"), from_ms=1, to_ms=2).limit(100).spec()  # doctest: +NORMALIZE_WHITESPACE
{'kind': 'overlap', 'segment': {'did': 'Charged', 'window': {'last': '30d'}}, 'from_ms': 1, 'to_ms': 2, 'limit': 100}
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cdpstore.query.predicate import Predicate, predicate_spec
from cdpstore.query.question import Question, Spec

__all__ = ["Overlap", "changes", "overlap"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Overlap(Question):
    """Segments beside each other, or one at two instants; made by `overlap` and `changes`."""

    own: tuple[tuple[str, Any], ...]

    def _fields(self) -> Spec:
        return {"kind": "overlap", **dict(self.own)}


def overlap(**segments: Predicate | Mapping[str, Any]) -> Overlap:
    """How many profiles are in each combination of 2 to 8 segments, by name."""
    named = [{"name": name, "where": predicate_spec(segment)} for name, segment in segments.items()]
    return Overlap(own=(("segments", named),))


def changes(segment: Predicate | Mapping[str, Any], *, from_ms: int, to_ms: int, joins: str | None = None) -> Overlap:
    """Who entered and who left between two instants, when, and what caused it.

    With `joins="then"` by the profiles there were at each instant, so that merges and unmerges are causes too.
    """
    span = (("segment", predicate_spec(segment)), ("from_ms", from_ms), ("to_ms", to_ms))
    return Overlap(own=span if joins is None else (*span, ("joins", joins)))
