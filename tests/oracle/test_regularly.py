"""`regularly`: in each of the last spans of time, or in so many of them, so often."""

from datetime import datetime
from typing import Any

import pytest

from cdpstore.errors import BadQuery
from cdpstore.model import milliseconds_of
from cdpstore.query import regularly
from cdpstore.store import Store

DAY_MS = 86_400_000


def _at(text: str) -> int:
    return milliseconds_of(datetime.fromisoformat(text + "T00:00+00:00"))


NOW = _at("2026-03-11")


def _told(store: Any) -> None:
    """One on the 1st, the 3rd and the 5th, two on the 7th; another every day."""
    days = [("few", day) for day in (1, 3, 5, 7, 7)] + [("many", day) for day in range(1, 11)]
    for user, day in days:
        event = {"type": "event", "name": "A", "time_ms": _at(f"2026-03-{day:02d}"), "ids": {"user_id": user}}
        store.append([event], now_ms=NOW)


def _who(store: Any, where: dict[str, Any], now_ms: int = NOW) -> list[str]:
    rows = store.query({"kind": "profiles", "where": where}, now_ms=now_ms).rows()
    return [["few", "many"][row[0]] for row in rows]


def test_in_so_many_of_the_last_spans(store: Any) -> None:
    _told(store)
    assert _who(store, {"regularly": "A", "every": "2d", "times": 5}) == ["many"]
    assert _who(store, {"regularly": "A", "every": "2d", "times": 5, "at_least": 3}) == ["few", "many"]
    assert _who(store, {"regularly": "A", "every": "1d", "times": 10, "at_least": 5}) == ["many"]
    assert _who(store, {"regularly": "A", "every": "10d", "times": 1, "at_least": 1}) == ["few", "many"]


def test_so_often_in_a_span(store: Any) -> None:
    _told(store)
    twice = {"op": "ge", "value": 2}
    assert _who(store, {"regularly": "A", "every": "2d", "times": 5, "count": twice}) == []
    assert _who(store, {"regularly": "A", "every": "2d", "times": 5, "at_least": 4, "count": twice}) == ["many"]
    assert _who(store, {"regularly": "A", "every": "2d", "times": 5, "at_least": 1, "count": twice}) == ["few", "many"]
    assert _who(store, regularly("A", every="3d", times=3, at_least=2, count=2).spec()) == ["few", "many"]


def test_events_that_grow_older_go_from_span_to_span_in_a_live_segment() -> None:
    where = {"regularly": "A", "every": "2d", "times": 5, "at_least": 3}
    with Store.open(background=False) as store:
        _told(store)
        store.watch("often", where, now_ms=NOW)
        for now_ms in range(NOW, NOW + 12 * DAY_MS, DAY_MS // 2):
            for near_ms in (now_ms - 1, now_ms, now_ms + 1):
                if near_ms < NOW:
                    continue
                store.tick(near_ms)
                asked = store.query({"kind": "profiles", "where": where}, now_ms=near_ms)
                assert list(store.members("often")) == [row[0] for row in asked.rows()], near_ms - NOW


def test_what_only_a_question_can_ask_is_refused_of_a_live_segment_by_its_place() -> None:
    own = {"did": "A", "at": {"hours": [[9, 17]], "zone": {"trait": "tz"}}}
    with Store.open(background=False) as store:
        for where, path in (
            (own, ""),
            ({"and": [{"did": "A"}, {"not": own}]}, "and[1].not"),
            ({"not": {"or": [{"and": [own]}, {"did": "B"}]}}, "not.or[0].and[0]"),
            ({"or": [{"did": "B"}, {"did_not": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}]}, "or[1]"),
        ):
            with pytest.raises(BadQuery) as refused:
                store.watch("own", where, now_ms=NOW)
            assert (refused.value.code, refused.value.path) == ("query.unsupported", path)
