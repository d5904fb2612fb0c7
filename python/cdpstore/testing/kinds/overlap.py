"""Overlap: every profile asked for every segment. Changes of one segment are refused by name."""

from collections import Counter
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.calendars import Moment
from cdpstore.testing.clause_spec import predicate
from cdpstore.testing.clauses import holds
from cdpstore.testing.spec import Fields, bad, each, name_of, unsupported
from cdpstore.testing.view import View

__all__ = ["answer", "parse"]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """Segments; the model answers for combinations alone."""
    if common["breakdown"]:
        unsupported("breakdown", "overlap has no breakdown")
    if common["range"] is not None:
        bad("range", "overlap has no range: give the clauses windows")
    if fields.has("segment"):
        unsupported(
            "segment", "the model tells combinations; whether a change is right, the truth around its instant says"
        )
    segments = fields.require("segments", each(_segment, 2, 8))
    for at, segment in enumerate(segments):
        segment["name"] = segment["name"] or chr(ord("A") + at)
        if segment["name"] in ["profiles", *(before["name"] for before in segments[:at])]:
            bad(f"segments[{at}].name", "two columns of one name")
    return {"segments": segments}


def answer(view: View, spec: dict[str, Any]) -> Table:
    """One row a combination that holds profiles."""
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
