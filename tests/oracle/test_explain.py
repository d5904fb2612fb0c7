"""Explain: every clause by itself, with what made it so."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, did_not, explain, trait
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

T = 1_704_067_200_000
HOUR, DAY = 3_600_000, 86_400_000
NOW = T + 10 * DAY
U1 = {"user_id": "u1"}


@pytest.fixture(name="filled")
def _filled() -> Any:
    with Store.open(background=False) as store:
        events = [(1, "Charged", 5), (5, "Charged", 20), (8, "Charged", 40), (9, "Viewed", 1)]
        batch = [
            {"type": "event", "name": name, "time_ms": T + day * DAY, "ids": U1, "properties": {"price": price}}
            for day, name, price in events
        ]
        store.append(batch, now_ms=NOW)
        store.set_traits(U1, {"plan": "trial"}, now_ms=NOW, time_ms=T + 2 * DAY)
        store.set_traits(U1, {"plan": "pro"}, now_ms=NOW, time_ms=T + 4 * DAY)
        yield store


def rows(table: Any) -> list[dict[str, Any]]:
    return [dict(zip(table.names, row, strict=True)) for row in table.rows()]


def test_every_clause_says_what_it_found_and_until_when_it_holds(filled: Store) -> None:
    paying = did("Charged").where("price").ge(10).within("7d").count().ge(2)
    asked = explain((paying | trait("plan").eq("pro")) & ~did("Uninstalled"), ids=U1)
    lines = rows(filled.query(asked, now_ms=NOW))
    assert [(line["path"], line["holds"]) for line in lines] == [
        ("", True),
        ("and[0]", True),
        ("and[0].or[0]", True),
        ("and[0].or[1]", True),
        ("and[1]", True),
        ("and[1].not", False),
    ]
    paid = lines[2]
    assert paid["found"] == paid["events"] == 2
    assert (paid["start_ms"], paid["end_ms"]) == (NOW + 1 - 7 * DAY, NOW + 1)
    assert paid["valid_until_ms"] == T + 5 * DAY + 7 * DAY
    assert paid["found_ms"] == T + 8 * DAY
    assert paid["evidence"] == [
        {"event": "Charged", "time": datetime(2024, 1, 9, tzinfo=UTC), "properties": {"price": 40}},
        {"event": "Charged", "time": datetime(2024, 1, 6, tzinfo=UTC), "properties": {"price": 20}},
    ]
    assert (lines[3]["found"], lines[3]["found_ms"], lines[3]["valid_until_ms"]) == ("pro", T + 4 * DAY, None)
    assert lines[0]["valid_until_ms"] is None, "the trait alone keeps it true"
    assert lines[5]["clause"] == '{"did":"Uninstalled"}'
    assert lines[5]["evidence"] == []


def test_every_measure_has_a_line_of_its_own(filled: Store) -> None:
    asked = did("Charged").count().ge(2).sum("price").gt(100).mean("price").ge(20).max("price").eq(40)
    lines = rows(filled.query(explain(asked, ids=U1), now_ms=NOW))
    assert [(line["path"], line["holds"], line["found"]) for line in lines] == [
        ("", False, 3),
        ("count", True, 3),
        ("sum", False, 65),
        ("mean", True, 65 / 3),
        ("max", True, 40),
    ]


def test_what_was_not_done_shows_what_was(filled: Store) -> None:
    (line,) = rows(filled.query(explain(did_not("Viewed").within("2d"), ids=U1).evidence(1), now_ms=NOW))
    assert (line["holds"], line["events"], line["valid_until_ms"]) == (False, 1, T + 11 * DAY)
    assert [each["event"] for each in line["evidence"]] == ["Viewed"]


def test_evidence_is_the_newest_events(filled: Store) -> None:
    (line,) = rows(filled.query(explain(did("Charged"), ids=U1).evidence(1), now_ms=NOW))
    assert (line["events"], len(line["evidence"])) == (3, 1)
    assert line["evidence"][0]["time"] == datetime(2024, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("clause", "days"),
    [
        ({"sequence": ["Charged", "Viewed"]}, [9, 8]),  # of several beginnings the latest
        ({"sequence": ["Charged", "Viewed"], "within": "1d"}, [9, 8]),
        ({"sequence": ["Charged", "Charged"], "count": {"op": "ge", "value": 2}}, [5, 1]),
        ({"sequence": ["Viewed", "Charged"]}, []),
        ({"sequence": ["Charged", "Viewed"], "without": "Charged"}, [9, 8]),
        ({"did": "Charged", "first_ever": "event"}, [1]),
        ({"did": "Charged", "not_followed_by": "Charged", "within": "3d"}, [1]),
        ({"did": "Charged", "not_followed_by": "Viewed", "within": "36h"}, [5, 1]),
        ({"did": "Charged", "at": {"days_of_month": [2, 6]}}, [5, 1]),
        ({"did_not": "Charged", "at": {"days_of_month": [2, 3]}}, [1]),
        ({"share": {"event": "Charged", "property": "price", "values": [5, 40], "op": "gt", "value": 0.5}}, [8, 1]),
    ],
)
def test_of_clauses_with_an_order_the_evidence_is_what_matched(
    filled: Store, clause: dict[str, Any], days: list[int]
) -> None:
    (line,) = rows(filled.query({"kind": "explain", "ids": U1, "predicate": clause}, now_ms=NOW))
    assert [(int(each["time"].timestamp() * 1000) - T) // DAY for each in line["evidence"]] == days
    assert line["events"] == len(days)


def test_what_retention_has_taken_is_no_evidence(filled: Store) -> None:
    filled.set_retention({"Charged": "7d"}, now_ms=NOW)
    (line,) = rows(filled.query(explain(did("Charged"), ids=U1), now_ms=NOW))
    assert (line["events"], line["valid_until_ms"]) == (2, T + 12 * DAY)


def test_nobody_is_explained_by_no_rows(filled: Store) -> None:
    assert filled.query(explain(did("Charged"), ids={"user_id": "nobody"}), now_ms=NOW).rows() == []


def test_a_profile_is_explained_by_its_number_and_at_any_instant(filled: Store) -> None:
    asked = explain(trait("plan").eq("trial"), profile_id=0)
    assert [row[2] for row in filled.query(asked, now_ms=NOW).rows()] == [False]
    (line,) = rows(filled.query(asked.as_of(T + 3 * DAY), now_ms=NOW))
    assert (line["holds"], line["found"], line["found_ms"]) == (True, "trial", T + 2 * DAY)


@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(strategies.predicates(5), min_size=1, max_size=3),
)
def test_a_clause_holds_in_an_explanation_as_it_does_in_a_segment(history: Any, care: Any, predicates: Any) -> None:
    twins = Twins.of(history, care)
    now_ms = twins.now_ms
    try:
        everyone = twins.real.query(
            {"kind": "profiles", "where": {"or": [{"did": None}, {"did_not": None}]}}, now_ms=now_ms
        )
        for predicate in predicates:
            members = twins.real.query({"kind": "profiles", "where": predicate}, now_ms=now_ms).column("profile_id")
            for (profile_id,) in everyone.rows():
                asked = {"kind": "explain", "profile": profile_id, "predicate": predicate}
                lines = rows(twins.real.query(asked, now_ms=now_ms))
                assert lines[0]["holds"] == (profile_id in members), lines
                for line in lines:
                    _check_line(twins, profile_id, line, now_ms)
    finally:
        twins.close()


def _check_line(twins: Twins, profile_id: int, line: dict[str, Any], now_ms: int) -> None:
    """Each line that is a clause is the truth of that clause, and joins those below it as its word says."""
    if line["clause"] is None:
        return
    clause = json.loads(line["clause"])
    asked = {"kind": "profiles", "where": clause}
    assert line["holds"] == ((profile_id,) in twins.real.query(asked, now_ms=now_ms).rows())


BAD: list[tuple[dict[str, Any], str]] = [
    ({"ids": U1}, "predicate"),
    ({"predicate": {"did": "A"}}, "ids"),
    ({"ids": U1, "predicate": {"did": 5}}, "predicate.did"),
    ({"ids": U1, "predicate": {"and": [{"did": "A"}, {"trait": "x"}]}}, "predicate.and[1].op"),
    ({"ids": U1, "predicate": {"did": "A"}, "events": {"names": ["A"]}}, "events"),
    ({"ids": U1, "predicate": {"did": "A"}, "events": {"limit": 10_001}}, "events"),
    ({"ids": U1, "predicate": {"did": "A"}, "where": {"did": "A"}}, "where"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_a_bad_explanation_says_where(fields: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "explain", **fields}, now_ms=NOW)
    assert raised.value.path == path
