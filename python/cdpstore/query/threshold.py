"""The operators of a number, once: whatever is compared (a measure, a size), `Threshold` writes op and value.

It holds what to do with the finished condition, so `did("Charged").count().ge(10)` gives back the `did`.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = ["Condition", "Threshold"]

Condition: TypeAlias = dict[str, Any]
Result = TypeVar("Result")


class Threshold(Generic[Result]):
    """Comparison of a number: the operators that a measure knows."""

    __slots__ = ("_finish",)

    def __init__(self, finish: Callable[[Condition], Result]) -> None:
        self._finish = finish

    def eq(self, value: Any) -> Result:
        """Equal to the value."""
        return self._finish({"op": "eq", "value": value})

    def ne(self, value: Any) -> Result:
        """Another value than this; false where there is none."""
        return self._finish({"op": "ne", "value": value})

    def lt(self, value: Any) -> Result:
        """Below the value."""
        return self._finish({"op": "lt", "value": value})

    def le(self, value: Any) -> Result:
        """At most the value."""
        return self._finish({"op": "le", "value": value})

    def gt(self, value: Any) -> Result:
        """Above the value."""
        return self._finish({"op": "gt", "value": value})

    def ge(self, value: Any) -> Result:
        """At least the value."""
        return self._finish({"op": "ge", "value": value})

    def between(self, low: Any, high: Any) -> Result:
        """From low to high, both included."""
        return self._finish({"op": "between", "value": [low, high]})
