"""Quantile cuts: who is in the upper tenth, by a trait or by what the profile did."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, on_list, own_value, ranked, trait_value
from cdpstore.store import Store
from cdpstore.testing import ModelStore
from cdpstore.testing.question_strategies import quantile_clauses
from cdpstore.testing.strategies import histories, predicates
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000
DAY = 86_400_000
NOW = T + 10 * DAY


@pytest.mark.timeout(900)
@examples(60)
@given(
    histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(quantile_clauses(), min_size=1, max_size=4),
    predicates(2),
    st.booleans(),
)
def test_a_cut_is_that_of_the_model(history: Any, care: Any, clauses: Any, other: Any, of_past: bool) -> None:
    with Twins.of(history, care) as twins:
        for clause in clauses:
            for where in (clause, {"or": [{"not": clause}, other]}):
                question = {"kind": "profiles", "where": where}
                if of_past:
                    question["as_of_ms"] = twins.now_ms - DAY
                twins.ask_both_ways(question)
        split = {"kind": "trend", "event": {"event": None}, "breakdown": [{"segments": [{"where": clauses[0]}]}]}
        twins.ask(split)
        twins.ask({"kind": "overlap", "segments": [{"where": clauses[0]}, {"where": other}]})


def _filled(store: Any, values: list[Any]) -> Any:
    records = [
        {"type": "traits", "ids": {"user_id": f"u{at}"}, "set": {"spent": value}, "time_ms": T}
        for at, value in enumerate(values)
    ]
    store.append(records, now_ms=NOW)
    return store


def _who(store: Any, predicate: Any, **more: Any) -> list[int]:
    where = predicate if isinstance(predicate, dict) else predicate.spec()
    return [row[0] for row in store.query({"kind": "profiles", "where": where, **more}, now_ms=NOW).rows()]


SPENT = trait_value("spent")


def test_the_best_tenth_of_twenty_are_two(store: Any) -> None:
    _filled(store, list(range(20)))
    assert _who(store, ranked(SPENT).ge("p90")) == [18, 19]
    assert _who(store, ranked(SPENT).le("p10")) == [0, 1]
    assert _who(store, ~ranked(SPENT).ge("p90")) == list(range(18))


def test_methods_cut_at_different_numbers(store: Any) -> None:
    _filled(store, [10, 20, 30, 40])  # the place of p70 is 2.1
    cuts = {"linear": [3], "lower": [2, 3], "higher": [3], "nearest_rank": [2, 3]}
    for method, expected in cuts.items():
        assert _who(store, ranked(SPENT, method=method).ge("p70")) == expected, method
    assert _who(store, ranked(SPENT, method="nearest_rank").ge("p75")) == [2, 3]
    assert _who(store, ranked(SPENT, method="nearest_rank").gt("p75")) == [3]
    assert _who(store, ranked(SPENT, method="nearest_rank").le("p1")) == [0]


def test_equal_numbers_are_all_in_or_all_out(store: Any) -> None:
    _filled(store, [1, 5, 5, 5])
    assert _who(store, ranked(SPENT).ge("p90")) == [1, 2, 3]
    assert _who(store, ranked(SPENT).gt("p90")) == []
    assert _who(store, ranked(SPENT).between("p25", "p75")) == [1, 2, 3]


def test_who_has_no_number_is_neither_above_nor_below(store: Any) -> None:
    _filled(store, [1, "9", None, 3, [7], True])
    assert _who(store, ranked(SPENT).ge("p1")) == [3]
    assert _who(store, ranked(SPENT, method="lower").ge("p1")) == [0, 3]
    assert _who(store, ranked(SPENT).lt("p50.001")) == [0]
    assert _who(store, ranked(trait_value("never")).ge("p1")) == []


def test_integers_beyond_the_floats_are_told_apart(store: Any) -> None:
    big = 2**53
    _filled(store, [big, big + 1, big + 2, big + 3])
    assert _who(store, ranked(SPENT, method="nearest_rank").ge("p60")) == [2, 3]
    assert _who(store, ranked(SPENT, method="nearest_rank").gt("p25")) == [1, 2, 3]


def test_the_cut_may_be_that_of_others(store: Any) -> None:
    _filled(store, list(range(10)))
    listed = [{"type": "list", "ids": {"user_id": f"u{at}"}, "name": "old", "time_ms": T} for at in (2, 4)]
    store.append(listed, now_ms=NOW)
    assert _who(store, ranked(SPENT, among=on_list("old")).ge("median")) == [3, 4, 5, 6, 7, 8, 9]
    assert _who(store, ranked(SPENT, among=on_list("old")).between("p1", "p99")) == [3]
    assert _who(store, ranked(SPENT, among=on_list("nobody")).ge("p1")) == []


def test_by_what_the_profile_did(store: Any) -> None:
    records = [
        {
            "type": "event",
            "name": "Charged",
            "ids": {"user_id": f"u{at}"},
            "properties": {"amount": amount},
            "time_ms": T + DAY * day,
        }
        for at, amount, day in [(0, 5, 1), (0, 6, 2), (1, 10, 1), (2, 1, 9), (3, 30, 1)]
    ]
    store.append([*records, {"type": "traits", "ids": {"user_id": "idle"}, "set": {"x": 1}, "time_ms": T}], now_ms=NOW)
    spent = own_value(did("Charged"), "sum", "amount")
    assert _who(store, ranked(spent).ge("p75")) == [0, 3], "of 0, 1, 10, 11, 30"
    assert _who(store, ranked(own_value(did("Charged"), "mean", "amount")).le("p50")) == [0, 2], "without the idle one"
    lately = own_value(did("Charged").within("2d"))
    assert _who(store, ranked(lately).gt("median")) == [2]


def test_a_question_is_split_by_a_cut_and_an_export_narrowed() -> None:
    with Store.open(background=False) as store:
        _filled(store, list(range(10)))
        exported = store.profiles(ranked(SPENT).ge("p90"), now_ms=NOW)
        assert pa.table(exported)["profile_id"].to_pylist() == [9]


def test_a_segment_that_is_named_is_among_whom() -> None:
    with Store.open(background=False) as store:
        _filled(store, list(range(10)))
        store.watch("low", {"trait": "spent", "op": "lt", "value": 5}, now_ms=NOW)
        assert _who(store, ranked(SPENT, among={"segment": "low"}).between("p50", "p99")) == [2, 3]


def test_a_live_segment_has_no_quantiles(store: Any) -> None:
    if isinstance(store, ModelStore):
        return
    for where in (ranked(SPENT).ge("p90").spec(), (~ranked(SPENT).ge("p90") & did("A")).spec()):
        with pytest.raises(BadQuery) as raised:
            store.watch("best", where, now_ms=NOW)
        assert raised.value.code == "query.unsupported"
    asked = {"kind": "overlap", "segment": ranked(SPENT).ge("p90").spec(), "from_ms": T, "to_ms": NOW}
    with pytest.raises(BadQuery) as raised:
        store.query(asked, now_ms=NOW)
    assert (raised.value.code, raised.value.path) == ("query.unsupported", "segment")


CUT = {"quantile": {"trait": "t"}, "op": "ge", "value": "p90"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({**CUT, "value": "p100"}, "where.value"),
    ({**CUT, "value": 90}, "where.value"),
    ({**CUT, "value": ["p1", "p2"]}, "where.value"),
    ({**CUT, "op": "between"}, "where.value"),
    ({**CUT, "op": "between", "value": ["p1"]}, "where.value"),
    ({**CUT, "op": "between", "value": ["p1", "x"]}, "where.value[1]"),
    ({**CUT, "op": "eq"}, "where.op"),
    ({**CUT, "method": "guess"}, "where.method"),
    ({**CUT, "among": {"did": 5}}, "where.among.did"),
    ({**CUT, "quantile": {"trait": ""}}, "where.quantile.trait"),
    ({**CUT, "quantile": {"property": "x"}}, "where.quantile.trait"),
    ({**CUT, "quantile": {"own": {"did": "A"}}}, "where.quantile.own.measure"),
    ({**CUT, "quantile": {"trait": "t", "own": {"did": "A", "measure": "count"}}}, "where.quantile.own"),
    ({**CUT, "quantile": {"trait": "t", "times": 2}}, "where.quantile.times"),
    ({**CUT, "missing": True}, "where.missing"),
]


@pytest.mark.parametrize(("where", "path"), BAD)
def test_a_bad_cut_says_where(store: Any, where: Any, path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.query({"kind": "profiles", "where": where}, now_ms=NOW)
    assert raised.value.path == path
