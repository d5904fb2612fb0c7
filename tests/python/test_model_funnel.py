"""Golden funnels: the column in_order of F1 to F13, and the borders of windows and ties."""

from typing import Any

import pytest

from cdpstore.model import event
from cdpstore.query import funnel, named
from cdpstore.testing import ModelStore

MINUTE = 60_000
START = 1_700_000_000_000
NOW = START + 86_400_000


def _store(*steps: tuple[str, int], **properties: Any) -> ModelStore:
    """One profile's events, (name, minutes from the start)."""
    store = ModelStore()
    batch = [
        event(name, ids={"user_id": "u"}, time_ms=START + minute * MINUTE, properties=properties)
        for name, minute in steps
    ]
    assert store.append(batch, now_ms=NOW).accepted == len(steps)
    return store


def _depth(store: ModelStore, spec: Any) -> int:
    return sum(store.query(spec, now_ms=NOW).rows()[0])


@pytest.mark.parametrize(
    ("events", "deepest"),
    [
        pytest.param("ABCD", 4, id="F1"),
        pytest.param("ACD", 1, id="F2"),
        pytest.param("ACBD", 2, id="F3"),
        pytest.param("ABACD", 4, id="F4"),
        pytest.param("ABXCD", 4, id="F5"),
        pytest.param("ABDCD", 4, id="F6"),
    ],
)
def test_steps_in_order_with_others_between(events: str, deepest: int) -> None:
    store = _store(*((name, minute) for minute, name in enumerate(events)))
    assert _depth(store, funnel(*"ABCD", window="5d")) == deepest


def test_f7_the_longest_attempt_counts_not_the_first() -> None:
    store = _store(("A", 0), ("A", 30), ("B", 45), ("C", 75))
    assert _depth(store, funnel(*"ABC", window="60m")) == 3


def test_f9_a_step_received_before_does_not_follow() -> None:
    assert _depth(_store(("B", 0), ("A", 1)), funnel("A", "B", window="1d")) == 1


def test_f11_one_event_fills_one_step() -> None:
    assert _depth(_store(("A", 0)), funnel("A", "A", window="1d")) == 1
    assert _depth(_store(("A", 0), ("A", 0)), funnel("A", "A", window="1d")) == 2


@pytest.mark.parametrize(("late_ms", "deepest"), [(0, 2), (1, 1)])
def test_f12_the_windows_end_is_closed(late_ms: int, deepest: int) -> None:
    store = ModelStore()
    times = {"A": START, "B": START + MINUTE + late_ms}
    store.append([event(name, ids={"user_id": "u"}, time_ms=at) for name, at in times.items()], now_ms=NOW)
    assert _depth(store, funnel("A", "B", window=MINUTE)) == deepest


def test_f13_the_range_is_about_the_entry_only() -> None:
    store = _store(("A", 0), ("B", 10))
    assert _depth(store, funnel("A", "B", window="1h").between(START, START + MINUTE)) == 2
    assert _depth(store, funnel("A", "B", window="1h").between(START + 1, NOW)) == 0


def test_ties_count_in_event_order_unless_later_is_asked() -> None:
    store = _store(("A", 0), ("B", 0))
    assert _depth(store, funnel("A", "B", window=None)) == 2
    assert _depth(store, funnel("A", "B", window=None).strictly_later()) == 1
    assert _depth(_store(("B", 0), ("A", 0)), funnel("A", "B", window=None)) == 1


def test_late_events_take_their_place() -> None:
    assert _depth(_store(("C", 2), ("B", 1), ("A", 0)), funnel(*"ABC", window="1d")) == 3


def test_the_entry_of_the_deepest_then_earliest_attempt_names_the_group() -> None:
    store = ModelStore()
    at = START
    for name, color in [("A", "red"), ("A", "blue"), ("B", None), ("A", "green")]:
        at += MINUTE
        batch = [event(name, ids={"user_id": "u"}, time_ms=at, properties={"color": color})]
        store.append(batch, now_ms=NOW)
    table = store.query(funnel("A", "B", window="1m").by("color"), now_ms=NOW)
    assert table.rows() == [("blue", 1, 1)]
    table = store.query(funnel("A", "B", window="1d").by("color"), now_ms=NOW)
    assert table.rows() == [("red", 1, 1)]


def test_a_step_may_be_any_of_several_with_conditions() -> None:
    store = _store(("A", 0), ("C", 1), price=5)
    assert _depth(store, funnel("A", named("B", "C").where("price").ge(5), window="1d")) == 2
    assert _depth(store, funnel("A", named("B", "C").where("price").gt(5), window="1d")) == 1


def test_an_empty_store_has_one_row_of_zeros() -> None:
    assert ModelStore().query(funnel("A", "B", window="1d"), now_ms=NOW).rows() == [(0, 0)]
