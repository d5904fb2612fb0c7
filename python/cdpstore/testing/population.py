"""Clauses whose truth for one profile depends on all others: their cuts are found before anybody is asked."""

from collections.abc import Sequence
from typing import Any

from cdpstore.testing.calendars import Moment
from cdpstore.testing.clauses import holds, own_values
from cdpstore.testing.quantiles import cut
from cdpstore.testing.rows import Person
from cdpstore.testing.values import is_number

__all__ = ["with_cuts"]


def with_cuts(spec: Any, people: Sequence[Person], moment: Moment) -> Any:
    """The spec, every quantile in it knowing where it lies among these people."""
    if isinstance(spec, list):
        return [with_cuts(each, people, moment) for each in spec]
    if not isinstance(spec, dict):
        return spec
    known = {name: with_cuts(each, people, moment) for name, each in spec.items()}
    if not ("quantile" in spec and "method" in spec):
        return known
    among = known["among"]
    asked = [person for person in people if among is None or holds(among, person, moment)]
    values = [own_values(person, moment)(known["quantile"]) for person in asked]
    numbers = [value for value in values if is_number(value)]
    names = known["value"] if isinstance(known["value"], list) else [known["value"]]
    return {**known, "cuts": [cut(numbers, name, known["method"]) for name in names] if numbers else []}
