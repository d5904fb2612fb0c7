"""Names that the store has never seen select nothing, and the answer says which they are."""

from typing import Any

import pytest

from cdpstore.query import did, funnel, named, profiles, retention, trait, trend
from cdpstore.store import Store

NOW = 1_704_067_200_000
UNKNOWN: list[tuple[Any, dict[str, str]]] = [
    (trend("Charged").sum("price").by("color").by_trait("plan"), {}),
    (trend("Chraged").unique(), {"unknown_events": "Chraged"}),
    (trend(named("Charged", "B", "A")).total(), {"unknown_events": "A, B"}),
    (trend(named("Charged").where("prize").gt(5)), {"unknown_properties": "prize"}),
    (
        trend("Charged").sum("prize").by("colour").by_trait("plane"),
        {
            "unknown_properties": "colour, prize",
            "unknown_traits": "plane",
        },
    ),
    (trend("Charged").median("prize"), {"unknown_properties": "prize"}),
    (
        funnel("Charged", "Refunded", window="1d").holding("colour"),
        {
            "unknown_events": "Refunded",
            "unknown_properties": "colour",
        },
    ),
    (retention("Charged", returned="Refunded", interval="day"), {"unknown_events": "Refunded"}),
    (profiles(did("Refunded") | trait("plane").exists()), {"unknown_events": "Refunded", "unknown_traits": "plane"}),
    (profiles(did("Charged").sum("prize").gt(1)), {"unknown_properties": "prize"}),
    *(
        ({"kind": "profiles", "where": where}, notes)
        for where, notes in (
            (
                {"did": "Charged", "where": [{"property": "prize", "op": "gt", "value": {"trait": "limit"}}]},
                {"unknown_properties": "prize", "unknown_traits": "limit"},
            ),
            (
                {
                    "did": "Charged",
                    "first_ever": "matching",
                    "where": [{"property": "prize", "op": "gt", "value": {"trait": "limit"}}],
                    "not_followed_by": {"event": "Refunded", "where": [{"property": "why", "op": "exists"}]},
                    "within": "1d",
                },
                {"unknown_events": "Refunded", "unknown_properties": "prize, why", "unknown_traits": "limit"},
            ),
            (
                {"did": "Charged", "sum": {"property": "prize", "op": "gt", "value": {"trait": "limit", "times": 0.8}}},
                {"unknown_properties": "prize", "unknown_traits": "limit"},
            ),
            (
                {"trait": "plane", "op": "gt", "value": {"trait": "limit"}},
                {"unknown_traits": "limit, plane"},
            ),
            (
                {"did": "Charged", "window": {"since": {"trait": "born"}}},
                {"unknown_traits": "born"},
            ),
            (
                {"sequence": ["Charged", "Charged"], "hold": "colour"},
                {"unknown_properties": "colour"},
            ),
            (
                {"trait": "plane", "op": "eq", "value": "pro", "has_been": {"at_least": "1d"}},
                {"unknown_traits": "plane"},
            ),
            (
                {"group": "company", "where": [{"property": "size", "op": "gt", "value": 5}]},
                {"unknown_traits": "size"},
            ),
        )
    ),
]


@pytest.mark.parametrize(("question", "notes"), UNKNOWN)
def test_an_answer_says_which_names_are_unknown(question: Any, notes: dict[str, str]) -> None:
    with Store.open(background=False) as store:
        properties = {"price": 5, "color": "red"}
        event = {"type": "event", "name": "Charged", "ids": {"user_id": "u"}, "properties": properties}
        store.append([event], now_ms=NOW)
        store.set_traits({"user_id": "u"}, {"plan": "pro"}, now_ms=NOW)
        told = store.query(question, now_ms=NOW).notes
        assert {key: value for key, value in told.items() if key.startswith("unknown")} == notes


def test_names_are_noted_by_whoever_binds_and_never_by_the_threads_that_run() -> None:
    condition = {"property": "prize", "op": "gt", "value": {"trait": "plan"}}
    with Store.open(workers=4, shards=4) as store:
        for first in range(0, 20_000, 5_000):
            people = [{"user_id": f"u{number}"} for number in range(first, first + 5_000)]
            store.append([{"type": "event", "name": "Charged", "ids": ids} for ids in people], now_ms=NOW)
        for more in ({}, {"first_ever": "matching"}):
            where = {"not": {"did": "Charged", "where": [condition], **more}}
            answer = store.query({"kind": "profiles", "where": where, "limit": 1}, now_ms=NOW)
            assert (answer.notes["count"], answer.notes["unknown_properties"]) == (20_000, "prize")
