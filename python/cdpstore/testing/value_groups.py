"""What a breakdown makes of a value: elements of lists, buckets of numbers, units of the calendar.

`cpp/query/kinds/value_groups.hpp` has the same meaning in words.
"""

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from cdpstore.model import datetime_of, milliseconds_of
from cdpstore.testing.calendars import Calendar
from cdpstore.testing.spec import UNITS, Fields, bad, boolean, choice, each, integer, name_of
from cdpstore.testing.values import is_number, typed

__all__ = ["equal_borders", "grouped", "labels", "take_groups", "time_groups"]

_NO_NUMBER: Final = "not a number"
_NO_DATE: Final = "not a date"

Groups = dict[str, Any]


def take_groups(fields: Fields) -> Groups | None:
    """What the fields say of groups; None when they say nothing."""
    elements = fields.take("elements", _elements) or False
    found: Groups = {"borders": fields.take("borders", _borders)}
    found["buckets"] = fields.take("buckets", integer(2, 1_000))
    found["unit"] = fields.take("unit", choice(UNITS))
    forms = [name for name, given in found.items() if given is not None]
    if len(forms) > 1:
        bad(fields.path(forms[1]), "one of borders, buckets and unit, not several")
    return {**found, "elements": elements} if forms or elements is not False else None


def time_groups(node: Any, path: str) -> Groups:
    """The unit of the event's own time."""
    return {"borders": None, "buckets": None, "unit": choice(UNITS)(node, path), "elements": False}


def _elements(node: Any, path: str) -> Any:
    return name_of(node, path) if isinstance(node, str) else boolean(node, path)


def _borders(node: Any, path: str) -> list[int | float]:
    borders = each(lambda one, at: one if is_number(one) else bad(at, "expected a number"), 1, 1_000)(node, path)
    for at, (left, right) in enumerate(itertools.pairwise(borders)):
        if left >= right:
            bad(f"{path}[{at + 1}]", "expected a number above the border before it")
    return borders


def labels(groups: Groups) -> list[str] | None:
    """What the rows of numbers are called, in order; None where values tell themselves.

    >>> labels({"borders": [0, 0.5]})
    ['(-inf, 0)', '[0, 0.5)', '[0.5, inf)', 'not a number']
    """
    if groups["borders"] is None:
        return None
    texts = [repr(border).removesuffix(".0") for border in groups["borders"]]
    texts = ["0" if text == "-0" else text for text in texts]
    lows, highs = ["(-inf", *(f"[{text}" for text in texts)], [*texts, "inf"]
    return [*(f"{low}, {high})" for low, high in zip(lows, highs, strict=True)), _NO_NUMBER]


def grouped(groups: Groups | None, value: Any, calendar: Callable[[Any], Calendar]) -> list[Any]:
    """The groups that a value lies in, each once; None alone for none. Buckets of numbers are told by their index."""
    if groups is None:
        return [value]
    values = [value] if groups["elements"] is False else [*_elements_of(groups["elements"], value)]
    made = [_group(groups, one, calendar) for one in values if one is not None]
    return list({typed(one): one for one in made}.values()) or [None]


def _elements_of(field: Any, value: Any) -> Iterator[Any]:
    if not isinstance(value, list):
        yield from [value] if field is True else []
        return
    for item in value:
        if isinstance(item, dict) != (field is True):
            found = item.get(field) if isinstance(item, dict) else item
            yield from [] if isinstance(found, list | dict) else [found]


def _group(groups: Groups, value: Any, calendar: Callable[[Any], Calendar]) -> Any:
    if groups["borders"] is not None:
        return bisect_right(groups["borders"], value) if is_number(value) else len(groups["borders"]) + 1
    if groups["unit"] is not None:
        if not isinstance(value, datetime):
            return _NO_DATE
        return datetime_of(calendar(groups["unit"]).start(milliseconds_of(value)))
    return value


def equal_borders(counted: Sequence[tuple[Any, int]], buckets: int) -> list[int | float]:
    """Borders of so many buckets of equal count, of values that are counted so often: nearest rank.

    >>> equal_borders([(5, 1), (1, 2), (2, 1)], 2), equal_borders([(1, 9), (2, 1)], 3), equal_borders([("x", 9)], 3)
    ([2], [1], [])
    """
    numbers = sorted(value for value, count in counted if is_number(value) for _ in range(count))
    found = {numbers[at * len(numbers) // buckets] for at in range(1, buckets) if numbers}
    return sorted(found)
