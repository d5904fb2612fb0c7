"""Traits folded from operations: by time within an origin, with the join's rule where profiles join.

The fold walks operations and links in order of time. Until a link's time its two sides are two people with a state
each; at it the winner's values stand where it has one, else the loser's, and lists unite; what is timed later applies
to both as one.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cdpstore.testing.identity import Link
from cdpstore.testing.values import is_number, typed

__all__ = ["TraitOperation", "fold"]


@dataclasses.dataclass(frozen=True)
class TraitOperation:
    """One operation; `order` is its place in the log."""

    origin: int
    key: str
    kind: str
    value: Any
    time_ms: int
    order: int

    def same_as(self, other: "TraitOperation") -> bool:
        """Equal in all but its place in the log: then only the first is kept."""
        mine = (self.origin, self.key, self.kind, self.time_ms, typed(self.value))
        return mine == (other.origin, other.key, other.kind, other.time_ms, typed(other.value))


def fold(members: Sequence[int], links: Sequence[Link], operations: Sequence[TraitOperation]) -> dict[str, Any]:
    """The traits of the profile made of these origins by these links; keys without a value are left out."""
    sides: dict[int, dict[str, Any]] = {origin: {} for origin in members}
    of_profile = [each for each in operations if each.origin in sides]
    joins = [link for link in links if link.winner in sides]
    steps: list[tuple[int, int, int, TraitOperation | Link]] = [
        *((each.time_ms, 0, each.order, each) for each in of_profile),
        *((link.time_ms, 1, link.sequence, link) for link in joins),
    ]
    for *_, step in sorted(steps, key=lambda step: step[:3]):
        if isinstance(step, TraitOperation):
            _apply(sides[step.origin], step)
        else:
            _join(sides, step)
    assert len({id(side) for side in sides.values()}) == 1
    return {key: value for key, value in sides[members[0]].items() if value is not None}


def _join(sides: dict[int, dict[str, Any]], link: Link) -> None:
    survivor, other = sides[link.winner], sides[link.loser]
    if survivor is other:
        return
    for key, value in other.items():
        survivor[key] = _joined(survivor.get(key), value)
    for origin, side in sides.items():
        if side is other:
            sides[origin] = survivor


def _joined(mine: Any, theirs: Any) -> Any:
    if mine is None:
        return theirs
    if isinstance(mine, list) and isinstance(theirs, list):
        return _united(mine, theirs)
    return mine


def _united(first: list[Any], second: list[Any]) -> list[Any]:
    united = list(first)
    for element in second:
        if not _has(united, element):
            united.append(element)
    return united


def _has(elements: list[Any], element: Any) -> bool:
    return any(_element_key(each) == _element_key(element) for each in elements)


def _element_key(element: Any) -> Any:
    return typed([element]) if isinstance(element, dict) else typed(element)


def _apply(state: dict[str, Any], operation: TraitOperation) -> None:
    state[operation.key] = _changed(state.get(operation.key), operation.kind, operation.value)


def _changed(before: Any, kind: str, value: Any) -> Any:
    match kind:
        case "set":
            return value
        case "set_once":
            return value if before is None else before
        case "unset":
            return None
        case "increment":
            return _incremented(before, value)
        case "append":
            return _appended(before, value)
        case "remove":
            return _removed(before, value)
    raise AssertionError(kind)


def _incremented(before: Any, by: int | float) -> Any:
    if before is None:
        return by
    if not is_number(before):
        return before
    total = before + by
    if isinstance(total, int):
        return total if -(2**63) <= total < 2**63 else before
    return before if total in (float("inf"), float("-inf")) else _unsigned_zero(total)


def _unsigned_zero(number: float) -> float:
    """Minus zero is stored as zero."""
    return number + 0.0 if number else 0.0


def _appended(before: Any, value: Any) -> Any:
    if before is None:
        return [value]
    if not isinstance(before, list) or _has(before, value):
        return before
    return [*before, value]


def _removed(before: Any, value: Any) -> Any:
    if not isinstance(before, list):
        return before
    return [each for each in before if _element_key(each) != _element_key(value)]
