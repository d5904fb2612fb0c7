"""Hypothesis strategies of breakdowns that group values.

>>> from hypothesis import find
>>> find(grouped_breakdowns(), lambda split: {"time": "day"} in split)[-1]
{'time': 'day'}
"""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from cdpstore.testing.strategies import (
    KEYS,
    TRAITS,
    column_of,
    funnels,
    retentions,
    ruled_trends,
    sound_split,
    trends,
)

__all__ = ["grouped_breakdowns", "grouped_questions", "questions_by_traits_at_event"]


def grouped_breakdowns() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Operands that group values: buckets of numbers, units of the calendar, elements of lists; the event's time."""
    borders = st.lists(
        st.sampled_from([-1, 0, 0.5, 1, 2.0, 2.5, 3, 10, 2**53 + 1, 2.0**53, 1e300, -(2**63)]), min_size=1
    )
    numbers = borders.map(lambda some: {"borders": sorted({Fraction(each): each for each in some}.values())})
    equal = st.sampled_from([2, 3, 5, 1_000]).map(lambda count: {"buckets": count})
    units = st.sampled_from(["hour", "day", "week", "month", "quarter", "year"])
    dates = units.map(lambda unit: {"unit": unit})
    elements = st.sampled_from([True, True, "sku", "qty"]).map(lambda of: {"elements": of})
    several = st.builds(lambda of, form: {**of, **form}, elements, numbers | equal | dates)
    groups = numbers | equal | dates | elements | elements | several
    keys = st.sampled_from([{"property": key} for key in KEYS] + [{"trait": key} for key in TRAITS])
    grouped = st.builds(lambda key, form: {**key, **form}, keys, groups)
    named = grouped.map(lambda operand: {**operand, "name": "named"})
    times = units.map(lambda unit: {"time": unit})
    operand = grouped | grouped | named | times | st.just({"event": "name"}) | keys
    return st.lists(operand, min_size=1, max_size=3, unique_by=column_of)


def grouped_questions() -> st.SearchStrategy[dict[str, Any]]:
    """Trends, funnels and retentions split by groups of values."""
    questions = trends() | ruled_trends() | funnels() | retentions()
    split = st.builds(lambda question, split: {**question, "breakdown": split}, questions, grouped_breakdowns())
    return split.map(sound_split)


def questions_by_traits_at_event() -> st.SearchStrategy[dict[str, Any]]:
    """Trends, funnels and retentions split by traits as they were when the event happened, and maybe by others."""
    then = st.sampled_from((*TRAITS, "never")).map(lambda key: {"trait": key, "at": "event"})
    form = st.sampled_from([{}, {}, {}, {"borders": [0, 2]}, {"unit": "week"}, {"elements": True}])
    operand = st.builds(lambda key, form: {**key, **form}, then, form)
    others = st.sampled_from([{"property": key} for key in KEYS])
    breakdown = st.lists(operand | operand | others, min_size=1, max_size=2, unique_by=column_of)
    questions = trends() | ruled_trends() | funnels() | retentions()
    return st.builds(lambda question, split: {**question, "breakdown": split}, questions, breakdown).map(sound_split)
