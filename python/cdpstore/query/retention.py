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
    """Cohorts by calendar period of the start; the start itself is no return."""

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
