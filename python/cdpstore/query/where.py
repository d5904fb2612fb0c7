"""Conditions on one and the same event, item, device or group, joined by & | ~.

>>> (field("price").gt(100) | field("category").eq("luxury")).spec()["or"][1]
{'property': 'category', 'op': 'eq', 'value': 'luxury'}
>>> (~field("coupon").exists()).spec()
{'not': {'property': 'coupon', 'op': 'exists'}}
"""

from abc import ABC, abstractmethod
from typing import Self, overload

from cdpstore.query.comparison import Comparison, Condition
from cdpstore.query.condition import AnyCondition, Where, condition_spec

__all__ = ["AnyCondition", "Conditional", "Where", "field"]


def field(key: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Where]:
    """A condition on a property of an event or a field of an item, device or group, completed by its operator."""
    return Comparison(lambda condition: Where({"property": key, **condition}), ignore_case=ignore_case, missing=missing)


class Conditional(ABC):
    """What takes conditions, all of which must hold."""

    __slots__ = ()

    @abstractmethod
    def _meeting(self, condition: Condition) -> Self:
        """One more of them."""

    @overload
    def where(self, condition: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Self]: ...
    @overload
    def where(self, condition: AnyCondition) -> Self: ...
    def where(
        self, condition: str | AnyCondition, *, ignore_case: bool = False, missing: bool = False
    ) -> Comparison[Self] | Self:
        """One more condition: on a field by its key, completed by its operator, or one that is made by `field`."""
        if not isinstance(condition, str):
            return self._meeting(condition_spec(condition))
        return Comparison(
            lambda test: self._meeting({"property": condition, **test}), ignore_case=ignore_case, missing=missing
        )
