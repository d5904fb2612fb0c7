"""Profiles: the members of the predicate, ascending."""

from typing import Any

import numpy as np

from cdpstore.table import Table
from cdpstore.testing.spec import Fields, bad, integer, unsupported
from cdpstore.testing.view import View

__all__ = ["answer", "parse"]


def parse(fields: Fields, common: dict[str, Any]) -> dict[str, Any]:
    """`where` is required; `after` starts a page."""
    if common["where"] is None:
        bad("where", "missing")
    if common["breakdown"]:
        unsupported("breakdown", "profiles has no breakdown")
    if common["range"] is not None:
        bad("range", "profiles has no range: give the clauses windows")
    return {"after": fields.take("after", integer(0, 2**63 - 1))}


def answer(view: View, spec: dict[str, Any]) -> Table:
    """One page of ids; `count` notes all members."""
    members = sorted(person.profile_id for person in view.people)
    after = -1 if spec["after"] is None else spec["after"]
    page = [member for member in members if member > after][: spec["limit"]]
    ids = np.array(page, dtype=np.uint64)
    notes = {"count": len(members)}
    return Table(["profile_id"], [ids], watermark=view.watermark, now_ms=view.now_ms, notes=notes)
