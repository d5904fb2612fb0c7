"""What a profile did and did not: events by name, conditions, local times, window, and measures of those found.

>>> did("Charged").where("price").ge(10).within("30d").count().ge(3).spec()["count"]
{'op': 'ge', 'value': 3}
>>> (did_not("Viewed") | did("Viewed").last_time().older_than("30d")).spec()["or"][0]
{'did_not': 'Viewed'}
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from cdpstore.query.comparison import Comparison, Condition, Threshold
from cdpstore.query.predicate import Predicate
from cdpstore.query.selector import Selector, place, selector_of
from cdpstore.query.timed import Timed, local_times, timed_spec
from cdpstore.query.where import Conditional
from cdpstore.query.zone import ZoneOf

__all__ = ["Did", "When", "did", "did_not", "regularly", "restarted", "stopped"]


@dataclasses.dataclass(frozen=True, slots=True)
class Did(Conditional, Predicate):
    """The profile did (or did not) these events; measures say how many or how much, all must hold."""

    word: str
    selector: Selector
    window: tuple[tuple[str, Any], ...] = ()
    measures: tuple[tuple[str, Any], ...] = ()
    times: tuple[tuple[str, Any], ...] = ()
    rules: tuple[tuple[str, Any], ...] = ()

    def near(self, *, lat: float, lon: float, meters: float, lat_key: str = "lat", lon_key: str = "lon") -> Self:
        """Counts only events of which two properties are a place at most so many metres away."""
        return self._meeting(place(lat, lon, meters, (lat_key, lon_key)))

    def at(
        self,
        *,
        hours: Sequence[Sequence[int | str]] | None = None,
        weekdays: Sequence[str] | None = None,
        days_of_month: Sequence[int] | None = None,
        months: Sequence[int] | None = None,
        zone: ZoneOf | None = None,
    ) -> Self:
        """Counts only events at these times of the local clock; all that is given must hold.

        `hours` from included to excluded, over midnight where they end before they begin; days from 1, or from -1, the
        last of the month.

        >>> did("Viewed").at(hours=[(22, 6)], weekdays=["friday"], zone="Europe/Vienna").spec()["at"]["hours"]
        [[22, 6]]
        """
        return self._replace(times=tuple(local_times(hours, weekdays, days_of_month, months, zone).items()))

    def within(self, duration: str | int, *, until: str | int | None = None) -> Self:
        """Counts only events of (now - duration, now - until]; until now, unless told.

        >>> did_not("Opened").within("30d", until="10d").spec()["window"]
        {'last': '30d', 'until': '10d'}
        """
        return self._replace(window=_given(last=duration, until=until))

    def until(self, duration: str | int) -> Self:
        """Counts only events of (always, now - duration]."""
        return self._replace(window=_given(until=duration))

    def within_days(self, count: int, *, zone: ZoneOf | None = None) -> Self:
        """Counts only events of the last so many local days, today included; in the question's zone, unless told."""
        return self._replace(window=_given(last=f"{count}d", calendar=True, zone=zone))

    def this(
        self, unit: str, *, count: int | None = None, zone: ZoneOf | None = None, week_start: str | None = None
    ) -> Self:
        """Counts only events of this local hour, day, week, month, quarter or year; `count`: of so many up to now."""
        return self._replace(window=_given(this=unit, count=count, zone=zone, week_start=week_start))

    def previous(
        self, unit: str, *, count: int | None = None, zone: ZoneOf | None = None, week_start: str | None = None
    ) -> Self:
        """Counts only events of the whole local hour, day, .. or year before this one; `count`: of so many.

        >>> did("Charged").previous("month", count=3).spec()["window"]
        {'previous': 'month', 'count': 3}
        """
        return self._replace(window=_given(previous=unit, count=count, zone=zone, week_start=week_start))

    def between(self, start_ms: int | None = None, end_ms: int | None = None) -> Self:
        """Counts only events of [start_ms, end_ms)."""
        return self._replace(window=_given(start_ms=start_ms, end_ms=end_ms))

    def since_trait(self, key: str, within: str | int | None = None) -> Self:
        """Counts only events from the datetime of a trait on, up to so much later.

        >>> did("Charged").since_trait("trial_began", within="14d").spec()["window"]
        {'since': {'trait': 'trial_began'}, 'within': '14d'}
        """
        return self._replace(window=_given(since={"trait": key}, within=within))

    def first_ever(self, *, matching: bool = False) -> Self:
        """Only the profile's first event of these names ever, if it is one of those counted.

        With `matching`, the first that meets the conditions, whatever came before it.
        """
        return self._rule(first_ever="matching" if matching else "event")

    def not_followed_by(self, event: str | Timed, within: str | int, *, by: str | None = None) -> Self:
        """Counts only events behind which no such event came in time, once that time is over.

        `by`: a property whose value both must share (a cart, an order).

        >>> did("Added").not_followed_by("Charged", within="1h", by="cart").spec()
        {'did': 'Added', 'not_followed_by': 'Charged', 'within': '1h', 'by': 'cart'}
        """
        return self._rule(not_followed_by=timed_spec(event), within=within, by=by)

    def without_zero(self) -> Self:
        """Leaves out profiles that never did it, whatever the measures say of nothing."""
        return self._rule(include_zero=False)

    def count(self) -> Threshold[Self]:
        """How many events; at least one when no measure is given."""
        return Threshold(lambda condition: self._measure("count", condition))

    def sum(self, key: str, *, missing: str = "skip") -> Threshold[Self]:
        """The exact sum of a property's numbers, 0 of none."""
        return self._of("sum", key, missing)

    def mean(self, key: str, *, missing: str = "skip") -> Threshold[Self]:
        """The mean of a property's numbers; never true of none."""
        return self._of("mean", key, missing)

    def min(self, key: str, *, missing: str = "skip") -> Threshold[Self]:
        """The least of a property's numbers; never true of none."""
        return self._of("min", key, missing)

    def max(self, key: str, *, missing: str = "skip") -> Threshold[Self]:
        """The greatest of a property's numbers; never true of none."""
        return self._of("max", key, missing)

    def distinct(self, key: str) -> Threshold[Self]:
        """How many different values a property had."""
        return self._of("distinct", key)

    def distinct_days(self, *, zone: ZoneOf | None = None) -> Threshold[Self]:
        """On how many local days."""
        return Threshold(lambda condition: self._measure("distinct_days", {**condition, **dict(_given(zone=zone))}))

    def first(self, key: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Self]:
        """A condition on the property of the first event counted."""
        return self._value("first", key, ignore_case, missing)

    def last(self, key: str, *, ignore_case: bool = False, missing: bool = False) -> Comparison[Self]:
        """A condition on the property of the last event counted."""
        return self._value("last", key, ignore_case, missing)

    def first_time(self, *, missing: bool = False) -> "When":
        """When the first event was; `missing`: the truth where there is none."""
        return When(self, "first_time", missing)

    def last_time(self, *, missing: bool = False) -> "When":
        """When the last event was; `missing`: the truth where there is none.

        >>> did("Opened").last_time().older_than("30d").spec()["last_time"]
        {'op': 'older_than', 'value': '30d'}
        """
        return When(self, "last_time", missing)

    def spec(self) -> dict[str, Any]:
        fields: dict[str, Any] = {self.word: self.selector.events()}
        if self.selector.conditions:
            fields["where"] = list(self.selector.conditions)
        if self.times:
            fields["at"] = dict(self.times)
        if self.window:
            fields["window"] = dict(self.window)
        return {**fields, **dict(self.measures), **dict(self.rules)}

    def _of(self, measure: str, key: str, missing: str = "skip") -> Threshold[Self]:
        filled = {} if missing == "skip" else {"missing": missing}
        return Threshold(lambda condition: self._measure(measure, {"property": key, **condition, **filled}))

    def _value(self, name: str, key: str, ignore_case: bool, missing: bool) -> Comparison[Self]:
        return Comparison(
            lambda condition: self._measure(name, {"property": key, **condition}),
            ignore_case=ignore_case,
            missing=missing,
        )

    def _rule(self, **rules: Any) -> Self:
        if self.word == "did_not":
            raise ValueError("did_not takes no rule: it means that nothing was done")
        return self._replace(rules=(*self.rules, *_given(**rules)))

    def _measure(self, name: str, condition: Any) -> Self:
        if self.word == "did_not":
            raise ValueError("did_not takes no measure: it means that nothing was done")
        return self._replace(measures=(*self.measures, (name, condition)))

    def _meeting(self, condition: Condition) -> Self:
        return self._replace(selector=self.selector._meeting(condition))

    def _replace(self, **fields: Any) -> Self:
        return dataclasses.replace(self, **fields)


