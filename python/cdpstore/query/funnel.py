"""Funnel: how many profiles took the steps, in order, within the window from the first.

>>> funnel("Viewed", "Charged", window="7d").strictly_later().spec()
{'kind': 'funnel', 'steps': ['Viewed', 'Charged'], 'window': '7d', 'same_time': 'later'}
>>> funnel("Viewed", step("Added", optional=True), "Charged", window=None).without("Refunded", between=(2, 3)).spec()
... # doctest: +NORMALIZE_WHITESPACE
{'kind': 'funnel', 'steps': ['Viewed', {'event': 'Added', 'optional': True}, 'Charged'], 'window': None,
 'exclude': [{'event': 'Refunded', 'between': [2, 3]}]}

`docs/queries.md` says what each rule means, what it costs and where other systems differ.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from cdpstore.query.question import BrokenDown, Spec
from cdpstore.query.selector import Selector, to_selector

__all__ = ["Funnel", "Step", "funnel", "step"]

Window = str | int | Mapping[str, Any] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A step, and what it says of itself: left out or in its place, taken by a profile's first event alone."""

    selector: Selector
    optional: bool = False
    first: Literal["event", "matching"] | None = None
    anchored: bool = False

    def spec(self) -> str | dict[str, Any]:
        """The step as a spec: its selector, with a field more for each that it says of itself."""
        own: Spec = {"optional": True} if self.optional else {}
        if self.first is not None:
            own["first"] = self.first
        if self.anchored:
            own["anchored"] = True
        return {**self.selector.fields(), **own} if own else self.selector.spec()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(BrokenDown):
    """The steps and the time they may take; the window's end is closed, None is no window."""

    steps: tuple[Step, ...]
    window: Window
    own: tuple[tuple[str, Any], ...] = ()

    def in_order(self) -> Self:
        """Steps in their order, any other events between them: the default, said aloud."""
        return self._own(order="in_order")

    def strict_steps(self) -> Self:
        """In order, and no other step of the funnel between two steps."""
        return self._own(order="strict_steps")

    def strict_all(self) -> Self:
        """In order, and no other event at all between two steps."""
        return self._own(order="strict_all")

    def any_order(self) -> Self:
        """Steps in any order: a column counts who did at least so many of them."""
        return self._own(order="any_order")

    def strictly_later(self) -> Self:
        """A step at the very time of the one before does not count."""
        return self._own(same_time="later")

    def grace(self, duration: str | int) -> Self:
        """A step also counts when it lies at most so long before the one it follows."""
        return self._own(same_time={"grace": duration})

    def several_steps(self) -> Self:
        """One event may take several steps, one after the other."""
        return self._own(event_fills="several_steps")

    def every(self, interval: str | dict[str, int]) -> Self:
        """A row for each hour, day .. of entries."""
        return self._own(interval=interval)

    def first_entry(self) -> Self:
        """Only the first entry of a profile counts, not its best."""
        return self._own(attempt="first_entry")

    def totals(self) -> Self:
        """Counts attempts, one at a time, instead of profiles."""
        return self._own(count="totals")

    def profiles_by_interval(self) -> Self:
        """One attempt a profile in every bucket of its entries."""
        return self._own(count="profiles_by_interval")

    def all_entries(self) -> Self:
        """Counts an attempt for every event of the first step."""
        return self._own(count="all_entries")

    def without(self, event: str | Selector, *, between: tuple[int, int] | None = None) -> Self:
        """Such an event between these steps (all, when not said) ends an attempt; called again, each does."""
        selector = to_selector(event)
        fields = selector.fields() if between is None else {**selector.fields(), "between": list(between)}
        before = dict(self.own).get("exclude", [])
        return self._own(exclude=[*before, fields if between else selector.spec()])

    def excluding(self, mode: Literal["drop", "remove", "any_clean_path"]) -> Self:
        """What `without` does: ends the attempt, removes the profile, or lets another path count."""
        return self._own(exclude_mode=mode)

    def holding(self, *keys: str) -> Self:
        """Steps must share the values of these properties; each tuple of values is counted for itself."""
        return self._own(hold=list(keys))

    def times(self, *statistics: str) -> Self:
        """Columns of how long the steps took: `mean`, `min`, `max`, `median`, `p90` and the like, in ms."""
        return self._own(times=[*dict(self.own).get("times", []), *statistics])

    def frequency(self, event: str | Selector, *, between: tuple[int, int] | None = None) -> Self:
        """A row for each number of such events between the events of these steps, the first and the last when not said;
        null for attempts that did not take both.
        """
        selector = to_selector(event)
        fields = selector.fields() if between is None else {**selector.fields(), "between": list(between)}
        return self._own(frequency=fields if between else selector.spec())

    def within(self, *durations: str | int) -> Self:
        """Columns of how many took each step, and all of them, in no more than these times."""
        return self._own(times=[*dict(self.own).get("times", []), *({"within": each} for each in durations)])

    def attributed(self, to: Literal["entry", "first_touch", "last_touch", "every_step"] | int) -> Self:
        """Which event a breakdown by a property reads; a number is that step."""
        return self._own(attribution={"step": to} if isinstance(to, int) else to)

    def _fields(self) -> Spec:
        steps = [each.spec() for each in self.steps]
        window = dict(self.window) if isinstance(self.window, Mapping) else self.window
        return {"kind": "funnel", "steps": steps, "window": window, **dict(self.own)}

    def _own(self, **fields: Any) -> Self:
        return dataclasses.replace(self, own=tuple({**dict(self.own), **fields}.items()))


def funnel(*steps: str | Selector | Step, window: Window = "7d") -> Funnel:
    """Profiles that reached each of the steps. `window`: a duration, None, or one of `{"calendar": unit}`,
    `{"step": duration}` from each step to the next, `{"session": gap}`.
    """
    return Funnel(steps=tuple(each if isinstance(each, Step) else step(each) for each in steps), window=window)


def step(
    event: str | Selector,
    *,
    optional: bool = False,
    first: Literal["event", "matching"] | None = None,
    anchored: bool = False,
) -> Step:
    """A step of a funnel. `first`: only a profile's first ever event of these names takes it, if it meets the
    conditions; or the first ever that meets them (`matching`). `anchored`: of steps in any order it keeps its place.
    """
    return Step(to_selector(event), optional, first, anchored)
