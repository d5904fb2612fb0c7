"""What the returns of a retention's cells add up to, beside how many returned."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import retention
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 4 * DAY
KEYS = ["price", "nested.deep", "never"]
measures = st.lists(
    st.builds(lambda name, key: {name: key}, st.sampled_from(["sum", "mean"]), st.sampled_from(KEYS)),
    min_size=1,
    max_size=2,
    unique_by=str,
)


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.tuples(strategies.ruled_retentions(("Seen", "Added", "Charged")), measures), min_size=1, max_size=4),
)
def test_what_returns_add_up_to_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question, of in questions:
            spec = {**question, "measures": of}
            twins.ask_both_ways(spec)


def _event(who: str, day: float, name: str = "Bought", **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


RECORDS = [
    *(_event("u", 0, "Came"), _event("u", 0.5, price=3), _event("u", 2, price=4), _event("u", 2.5, price=0.5)),
    *(_event("v", 0, "Came"), _event("v", 1, price=10), _event("v", 2, price="ten")),
]
BOUGHT = retention("Came", returned="Bought").sum("price").mean("price")


def _cells(store: Any, question: Any, *, append: bool = True) -> dict[int, tuple[Any, ...]]:
    if append:
        store.append(RECORDS, now_ms=NOW)
    rows = store.query(question, now_ms=NOW).rows()
    return {period: (profiles, *amounts) for _, period, profiles, _, _, *amounts in rows}


def test_a_period_adds_up_its_own_returns(store: Any) -> None:
    assert _cells(store, BOUGHT) == {0: (1, 3, 3.0), 1: (1, 10, 10.0), 2: (2, 4.5, 2.25)}


def test_up_to_a_period_is_what_came_in_by_then(store: Any) -> None:
    cells = _cells(store, BOUGHT.on_or_before())
    assert cells == {0: (1, 3, 3.0), 1: (2, 13, 6.5), **dict.fromkeys((2, 3, 4), (2, 17.5, 4.375))}


def test_from_a_period_on_is_what_is_still_to_come(store: Any) -> None:
    assert _cells(store, BOUGHT.on_or_after()) == {0: (2, 17.5, 4.375), 1: (2, 14.5, 14.5 / 3), 2: (2, 4.5, 2.25)}


def test_brackets_and_streaks_add_up_what_they_count(store: Any) -> None:
    assert _cells(store, BOUGHT.brackets((0, 1), (2, 9))) == {0: (2, 13, 6.5), 1: (2, 4.5, 2.25)}
    assert _cells(store, BOUGHT.streak(), append=False) == {0: (2, 3, 3.0), 1: (1, 10, 10.0), 2: (1, 0, None)}


def test_who_did_not_return_often_enough_adds_nothing(store: Any) -> None:
    assert _cells(store, BOUGHT.at_least(2)) == {2: (1, 4.5, 2.25)}
    filled = _cells(store, BOUGHT.at_least(2).filled(), append=False)
    assert filled == {**dict.fromkeys(range(5), (0, 0, None)), 2: (1, 4.5, 2.25)}


def test_a_start_that_is_a_return_counts_with_its_value(store: Any) -> None:
    whole = retention("Bought", interval="year").sum("price").mean("price")
    assert _cells(store, whole) == {0: (2, 17.5, 4.375)}
    assert _cells(store, whole.counting_birth(False), append=False) == {0: (2, 4.5, 2.25)}


def test_what_is_taken_away_again_leaves_no_trace(store: Any) -> None:
    records = [_event("u", 0, "Came"), _event("u", 1, price=1e308), _event("u", 2, price=0.1), _event("u", 3, price=7)]
    store.append(records, now_ms=NOW)
    cells = _cells(store, BOUGHT, append=False)
    assert cells == {1: (1, 1e308, 1e308), 2: (1, 0.1, 0.1), 3: (1, 7, 7.0)}


BAD: list[tuple[Any, str]] = [
    ([], "measures"),
    ("sum", "measures"),
    (["sum"], "measures[0]"),
    ([{"max": "price"}], "measures[0]"),
    ([{"sum": "a", "mean": "a"}], "measures[0]"),
    ([{"sum": ""}], "measures[0].sum"),
    ([{"sum": "a"}, {"sum": "a"}], "measures"),
    ([{"sum": "a"}] * 17, "measures"),
]


@pytest.mark.parametrize(("given_measures", "path"), BAD)
def test_a_bad_measure_says_where(store: Any, given_measures: Any, path: str) -> None:
    spec = {"kind": "retention", "start": "Came", "interval": "day", "measures": given_measures}
    with pytest.raises(BadQuery) as raised:
        store.query(spec, now_ms=NOW)
    assert raised.value.path == path
