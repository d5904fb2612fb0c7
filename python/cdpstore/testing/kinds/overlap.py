"""Overlap: every profile asked for every segment; one segment asked at two instants.

What caused a change is not modelled: a test looks at the truth around the instant that the answer names.
"""

from collections import Counter
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.calendars import Moment
from cdpstore.testing.clause_spec import predicate
from cdpstore.testing.clauses import holds
from cdpstore.testing.spec import Fields, bad, each, integer, name_of, unsupported
from cdpstore.testing.view import View

__all__ = ["answer", "parse"]

_CENTURIES_MS = 2_000 * 366 * 86_400_000


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """Segments; the model answers for combinations alone."""
    if common["breakdown"]:
        unsupported("breakdown", "overlap has no breakdown")
    if common["range"] is not None:
        bad("range", "overlap has no range: give the clauses windows")
    if fields.has("segment"):
        return {
            "segment": fields.require("segment", predicate),
            "from_ms": fields.require("from_ms", integer(-_CENTURIES_MS, _CENTURIES_MS)),
            "to_ms": fields.require("to_ms", integer(-_CENTURIES_MS, _CENTURIES_MS)),
        }
    segments = fields.require("segments", each(_segment, 2, 8))
    for at, segment in enumerate(segments):
        segment["name"] = segment["name"] or chr(ord("A") + at)
        if segment["name"] in ["profiles", *(before["name"] for before in segments[:at])]:
            bad(f"segments[{at}].name", "two columns of one name")
    return {"segments": segments}


def answer(view: View, spec: dict[str, Any]) -> Table:
    """One row a combination that holds profiles."""
    if "segment" in spec:
        raise NotImplementedError("the model tells no changes")
    moment = Moment(view.now_ms, view.zone, view.week_start)
    counts = Counter(
        tuple(holds(segment["where"], person, moment) for segment in spec["segments"]) for person in view.people
    )
    rows = [[*combination, count] for combination, count in sorted(counts.items(), reverse=True)]
    return view.table([*(segment["name"] for segment in spec["segments"]), "profiles"], rows)


def _segment(node: Any, path: str) -> dict[str, Any]:
    fields = Fields(node, path)
    segment = {"name": fields.take("name", name_of), "where": fields.require("where", predicate)}
    fields.done()
    return segment
