"""The rest of a limited trend counts each profile once, in however many of its groups it is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_700_000_000_000
DAY_MS = 86_400_000
UNIQUE = {"kind": "trend", "event": "A", "measures": ["unique", "total"], "breakdown": [{"property": "page"}]}
limited = st.fixed_dictionaries(
    {
        "kind": st.just("trend"),
        "event": strategies.selectors(),
        "measures": st.sampled_from(
            [["unique"], ["total", "unique"], ["unique", "total"], ["unique", {"sum": "price"}]]
        ),
        "breakdown": st.sampled_from(
            [[{"property": key}] for key in strategies.KEYS] + [[{"property": strategies.KEYS[0]}, {"trait": "plan"}]]
        ),
        "limit": st.integers(0, 3),
    },
    optional={"interval": st.sampled_from(["day", "month", ["day", "month"]]), "where": strategies.predicates(3)},
)


def _event(who: str, page: str, day: int = 0) -> dict[str, Any]:
    return {
        "type": "event",
        "name": "A",
        "time_ms": T + day * DAY_MS,
        "ids": {"user_id": who},
        "properties": {"page": page},
    }


def test_a_profile_in_two_groups_of_the_rest_is_one(store: Any) -> None:
    records = [_event(who, "home") for who in ("u", "v", "w")]
    records += [_event("u", "cart"), _event("u", "help"), _event("v", "help")]
    store.append(records, now_ms=T + DAY_MS)
    rows = store.query({**UNIQUE, "interval": None, "limit": 1}, now_ms=T + DAY_MS).rows()
    assert rows == [("home", 3, 3), ("other", 2, 3)]
    assert store.query({**UNIQUE, "interval": None, "limit": 0}, now_ms=T + DAY_MS).rows() == [("other", 3, 6)]


def test_the_rest_is_counted_anew_in_every_interval(store: Any) -> None:
    records = [_event(who, "home", day) for who in ("u", "v") for day in (0, 1)]
    records += [_event("u", "cart", 0), _event("u", "help", 1), _event("v", "help", 1)]
    store.append(records, now_ms=T + 9 * DAY_MS)
    spec = {
        **UNIQUE,
        "interval": "day",
        "limit": 1,
        "order": 1,
        "range": {"start_ms": T - DAY_MS, "end_ms": T + 5 * DAY_MS},
    }
    rows = store.query(spec, now_ms=T + 9 * DAY_MS).rows()
    assert sorted(row[1:] for row in rows) == [("home", 2, 2), ("home", 2, 2), ("other", 1, 1), ("other", 2, 2)]


@examples(40)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(limited, min_size=1, max_size=5),
)
def test_limited_trends(history: Any, care: Any, questions: Any) -> None:
    twins = Twins.of(history, care)
    try:
        for question in questions:
            twins.ask(question)
    finally:
        twins.close()
