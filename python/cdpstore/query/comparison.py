"""The operators, once: whatever is compared (a property, a trait, a measure), `Comparison` writes op and value.

It holds what to do with the finished condition, so `did("Charged").where("price").ge(10)` gives back the `did`.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = ["Comparison", "Condition", "Threshold"]

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


class Comparison(Threshold[Result]):
    """Comparison of a property or trait: all operators."""

    __slots__ = ()

    def __init__(self, finish: Callable[[Condition], Result], *, ignore_case: bool = False) -> None:
        text = {"ignore_case": True} if ignore_case else {}
        super().__init__(lambda condition: finish({**condition, **text}))

    def is_in(self, *values: Any) -> Result:
        """One of the values."""
        return self._finish({"op": "in", "value": list(values)})

    def not_in(self, *values: Any) -> Result:
        """There, and none of the values."""
        return self._finish({"op": "not_in", "value": list(values)})

    def contains(self, text: str) -> Result:
        """Has the text in it."""
        return self._finish({"op": "contains", "value": text})

    def starts(self, text: str) -> Result:
        """Begins with the text."""
        return self._finish({"op": "starts", "value": text})

    def ends(self, text: str) -> Result:
        """Ends with the text."""
        return self._finish({"op": "ends", "value": text})

    def exists(self) -> Result:
        """Has any value but null."""
        return self._finish({"op": "exists"})

    def not_exists(self) -> Result:
        """Is missing or null."""
        return self._finish({"op": "not_exists"})
