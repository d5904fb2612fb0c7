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
