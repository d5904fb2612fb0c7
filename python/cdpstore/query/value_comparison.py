"""Tests on a value that are more than a comparison: texts, lists, times and dates, versions.

>>> from cdpstore.query import trait
>>> trait("born").anniversary(days_before=7).spec()
{'trait': 'born', 'op': 'anniversary', 'value': {'days_before': 7}}
>>> (trait("tags").size().ge(3) & trait("app_version").version().lt("1.10")).spec()["and"][1]
{'trait': 'app_version', 'op': 'version_lt', 'value': '1.10'}
"""

from datetime import date, datetime
from typing import Any, TypeVar

from cdpstore.query.condition import AnyCondition, condition_spec
from cdpstore.query.threshold import Condition, Threshold
from cdpstore.query.zone import ZoneOf

__all__ = ["ValueComparison", "VersionComparison"]

Result = TypeVar("Result")


class VersionComparison(Threshold[Result]):
    """Comparison of versions, in the order of semantic versions; what is no version never passes."""

    __slots__ = ()

    def eq(self, value: str) -> Result:
        """The same version: missing numbers are 0, the build has no part in it."""
        return self._of("eq", value)

    def lt(self, value: str) -> Result:
        """A version before this one."""
        return self._of("lt", value)

    def le(self, value: str) -> Result:
        """This version or one before it."""
        return self._of("le", value)

    def gt(self, value: str) -> Result:
        """A version after this one."""
        return self._of("gt", value)

    def ge(self, value: str) -> Result:
        """This version or one after it."""
        return self._of("ge", value)

    def _of(self, order: str, value: str) -> Result:
        return self._finish({"op": f"version_{order}", "value": value})


class ValueComparison(Threshold[Result]):
    """The tests of a property or trait that a number made of events does not know."""

    __slots__ = ()

    def not_contains(self, text: str) -> Result:
        """There, and without the text in it."""
        return self._finish({"op": "not_contains", "value": text})

    def not_starts(self, text: str) -> Result:
        """There, and not beginning with the text."""
        return self._finish({"op": "not_starts", "value": text})

    def not_ends(self, text: str) -> Result:
        """There, and not ending with the text."""
        return self._finish({"op": "not_ends", "value": text})

    def regex(self, expression: str) -> Result:
        """The expression matches somewhere in the text; its syntax: `docs/queries.md`."""
        return self._finish({"op": "regex", "value": expression})

    def not_regex(self, expression: str) -> Result:
        """There, and the expression matches nowhere in it."""
        return self._finish({"op": "not_regex", "value": expression})

    def has_any(self, *values: Any) -> Result:
        """A list with at least one of the values."""
        return self._finish({"op": "any", "value": list(values)})

    def has_all(self, *values: Any) -> Result:
        """A list with every one of the values."""
        return self._finish({"op": "all", "value": list(values)})

    def has_none(self, *values: Any) -> Result:
        """There, and with none of the values."""
        return self._finish({"op": "none", "value": list(values)})

    def size(self) -> Threshold[Result]:
        """How many elements a list has."""
        return Threshold(lambda size: self._finish({"op": "size", "value": size}))

    def any_element(self, *conditions: AnyCondition) -> Result:
        """A list of objects, of which one and the same meets all conditions (made by `item`).

        >>> from cdpstore.query import item, trait
        >>> trait("cart").any_element(item("sku").eq(7), item("qty").ge(2)).spec()["any_element"][0]
        {'property': 'sku', 'op': 'eq', 'value': 7}
        """
        return self._finish({"any_element": [condition_spec(each) for each in conditions]})

    def before(self, time: datetime) -> Result:
        """Earlier than the instant."""
        return self._finish({"op": "before", "value": time})

    def after(self, time: datetime) -> Result:
        """Later than the instant."""
        return self._finish({"op": "after", "value": time})

    def on(self, day: date | str, *, zone: ZoneOf | None = None) -> Result:
        """On this local date, in the question's zone unless one is given (a live segment's is UTC)."""
        text = day if isinstance(day, str) else day.isoformat()
        return self._finish({"op": "on", "value": text, **_zone(zone)})

    def within_last(self, duration: str | int) -> Result:
        """In (now - duration, now]."""
        return self._finish({"op": "within", "value": {"last": duration}})

    def within_next(self, duration: str | int) -> Result:
        """In (now, now + duration]."""
        return self._finish({"op": "within", "value": {"next": duration}})

    def anniversary(
        self, *, days_before: int = 0, days_after: int = 0, leap_day: str | None = None, zone: ZoneOf | None = None
    ) -> Result:
        """Today is the month and day of the value, or at most so many days before or after it, in any year.

        29 February counts as the 28th in common years, with `leap_day="mar_1"` as 1 March. Dates are those of the
        question's zone unless one is given (a live segment's is UTC).
        """
        rule = {"days_before": days_before, "days_after": days_after, "leap_day": leap_day}
        return self._finish(
            {"op": "anniversary", "value": {name: each for name, each in rule.items() if each}, **_zone(zone)}
        )

    def version(self) -> VersionComparison[Result]:
        """Compared as a version: "1.10" is above "1.9", "2.0-rc.1" below "2.0"."""
        return VersionComparison(self._finish)


def _zone(zone: ZoneOf | None) -> Condition:
    return {} if zone is None else {"zone": zone}
