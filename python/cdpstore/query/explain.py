"""Explain: why one profile is in a segment, or is not.

>>> from cdpstore.query import did, trait
>>> explain(did("Charged") & ~trait("plan").eq("trial"), ids={"user_id": "u1"}).spec()["predicate"]["and"][1]
{'not': {'trait': 'plan', 'op': 'eq', 'value': 'trial'}}
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from cdpstore.query.predicate import Predicate, predicate_spec
from cdpstore.query.question import Question, Spec

__all__ = ["Explain", "explain"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explain(Question):
    """The truth of every clause for one profile, with what made it so; made by `explain`."""

    own: tuple[tuple[str, Any], ...]

    def evidence(self, limit: int) -> Self:
        """How many of the newest events each clause shows (10)."""
        return dataclasses.replace(self, own=(*self.own, ("events", {"limit": limit})))

    def _fields(self) -> Spec:
        return {"kind": "explain", **dict(self.own)}


def explain(
    predicate: Predicate | Mapping[str, Any],
    *,
    ids: Mapping[str, str | int] | None = None,
    profile_id: int | None = None,
) -> Explain:
    """Why the profile is in the segment, or is not; exactly one of `ids` and `profile_id` must be given."""
    if (ids is None) == (profile_id is None):
        raise ValueError("either ids or a profile id")
    who = ("profile", profile_id) if ids is None else ("ids", dict(ids))
    return Explain(own=(who, ("predicate", predicate_spec(predicate))))