@dataclasses.dataclass(frozen=True, slots=True)
class When:
    """When the first or the last event was: completed by what it is compared with."""

    did: Did
    name: str
    missing: bool

    def before(self, time_ms: int) -> Did:
        """Earlier than this."""
        return self._finish("before", time_ms)

    def after(self, time_ms: int) -> Did:
        """Later than this."""
        return self._finish("after", time_ms)

    def older_than(self, duration: str | int) -> Did:
        """At or before now - duration."""
        return self._finish("older_than", duration)

    def newer_than(self, duration: str | int) -> Did:
        """After now - duration."""
        return self._finish("newer_than", duration)

    def _finish(self, op: str, value: str | int) -> Did:
        missing = {"missing": True} if self.missing else {}
        return self.did._measure(self.name, {"op": op, "value": value, **missing})


def did(*events: str | Selector) -> Did:
    """The profile did any of these events; without one, any event.

    >>> from cdpstore.query import any_of, named
    >>> did(any_of(named("Charged").where("amount").gt(100), "Renewed")).within("30d").spec()["did"]["any_of"][1]
    'Renewed'
    """
    return Did("did", selector_of(events))


def did_not(*events: str | Selector) -> Did:
    """The profile did none of these events; without one, no event at all."""
    return Did("did_not", selector_of(events))


