"""Trends of several series, over windows, of first events, by formula: each rule, and random ones against the model."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, LimitExceeded
from cdpstore.query import series, trend
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000  # a Monday
DAY = 86_400_000
NOW = T + 30 * DAY


def _store(store: Any, *rows: Any) -> Any:
    """(who, day, name, properties) of each event."""
    batch = [
        {
            "type": "event",
            "name": name,
            "time_ms": T + int(day * DAY),
            "ids": {"user_id": who},
            "properties": rest[0] if rest else {},
        }
        for who, day, name, *rest in rows
    ]
    store.append(batch, now_ms=NOW)
    return store


def _days(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [((start - T) // DAY, *rest) for start, *rest in rows]


def _range(first: int, behind: int) -> dict[str, int]:
    return {"start_ms": T + first * DAY, "end_ms": T + behind * DAY}


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(strategies.ruled_trends(), min_size=1, max_size=3),
)
def test_a_trend_by_every_rule_is_that_of_the_model(history: Any, care: Any, questions: Any) -> None:
    with Twins.of(history, care) as twins:
        for question in questions:
            twins.ask_both_ways(question)


def test_every_series_is_told_by_its_name(store: Any) -> None:
    _store(store, ("u", 0, "A"), ("u", 0, "B"), ("v", 0, "B"))
    answer = store.query(trend(series("A", name="seen"), series("B", name="bought")).unique(), now_ms=NOW)
    assert answer.names == ("series", "unique")
    assert answer.rows() == [("seen", 1), ("bought", 2)]
    spec = {"kind": "trend", "events": ["A", {"event": "B", "name": "bought"}]}
    assert store.query(spec, now_ms=NOW).rows() == [("A", 1), ("bought", 2)]


def test_the_first_event_may_have_to_meet_the_conditions_or_be_the_first_that_does(store: Any) -> None:
    _store(store, ("u", 0, "A", {"p": 1}), ("u", 1, "A", {"p": 2}), ("v", 2, "A", {"p": 2}), ("v", 3, "A", {"p": 2}))
    of_two = {"event": "A", "where": [{"property": "p", "op": "eq", "value": 2}]}

    def days(first: str | None) -> list[Any]:
        spec = {"kind": "trend", "event": {**of_two, "first": first}, "interval": "day"}
        return _days(store.query(spec, now_ms=NOW).rows())

    assert days(None) == [(1, 1), (2, 1), (3, 1)]
    assert days("event") == [(2, 1)]
    assert days("matching") == [(1, 1), (2, 1)]
    late = {"kind": "trend", "event": {**of_two, "first": "matching"}, "range": _range(2, 9)}
    assert store.query(late, now_ms=NOW).rows() == [(1,)], "the first ever of u was before the range"


def test_rolling_profiles_are_counted_once_over_the_trailing_buckets_of_rows_before_the_range_too(store: Any) -> None:
    _store(store, ("u", 0, "A"), ("u", 1, "A"), ("v", 3, "A"))
    spec = trend("A").unique().total().every("day").rolling(3)
    assert _days(store.query(spec, now_ms=T + 5 * DAY).rows()) == [
        (0, 1, 1),
        (1, 1, 2),
        (2, 1, 2),
        (3, 2, 2),
        (4, 1, 1),
        (5, 1, 1),
    ]
    later = {**spec.spec(), "range": _range(2, 5)}
    assert _days(store.query(later, now_ms=NOW).rows()) == [(2, 1, 2), (3, 2, 2), (4, 1, 1)]


def test_a_cumulative_line_measures_everything_since_the_start_of_the_range(store: Any) -> None:
    _store(store, ("u", 0, "A", {"p": 9}), ("u", 1, "A", {"p": 1}), ("v", 3, "A", {"p": 3}), ("u", 3, "A", {"p": 2.5}))
    spec = trend("A").unique().sum("p").median("p").every("day").cumulative()
    assert _days(store.query({**spec.spec(), "range": _range(1, 5)}, now_ms=NOW).rows()) == [
        (1, 1, 1, 1.0),
        (2, 1, 1, 1.0),
        (3, 2, 6.5, 2.5),
        (4, 2, 6.5, 2.5),
    ]


def test_every_bucket_of_the_range_may_have_a_line(store: Any) -> None:
    _store(store, ("u", 1, "A", {"p": 4}))
    spec = trend("A").total().unique().sum("p").mean("p").every("day").filled()
    assert _days(store.query({**spec.spec(), "range": _range(0, 3)}, now_ms=NOW).rows()) == [
        (0, 0, 0, 0, None),
        (1, 1, 1, 4, 4.0),
        (2, 0, 0, 0, None),
    ]
    assert _days(store.query(spec, now_ms=T + 2 * DAY).rows()) == [(1, 1, 1, 4, 4.0), (2, 0, 0, 0, None)]
    assert store.query({**spec.spec(), "event": "Never"}, now_ms=NOW).rows() == []
    empty = {**spec.spec(), "event": "Never", "range": _range(0, 2)}
    assert _days(store.query(empty, now_ms=NOW).rows()) == [(0, 0, 0, 0, None), (1, 0, 0, 0, None)]


def test_rows_a_profile_are_of_profiles_that_have_some(store: Any) -> None:
    _store(store, *[("u", 0.1 * n, "A") for n in range(5)], ("v", 0, "A"), ("w", 0, "B"))
    spec = trend("A").per_profile("mean").per_profile("min").per_profile("max").per_profile("median")
    answer = store.query(spec, now_ms=NOW)
    assert answer.names == ("per_profile(mean)", "per_profile(min)", "per_profile(max)", "per_profile(median)")
    assert answer.rows() == [(3.0, 1, 5, 3.0)]


def test_quantiles_lie_between_numbers_and_types_are_distinct(store: Any) -> None:
    values = [1, 2.5, 4, "x", True, 1.0, None]
    _store(store, *[("u", n, "A", {"p": value}) for n, value in enumerate(values)])
    answer = store.query(trend("A").median("p").quantile("p25", "p").distinct("p"), now_ms=NOW)
    assert answer.names == ("median(p)", "p25(p)", "distinct(p)")
    assert answer.rows() == [(1.75, 1.0, 6)]


def test_a_formula_takes_the_series_by_letter_and_the_measures_by_name(store: Any) -> None:
    _store(store, ("u", 0, "A"), ("u", 0, "A"), ("v", 0, "A"), ("u", 0, "B", {"p": 3}), ("v", 1, "B", {"p": 0.5}))
    asked = trend("A", "B").total().unique().sum("p").every("day")
    spec = asked.formula("B / A * 100", "A.unique - B.unique", "-(A - 1) * 2", "B.sum(p) / B")
    answer = store.query(spec, now_ms=NOW)
    assert answer.names == ("start_ms", "B / A * 100", "A.unique - B.unique", "-(A - 1) * 2", "B.sum(p) / B")
    third = 1 / 3 * 100
    assert _days(answer.rows()) == [(0, third, 1, -4, 3.0), (1, None, -1, 2, 0.5)]
    assert store.query(trend("A").formula("A / 0", "2 + 3", "1e308 * 10"), now_ms=NOW).rows() == [(None, 5, None)]


def test_integers_of_a_formula_stay_exact(store: Any) -> None:
    big = 2**62
    _store(store, *[("u", 0, "A", {"p": big}) for _ in range(3)])
    answer = store.query(trend("A").sum("p").formula("A * 4 + 1", "A / 3", "A * A * A"), now_ms=NOW)
    assert answer.rows() == [(12 * big + 1, float(big), float(3 * big) * (3 * big) * (3 * big))]


def test_under_a_limit_the_rest_counts_every_profile_once(store: Any) -> None:
    _store(
        store,
        *[("u", day, "A", {"p": f"x{day}"}) for day in range(4)],
        *[("v", day, "A", {"p": "y"}) for day in range(5)],
    )
    spec = trend("A").total().unique().by("p").limit(1).every("week").rolling(2)
    assert [row[1:] for row in store.query(spec, now_ms=T + 6 * DAY).rows()] == [("y", 5, 1), ("other", 4, 1)]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"events": []}, "events"),
    ({"events": ["A", "B"], "event": "A"}, "events"),
    ({"events": ["A", {"event": "B", "name": "A"}]}, "events[1]"),
    ({"events": [{"event": "A", "first": "ever"}]}, "events[0].first"),
    ({"event": {"event": "A", "name": "x"}}, "event.name"),
    ({"event": "A", "measures": [{"p101": "x"}]}, "measures[0]"),
    ({"event": "A", "measures": [{"per_profile": "sum"}]}, "measures[0].per_profile"),
    ({"event": "A", "rolling": 7}, "rolling"),
    ({"event": "A", "cumulative": True}, "cumulative"),
    ({"event": "A", "fill": True}, "fill"),
    ({"event": "A", "interval": "day", "rolling": 1}, "rolling"),
    ({"event": "A", "interval": "day", "rolling": 2, "cumulative": True}, "rolling"),
    ({"event": "A", "formula": ["B"]}, "formula[0]"),
    ({"event": "A", "formula": ["A.unique"]}, "formula[0]"),
    ({"event": "A", "formula": ["A +"]}, "formula[0]"),
    ({"event": "A", "formula": ["(A"]}, "formula[0]"),
    ({"event": "A", "formula": ["A A"]}, "formula[0]"),
    ({"event": "A", "formula": ["(" * 40 + "A" + ")" * 40]}, "formula[0]"),
    ({"event": "A", "formula": ["A, A" * 200]}, "formula[0]"),
    ({"event": "A", "formula": ["1e999"]}, "formula[0]"),
    ({"event": "A", "formula": [""]}, "formula[0]"),
    ({"event": "A", "formula": ["A", "A"]}, "measures"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_a_bad_trend_says_where(fields: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "trend", **fields}, now_ms=NOW)
    assert raised.value.path == path


def test_more_buckets_than_there_may_be_are_refused() -> None:
    ever = {"start_ms": 0, "end_ms": NOW}
    spec = {"kind": "trend", "event": "A", "interval": "hour", "fill": True, "range": ever}
    with Store.open(background=False) as store, pytest.raises(LimitExceeded):
        _store(store, ("u", 0, "A")).query(spec, now_ms=NOW)
