"""A condition, or several joined by & | ~: what `field` and `item` make, and conditions are taken as."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeAlias

from cdpstore.query.threshold import Condition

__all__ = ["AnyCondition", "Where", "condition_spec"]


@dataclasses.dataclass(frozen=True, slots=True)
class Where:
    """A condition, or several joined: made by `field` and `item`. A missing value fails a test and passes its `~`."""

    condition: Condition

    def spec(self) -> Condition:
        """The condition as a spec."""
        return self.condition

    def __and__(self, other: "AnyCondition") -> "Where":
        return _joined("and", self, other)

    def __or__(self, other: "AnyCondition") -> "Where":
        return _joined("or", self, other)

    def __invert__(self) -> "Where":
        return Where({"not": self.condition})

    def __bool__(self) -> bool:
        raise TypeError("a condition has no truth of its own: join with & | ~ instead of and, or, not")


AnyCondition: TypeAlias = Where | Mapping[str, Any]


def condition_spec(condition: AnyCondition) -> Condition:
    """The spec of a condition, or the dict that already is one."""
    return condition.spec() if isinstance(condition, Where) else dict(condition)


def _joined(word: str, left: AnyCondition, right: AnyCondition) -> Where:
    return Where({word: [*_parts(word, condition_spec(left)), *_parts(word, condition_spec(right))]})


def _parts(word: str, condition: Condition) -> list[Condition]:
    return list(condition[word]) if condition.keys() == {word} else [condition]
