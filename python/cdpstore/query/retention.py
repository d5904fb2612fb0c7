"""Retention: of the profiles that started in a period, how many returned in each period after.

>>> retention("Signed Up", returned="Charged", interval="week").first_ever().spec()  # doctest: +NORMALIZE_WHITESPACE
{'kind': 'retention', 'start': 'Signed Up', 'return': 'Charged', 'interval': 'week',
 'population': 'first_ever'}
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.question import BrokenDown, Spec
from cdpstore.query.selector import Selector, to_selector

__all__ = ["Retention", "retention"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Retention(BrokenDown):
    """Cohorts by calendar period of the start."""

    start: Selector
    returned: Selector | None
    interval: str | dict[str, int]
    own: tuple[tuple[str, Any], ...] = ()

    def first_in_range(self) -> Self:
        """A profile starts with its first start event of the range: the default, said aloud."""
        return self._own(population="first_in_range")

    def first_ever(self) -> Self:
        """A profile starts with its first start event ever, and only counts when that lies in the range."""
        return self._own(population="first_ever")

    def every_period(self) -> Self:
        """A profile starts anew in every period in which it did the start event."""
        return self._own(population="every_period")

    def rolling(self, *, from_hour: bool = False) -> Self:
        """Periods of 24 hours (7, 30, 90, 365 days) from the start itself, or from the hour it lies in."""
        return self._own(alignment="rolling_hour" if from_hour else "rolling")

    def on_or_after(self) -> Self:
        """A period counts who returned in it or in any later one."""
        return self._own(criterion="on_or_after")

    def on_or_before(self) -> Self:
        """A period counts who returned in it or in any earlier one."""
        return self._own(criterion="on_or_before")

    def streak(self) -> Self:
        """A period counts who returned in it and in every one before."""
        return self._own(criterion="streak")

    def brackets(self, *pairs: tuple[int, int]) -> Self:
        """Periods taken together, each pair from the first to the last; `period` is then the number of the pair."""
        return self._own(criterion={"brackets": [list(pair) for pair in pairs]})

    def at_least(self, count: int) -> Self:
        """So many returns are needed, not one."""
        return self._own(min_count=count)

    def counting_birth(self, counts: bool = True) -> Self:
        """Whether the start is a return of period 0 itself: when not said, where the return is the start event."""
        return self._own(count_birth=counts)

    def sharing_value(self) -> Self:
        """Only returns with the start's values of the breakdown's properties count."""
        return self._own(share_value=True)

    def in_any_order(self) -> Self:
        """A return of period 0 may also lie before the start."""
        return self._own(order="ignored")

    def filled(self) -> Self:
        """Every period of a cohort that has begun has a row, also when nobody returned in it."""
        return self._own(fill=True)

    def sum(self, key: str) -> Self:
        """The exact sum of a property of the returns that a cell counts; with `on_or_before` what came in by then."""
        return self._measure("sum", key)

    def mean(self, key: str) -> Self:
        """The mean of a property's numbers, of the returns that a cell counts."""
        return self._measure("mean", key)

    def _measure(self, name: str, key: str) -> Self:
        return self._own(measures=[*dict(self.own).get("measures", []), {name: key}])

    def periods(self, count: int) -> Self:
        """Only so many periods, period 0 included."""
        return self._own(periods=count)

    def _fields(self) -> Spec:
        returned = {} if self.returned is None else {"return": self.returned.spec()}
        base = {"kind": "retention", "start": self.start.spec(), **returned, "interval": self.interval}
        return {**base, **dict(self.own)}

    def _own(self, **fields: Any) -> Self:
        return dataclasses.replace(self, own=tuple({**dict(self.own), **fields}.items()))


def retention(
    start: str | Selector, *, returned: str | Selector | None = None, interval: str | dict[str, int] = "day"
) -> Retention:
    """Return by period after the start; without `returned` the start event again."""
    again = None if returned is None else to_selector(returned)
    return Retention(start=to_selector(start), returned=again, interval=interval)
