"""The operators, once: whatever is compared (a property, a trait), `Comparison` writes op and value.

It holds what to do with the finished condition, so `did("Charged").where("price").ge(10)` gives back the `did`.
`ignore_case` folds ASCII letters; with `missing` a missing value passes too.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from cdpstore.query.threshold import Condition, Threshold
from cdpstore.query.value_comparison import ValueComparison

__all__ = ["Comparison", "Condition", "Threshold"]

Result = TypeVar("Result")


class Comparison(ValueComparison[Result]):
    """Comparison of a property or trait: all operators."""

    __slots__ = ()

    def __init__(
        self, finish: Callable[[Condition], Result], *, ignore_case: bool = False, missing: bool = False
    ) -> None:
        flags = {name: True for name, given in (("ignore_case", ignore_case), ("missing", missing)) if given}
        super().__init__(lambda condition: finish({**condition, **flags}))

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
