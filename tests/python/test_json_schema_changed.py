"""Specs changed at random: the schema refuses nothing that the store accepts, and accepts only what it cannot tell."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import CDPError
from cdpstore.store import Store
from tests.oracle.scale import examples
from tests.python.spec_examples import ACCEPTED, NOW
from tests.python.test_json_schema import CLOSED, SCHEMA, faults

NAMES = sorted({name for part in CLOSED.values() for name in part["properties"]})
VALUES: list[Any] = [
    *(0, 1, -1, 2, 3.5, 10**6, True, False, "x", "", "7d", "1h", "day", "UTC", "2026-03-01", "p90"),
    *([], [1], ["a", "b"], [1, "a"], [[0, 1]], [{"property": "p", "op": "exists"}]),
    *({}, {"days": 2}, {"event": "A"}, {"op": "ge", "value": 1}, {"$time": 5}, {"trait": "t"}, {"property": "p"}),
    *SCHEMA["$defs"]["op"]["enum"],
]
# Where the store is more generous than the grammar.
GENEROUS = (
    r"^\$: .*\('breakdown' was unexpected\)",  # of a kind without one, when it is empty
    r"'(ignore_case|missing)' was unexpected",  # of numbers, when it says nothing
    r"^\$\.range: .*\('(zone|week_start)' was unexpected\)",  # the question has them
)
# What no schema can tell, or what its descriptions say instead.
BEYOND = (
    "unknown zone",
    "no live segment is named",
    "two columns of the answer would be named",
    "two columns of one name",
    "two series of one name",
    r"at\.group: expected",  # one value a breakdown
    "expected a step of the funnel, which has",
    "answer has no column",
    "trend.s cell needs total or unique",
    "at order: expected an integer from 0",
    r"at formula\[",
    "instant not after as_of_ms",
    "a time not before start_ms",
    "has whole days",
    r"brackets\[\d+\]\[1\]: expected an integer from",
    r"between\[[01]\]: expected an integer from",
    "attribution.step: expected an integer from 1",
    "the first and the last step are never optional",
    "a regular expression",
    "expected the smaller value first",
    "expected a date like",
    "a bucket not before from",
    "expected a shorter duration than that of last",
    "expected a longer duration than that of for",
    "expected spans that reach back up to a century",
    "an hour before midnight and a later one",
    r"gaps: expected a list of",
    "a missing datetime cannot",
    "has_been: it takes no test relative to now",
    "a zone kept in a trait is for clauses",
)


def _maps_and_lists(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _maps_and_lists(each)


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """An example with one field or item more, less or other."""
    spec = copy.deepcopy(draw(st.sampled_from(ACCEPTED)))
    place = draw(st.sampled_from(list(_maps_and_lists(spec))))
    value = copy.deepcopy(draw(st.sampled_from(VALUES)))
    own = list(place) if isinstance(place, dict) else list(range(len(place)))
    what = draw(st.sampled_from(["other", "less", "more"]))
    if what == "more" or not own:
        if isinstance(place, dict):
            place[draw(st.sampled_from(NAMES))] = value
        else:
            place.append(value)
        return spec
    at = draw(st.sampled_from(own))
    if what == "less":
        del place[at]
    else:
        place[at] = value
    return spec


@pytest.mark.timeout(600)
@examples(300)
@given(changed())
def test_schema_and_store_agree_on_a_spec_that_is_changed(spec: Any) -> None:
    if isinstance(spec, dict) and spec.get("kind") == "profile":
        return  # read by a call of its own
    found, refused = faults(spec), _refusal(spec)
    if refused:
        assert found or any(re.search(each, refused) for each in BEYOND), (spec, refused)
    else:
        assert all(any(re.search(each, fault) for each in GENEROUS) for fault in found), (spec, found)


def _refusal(spec: Any) -> str:
    with Store.open(background=False) as store:
        try:
            store.query(spec, now_ms=NOW)
        except CDPError as error:
            return str(error)
    return ""
