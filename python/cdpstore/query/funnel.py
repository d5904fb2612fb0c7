"""Funnel: how many profiles took the steps, in order, within the window from the first.

>>> funnel("Viewed", "Charged", window="7d").strictly_later().spec()
{'kind': 'funnel', 'steps': ['Viewed', 'Charged'], 'window': '7d', 'same_time': 'later'}
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.question import BrokenDown, Spec
from cdpstore.query.selector import Selector, to_selector

__all__ = ["Funnel", "funnel"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Funnel(BrokenDown):
    """The steps and the time they may take; the window's end is closed, None is no window."""

    steps: tuple[Selector, ...]
    window: str | int | None
    own: tuple[tuple[str, Any], ...] = ()

    def in_order(self) -> Self:
        """Steps in their order, any other events between them: the default, said aloud."""
        return self._own(order="in_order")

    def strictly_later(self) -> Self:
        """A step at the very time of the one before does not count."""
        return self._own(same_time="later")

    def _fields(self) -> Spec:
        steps = [step.spec() for step in self.steps]
        return {"kind": "funnel", "steps": steps, "window": self.window, **dict(self.own)}

    def _own(self, **fields: Any) -> Self:
        return dataclasses.replace(self, own=tuple({**dict(self.own), **fields}.items()))


def funnel(*steps: str | Selector, window: str | int | None) -> Funnel:
    """Profiles that reached each of the steps."""
    return Funnel(steps=tuple(map(to_selector, steps)), window=window)
