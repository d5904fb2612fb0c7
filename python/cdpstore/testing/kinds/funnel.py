"""Funnel by brute force: from every entry, every choice of the next step; the deepest counts, of those the earliest."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from cdpstore.table import Table
from cdpstore.testing.predicates import selects
from cdpstore.testing.rows import Person, Row
from cdpstore.testing.spec import Fields, bad, choice, duration, each, selector
from cdpstore.testing.values import typed
from cdpstore.testing.view import View, operand_names, operand_values

__all__ = ["answer", "parse"]

_REST = ("the key of the rest",)


def parse(fields: Fields, _common: dict[str, Any]) -> dict[str, Any]:
    """Steps, window, order, same_time."""
    steps = fields.require("steps", each(selector, 2, 32))
    if not fields.has("window"):
        bad(fields.path("window"), "missing; null for no window")
    return {
        "steps": steps,
        "window": fields.take("window", duration),
        "order": fields.take("order", choice(["in_order"])),
        "same_time": fields.take("same_time", choice(["counts", "later"])) or "counts",
    }


def answer(view: View, spec: dict[str, Any]) -> Table:
    """Profiles by the deepest step they reached, split by the entry's values; under a limit by most entries."""
    breakdown = spec["breakdown"]
    depths: dict[Any, list[int]] = {}
    values: dict[Any, list[Any]] = {}
    for person in view.people:
        depth, entry = deepest(view, person, spec)
        if entry is None:
            continue
        group = list(operand_values(breakdown, person, entry))
        key = tuple(map(typed, group))
        values.setdefault(key, group)
        depths.setdefault(key, []).append(depth)
    steps = range(1, len(spec["steps"]) + 1)
    if not breakdown:
        depths.setdefault((), [])
    ranked = sorted(depths, key=lambda key: (-len(depths[key]), key))
    limit = spec["limit"]
    if limit is not None and breakdown and len(ranked) > limit:
        rest = [depth for key in ranked[limit:] for depth in depths[key]]
        ranked = [*ranked[:limit], _REST]
        values[_REST], depths[_REST] = ["other"] * len(breakdown), rest
    rows = [[*values.get(key, []), *(sum(depth >= step for depth in depths[key]) for step in steps)] for key in ranked]
    return view.table([*operand_names(breakdown), *(f"step_{step}" for step in steps)], rows)


def deepest(view: View, person: Person, spec: dict[str, Any]) -> tuple[int, Row | None]:
    """The deepest step of any attempt, and the earliest entry that reaches it."""
    rows = person.rows
    best: tuple[int, Row | None] = (0, None)
    for start, row in enumerate(rows):
        if view.in_range(row) and selects(spec["steps"][0], row):
            depth = _depth_from(rows, start, spec)
            if depth > best[0]:
                best = depth, row
    return best


def _depth_from(rows: Sequence[Row], start: int, spec: dict[str, Any]) -> int:
    steps, window = spec["steps"], spec["window"]
    entry_ms = rows[start].time_ms

    @cache
    def reached(at: int, step: int) -> int:
        """Steps taken by the best continuation behind row `at`, which took step number `step`."""
        if step == len(steps):
            return step
        continuations = [
            reached(later, step + 1)
            for later in range(at + 1, len(rows))
            if _follows(rows[at], rows[later], spec["same_time"])
            and (window is None or rows[later].time_ms <= entry_ms + window)
            and selects(steps[step], rows[later])
        ]
        return max(continuations, default=step)

    return reached(start, 1)


def _follows(before: Row, after: Row, same_time: str) -> bool:
    return same_time == "counts" or after.time_ms > before.time_ms
