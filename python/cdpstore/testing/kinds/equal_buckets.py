"""Buckets of equal count: the borders that the values of what a question counts give them."""

from typing import Any

from cdpstore.testing.kinds import funnel, retention, trend
from cdpstore.testing.value_groups import equal_borders
from cdpstore.testing.view import View

__all__ = ["with_equal_borders"]

_COUNTED = {"trend": trend, "funnel": funnel, "retention": retention}


def with_equal_borders(view: View, kind: str, spec: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The breakdown with borders in place of numbers of buckets, and what the answer notes of them."""
    breakdown, notes = [], dict[str, str]()
    for operand in spec["breakdown"]:
        groups = operand.get("groups")
        if not groups or groups["buckets"] is None:
            breakdown.append(operand)
            continue
        whole = {**operand, "groups": {**groups, "buckets": None}, "name": "value"}
        question, column = _COUNTED[kind].counted({**spec, "breakdown": [whole], "limit": None})
        table = _COUNTED[kind].answer(view, question)
        values, counted = table.names.index("value"), table.names.index(column)
        counts = [(row[values], row[counted]) for row in table.rows()]
        borders = equal_borders(counts, groups["buckets"])
        breakdown.append({**operand, "groups": {**groups, "borders": borders}})
        notes[f"borders({operand['name']})"] = ", ".join(repr(border).removesuffix(".0") for border in borders)
    return breakdown, notes
