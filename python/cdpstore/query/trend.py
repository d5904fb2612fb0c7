"""Trend: a measure of events over time.

>>> trend("Charged").sum("price").by("product_id").every("day").last("30d").spec()  # doctest: +NORMALIZE_WHITESPACE
{'kind': 'trend', 'event': 'Charged', 'measures': [{'sum': 'price'}], 'interval': 'day',
 'breakdown': [{'property': 'product_id'}], 'range': {'last': '30d'}}
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.question import BrokenDown, Spec
from cdpstore.query.selector import Selector, to_selector

__all__ = ["Trend", "trend"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trend(BrokenDown):
    """How often, how many, how much, over time."""

    event: Selector
    measures: tuple[str | dict[str, str], ...] = ()
    own: tuple[tuple[str, Any], ...] = ()

    def total(self) -> Self:
        """Counts events; what is measured when nothing else is."""
        return self._measure("total")

    def unique(self) -> Self:
        """Counts profiles."""
        return self._measure("unique")

    def sum(self, key: str) -> Self:
        """The exact sum of a property's numbers."""
        return self._measure({"sum": key})

    def mean(self, key: str) -> Self:
        """The mean of a property's numbers."""
        return self._measure({"mean": key})

    def min(self, key: str) -> Self:
        """The least of a property's numbers."""
        return self._measure({"min": key})

    def max(self, key: str) -> Self:
        """The greatest of a property's numbers."""
        return self._measure({"max": key})

    def every(self, *units: str | dict[str, int]) -> Self:
        """One row a unit of time that has events; of several units, one series each."""
        return self._own(interval=units[0] if len(units) == 1 else list(units))

    def ranked_by(self, index: int) -> Self:
        """Which of the measures ranks the breakdown under a limit."""
        return self._own(order=index)

    def _fields(self) -> Spec:
        measures = {"measures": list(self.measures)} if self.measures else {}
        return {"kind": "trend", "event": self.event.spec(), **measures, **dict(self.own)}

    def _measure(self, measure: str | dict[str, str]) -> Self:
        return dataclasses.replace(self, measures=(*self.measures, measure))

    def _own(self, **fields: Any) -> Self:
        return dataclasses.replace(self, own=tuple({**dict(self.own), **fields}.items()))


def trend(event: str | Selector) -> Trend:
    """A measure of these events, over all time until `every` and a range are given."""
    return Trend(event=to_selector(event))
