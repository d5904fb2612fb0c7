"""Trend: a measure of events over time.

>>> trend("Charged").sum("price").by("product_id").every("day").last("30d").spec()  # doctest: +NORMALIZE_WHITESPACE
{'kind': 'trend', 'event': 'Charged', 'measures': [{'sum': 'price'}], 'interval': 'day',
 'breakdown': [{'property': 'product_id'}], 'range': {'last': '30d'}}
>>> trend("Viewed", series("Charged", name="paid")).unique().every("week").formula("B / A").spec()["events"]
['Viewed', {'event': 'Charged', 'name': 'paid'}]
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.question import BrokenDown, Spec
from cdpstore.query.selector import Selector, to_selector

__all__ = ["Series", "Trend", "series", "trend"]


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """Events of a trend with what more is said of them; made by `series`."""

    selector: Selector
    name: str | None = None
    first: str | None = None

    def spec(self) -> str | dict[str, Any]:
        """The series as a spec: a bare name where nothing more is said."""
        own = {key: value for key, value in (("name", self.name), ("first", self.first)) if value is not None}
        return {**self.selector.fields(), **own} if own else self.selector.spec()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trend(BrokenDown):
    """How often, how many, how much, over time."""

    events: tuple[Series, ...]
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

    def median(self, key: str) -> Self:
        """The exact median of a property's numbers, linear between two."""
        return self._measure({"median": key})

    def quantile(self, name: str, key: str) -> Self:
        """Any quantile of a property's numbers, by name: "p90", "p99.9"."""
        return self._measure({name: key})

    def distinct(self, key: str) -> Self:
        """How many different values a property had; types are kept apart."""
        return self._measure({"distinct": key})

    def per_profile(self, statistic: str = "mean") -> Self:
        """Events a profile, over the profiles that have some: "mean", "min", "max", "median", "p90", .."""
        return self._measure({"per_profile": statistic})

    def every(self, *units: str | dict[str, int]) -> Self:
        """One row a unit of time that has events; of several units, one series each."""
        return self._own(interval=units[0] if len(units) == 1 else list(units))

    def rolling(self, buckets: int) -> Self:
        """Each row measures so many trailing buckets, its own the last: daily rows of 7 are weekly actives."""
        return self._own(rolling=buckets)

    def cumulative(self) -> Self:
        """Each row measures everything from the start of the range on."""
        return self._own(cumulative=True)

    def moving_mean(self, buckets: int) -> Self:
        """Each number becomes its mean over so many trailing buckets, each measured by itself: a smoother line."""
        return self._own(moving_mean=buckets)

    def compared(self, previous: str | dict[str, int] = "period") -> Self:
        """Each row beside that of the range before: as long right before ("period"), or a "week", "year" .. earlier."""
        return self._own(previous=previous)

    def filled(self) -> Self:
        """A row for every bucket of the range, with or without events."""
        return self._own(fill=True)

    def formula(self, *texts: str) -> Self:
        """Arithmetic over the series in place of the measures: "A" is the first, "B.unique" a measure by its name."""
        return self._own(formula=list(texts))

    def ranked_by(self, index: int) -> Self:
        """Which of the measures ranks the breakdown under a limit."""
        return self._own(order=index)

    def _fields(self) -> Spec:
        measures = {"measures": list(self.measures)} if self.measures else {}
        specs = [each.spec() for each in self.events]
        several = len(specs) > 1 or self.events[0].name is not None
        events = {"events": specs} if several else {"event": specs[0]}
        return {"kind": "trend", **events, **measures, **dict(self.own)}

    def _measure(self, measure: str | dict[str, str]) -> Self:
        return dataclasses.replace(self, measures=(*self.measures, measure))

    def _own(self, **fields: Any) -> Self:
        return dataclasses.replace(self, own=tuple({**dict(self.own), **fields}.items()))


def series(event: str | Selector, *, name: str | None = None, first: str | None = None) -> Series:
    """Events as one series among several.

    `name` tells it in the answer (else A, B, ..). `first`: only the first of each profile counts: "event", its first
    ever of these names, if it meets the conditions; "matching", its first ever that does.
    """
    return Series(to_selector(event), name, first)


def trend(*events: str | Selector | Series) -> Trend:
    """A measure of these events, over all time until `every` and a range are given; of several, a series each."""
    if not events:
        raise ValueError("at least one event; any_event() selects all")
    return Trend(events=tuple(each if isinstance(each, Series) else series(each) for each in events))