def stopped(*events: str | Selector, lately: str | int, before: str | int | None = None) -> Predicate:
    """The profile did any of these events in (now - before, now - lately], and none since.

    >>> stopped("Opened", lately="30d", before="90d").spec()
    {'stopped': 'Opened', 'for': '30d', 'before': '90d'}
    """
    return _Habit("stopped", selector_of(events), (("for", lately), *_given(before=before)))


def restarted(*events: str | Selector, last: str | int, gap: str | int) -> Predicate:
    """The profile did any of these events in (now - last, now], none in the gap before, and some before that."""
    return _Habit("restarted", selector_of(events), (("last", last), ("gap", gap)))


def regularly(
    *events: str | Selector, every: str | int, times: int, at_least: int | None = None, count: int | None = None
) -> Predicate:
    """The profile did any of these events in each of the last so many spans, or in at least so many of them.

    In a span at least `count` times, 1 when left out.

    >>> regularly("Opened", every="1d", times=7, at_least=3).spec()
    {'regularly': 'Opened', 'every': '1d', 'times': 7, 'at_least': 3}
    """
    test = None if count is None else {"op": "ge", "value": count}
    rules = _given(at_least=at_least, count=test)
    return _Habit("regularly", selector_of(events), (("every", every), ("times", times), *rules))


@dataclasses.dataclass(frozen=True, slots=True)
class _Habit(Predicate):
    word: str
    selector: Selector
    fields: tuple[tuple[str, Any], ...]

    def spec(self) -> dict[str, Any]:
        where = {"where": list(self.selector.conditions)} if self.selector.conditions else {}
        return {self.word: self.selector.events(), **where, **dict(self.fields)}


def _given(**fields: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((name, value) for name, value in fields.items() if value is not None)
