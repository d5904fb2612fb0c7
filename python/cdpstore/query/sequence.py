"""Events in order: A, then B, then C, with gaps, without others between.

>>> carts = sequence("Added", "Charged", hold="cart").within("1d").without("Removed")
>>> carts.spec()
{'sequence': ['Added', 'Charged'], 'within': '1d', 'without': 'Removed', 'hold': 'cart'}
"""

import dataclasses
from typing import Any, Self

from cdpstore.query.comparison import Threshold
from cdpstore.query.predicate import Predicate
from cdpstore.query.timed import Timed, timed_spec

__all__ = ["Sequence", "sequence"]


@dataclasses.dataclass(frozen=True, slots=True)
class Sequence(Predicate):
    """The profile did these steps one behind the other, at least once unless `count` says more."""

    steps: tuple[str | Timed, ...]
    hold: str | None = None
    fields: tuple[tuple[str, Any], ...] = ()
    gaps: tuple[tuple[int, dict[str, Any]], ...] = ()
    counted: tuple[tuple[int, dict[str, Any]], ...] = ()

    def within(self, duration: str | int) -> Self:
        """From the first step to the last at most so long."""
        return self._with("within", duration)

    def gap(self, step: int) -> Threshold[Self]:
        """The time between this step (from 1) and the next.

        >>> sequence("A", "B", "C").gap(2).le("1h").spec()["gaps"]
        [None, {'op': 'le', 'value': '1h'}]
        """
        if not 1 <= step < len(self.steps):
            raise ValueError("a gap is behind a step that is not the last")
        return Threshold(lambda gap: dataclasses.replace(self, gaps=(*self.gaps, (step - 1, gap))))

    def often(self, step: int, event: str | Timed) -> Threshold[Self]:
        """How many such events come between this step (from 1) and the next.

        >>> sequence("Added", "Charged").often(1, "Viewed").eq(0).spec()["between"]
        [{'event': 'Viewed', 'count': {'op': 'eq', 'value': 0}}]
        """
        if not 1 <= step < len(self.steps):
            raise ValueError("what comes between comes behind a step that is not the last")
        given = timed_spec(event)
        which = given if isinstance(given, dict) else {"event": given}
        return Threshold(
            lambda count: dataclasses.replace(self, counted=(*self.counted, (step - 1, {**which, "count": count})))
        )

    def without(self, event: str | Timed) -> Self:
        """No such event between two steps."""
        return self._with("without", timed_spec(event))

    def since(self, duration: str | int) -> Self:
        """Only events of (now - duration, now]."""
        return self._with("window", {"last": duration})

    def between(self, start_ms: int | None = None, end_ms: int | None = None) -> Self:
        """Only events of [start_ms, end_ms)."""
        borders = {"start_ms": start_ms, "end_ms": end_ms}
        return self._with("window", {name: border for name, border in borders.items() if border is not None})

    def count(self) -> Threshold[Self]:
        """How many of them fit one behind the other."""
        return Threshold(lambda condition: self._with("count", condition))

    def spec(self) -> dict[str, Any]:
        gaps: list[dict[str, Any] | None] = [None] * (len(self.steps) - 1)
        for step, gap in self.gaps:
            gaps[step] = gap
        between: list[dict[str, Any] | None] = [None] * (len(self.steps) - 1)
        for step, counted in self.counted:
            between[step] = counted
        return {
            "sequence": [timed_spec(step) for step in self.steps],
            **({"gaps": gaps} if self.gaps else {}),
            **({"between": between} if self.counted else {}),
            **dict(self.fields),
            **({} if self.hold is None else {"hold": self.hold}),
        }

    def _with(self, name: str, value: Any) -> Self:
        return dataclasses.replace(self, fields=(*self.fields, (name, value)))


def sequence(*steps: str | Timed, hold: str | None = None) -> Sequence:
    """Steps in order; `hold`: a property whose value all of them share."""
    if len(steps) < 2:
        raise ValueError("a sequence has at least two steps")
    return Sequence(steps, hold)
