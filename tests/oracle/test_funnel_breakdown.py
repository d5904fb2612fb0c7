"""Funnels split by properties of the entry, and cut by a limit: the stories that a random history seldom tells."""

from collections.abc import Sequence
from typing import Any

from cdpstore.store import Store

T = 1_700_000_000_000
WEEK_MS = 7 * 86_400_000
BY_SOURCE = [{"property": "source"}]


def _event(name: str, at_ms: int, who: str = "u", **properties: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": T + at_ms, "ids": {"user_id": who}, "properties": properties}


def _rows(store: Any, records: Sequence[dict[str, Any]], **fields: Any) -> list[tuple[Any, ...]]:
    store.append(list(records), now_ms=T + 10**9)
    spec = {"kind": "funnel", "steps": ["A", "B"], "window": 100, "breakdown": BY_SOURCE, **fields}
    rows: list[tuple[Any, ...]] = store.query(spec, now_ms=T + 10**9).rows()
    return rows


def test_a_profile_counts_under_the_first_entry_that_reaches_its_depth(store: Any) -> None:
    records = [_event("A", 0, source="too early"), _event("A", 500, source="first"), _event("A", 510, source="second")]
    assert _rows(store, [*records, _event("B", 560)]) == [("first", 1, 1)]


def test_an_entry_that_reaches_less_does_not_name_the_group(store: Any) -> None:
    records = [_event("A", 0, source="shallow"), _event("A", 1_000, source="deep"), _event("B", 1_100)]
    assert _rows(store, records) == [("deep", 1, 1)]


def test_a_profile_that_goes_no_further_counts_under_its_first_entry(store: Any) -> None:
    assert _rows(store, [_event("A", 5, source="y"), _event("A", 0, source="x")]) == [("x", 1, 0)]


def test_a_missing_property_is_a_group(store: Any) -> None:
    assert _rows(store, [_event("A", 0), _event("B", 1, source="not the entry's")]) == [(None, 1, 1)]


def test_an_entry_of_the_same_millisecond_is_no_entry_when_later_is_asked(store: Any) -> None:
    records = [_event("A", 0, source="x"), _event("B", 0), _event("A", 50, source="y"), _event("B", 100)]
    assert _rows(store, records, window=60, same_time="later") == [("y", 1, 1)]
    assert _rows(store, [], window=60) == [("x", 1, 1)]


def test_an_event_that_fills_two_steps_enters_and_still_needs_another(store: Any) -> None:
    records = [_event("A", 0, source="x"), _event("A", 10, source="y")]
    assert _rows(store, records, steps=["A", "A"]) == [("x", 1, 1)]


def test_property_and_trait_split_together(store: Any) -> None:
    store.append([{"type": "traits", "ids": {"user_id": "u"}, "set": {"plan": "pro"}}], now_ms=T)
    rows = _rows(store, [_event("A", 0, source="x")], breakdown=[{"trait": "plan"}, {"property": "source"}])
    assert rows == [("pro", "x", 1, 0)]


def test_under_a_limit_the_groups_of_most_entries_are_told_and_the_rest_is_one(store: Any) -> None:
    sources = ["a", "b", "b", "c", "c", "d", "d", "d"]
    records = [_event("A", 0, f"u{number}", source=source) for number, source in enumerate(sources)]
    records += [_event("B", 50, f"u{number}") for number in (0, 3, 5)]
    assert _rows(store, records, limit=2) == [("d", 3, 1), ("b", 2, 0), ("other", 3, 2)]
    assert _rows(store, [], limit=0) == [("other", 8, 3)]
    assert len(_rows(store, [], limit=4)) == 4
    assert _rows(store, [], breakdown=[], limit=1) == [(8, 3)]


def test_entry_and_completion_may_lie_in_layers_months_apart(store: Any) -> None:
    for number in range(8):
        records = [_event("A", number * 5 * WEEK_MS, source=f"{number}")]
        store.append(records, now_ms=T + 60 * WEEK_MS)
        if isinstance(store, Store):
            store.seal()
    store.append([_event("B", 36 * WEEK_MS)], now_ms=T + 60 * WEEK_MS)
    spec = {"kind": "funnel", "steps": ["A", "B"], "window": "10w", "breakdown": BY_SOURCE}
    assert store.query(spec, now_ms=T + 60 * WEEK_MS).rows() == [("6", 1, 1)]
