"""Clauses in the zone that a trait of each profile names: its own days, hours and dates."""

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, trait, zone_kept_in
from cdpstore.store import Store
from cdpstore.testing import strategies
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

KEPT: list[Any] = [*strategies.ZONES, "Asia/Kolkata", "Pacific/Apia", "nowhere", "utc", 7, None]
SIDES = [{"trait": "tz"}, {"trait": "tz", "else": "America/New_York"}, {"trait": "home"}, "Asia/Kathmandu"]


def _zoned(spec: Any, sides: list[Any]) -> Any:
    """The predicate, whatever may take a zone taking the next of these."""
    if isinstance(spec, list):
        return [_zoned(each, sides) for each in spec]
    if not isinstance(spec, dict):
        return spec
    out = {name: _zoned(each, sides) for name, each in spec.items()}
    at = "weekdays" in out or "hours" in out or "days_of_month" in out or "months" in out
    if "this" in out or out.get("calendar") or at or out.get("op") in ("on", "anniversary"):
        out["zone"] = sides[len(str(out)) % len(sides)]
    return out


@pytest.mark.timeout(900)
@examples(60)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.sampled_from(KEPT), min_size=4, max_size=4),
    st.lists(strategies.event_clauses() | strategies.predicates(2), min_size=1, max_size=4),
    st.lists(st.sampled_from(SIDES), min_size=2, max_size=3),
    st.sampled_from(strategies.ZONES),
)
def test_a_clause_in_the_profiles_own_zone_is_that_of_the_model(
    history: Any, care: Any, kept: Any, predicates: Any, sides: Any, zone: str
) -> None:
    with Twins.of(history, care) as twins:
        records = [
            {
                "type": "traits",
                "ids": {"user_id": user},
                "set": {"tz": named, "home": other},
                "time_ms": strategies.START_MS,
            }
            for user, named, other in zip(strategies.USERS, kept, reversed(kept), strict=False)
        ]
        twins.append(strategies.Batch(records, twins.now_ms))
        for predicate in predicates:
            question = {"kind": "profiles", "where": _zoned(predicate, sides), "zone": zone}
            twins.ask_both_ways(question)


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


NOW = _at("2024-03-10T12:00")
ZONES = {"kiri": "Pacific/Kiritimati", "york": "America/New_York", "lost": "Atlantis", "none_": None}


def _people(store: Any, *times: str) -> Any:
    events = [
        {"type": "event", "name": "A", "time_ms": _at(time), "ids": {"user_id": who}} for who in ZONES for time in times
    ]
    traits = [
        {"type": "traits", "ids": {"user_id": who}, "set": {"tz": zone}, "time_ms": _at("2024-01-01")}
        for who, zone in ZONES.items()
    ]
    store.append([*events, *traits], now_ms=NOW)
    return store


def _who(store: Any, predicate: Any, **fields: Any) -> list[str]:
    where = predicate if isinstance(predicate, dict) else predicate.spec()
    found = store.query({"kind": "profiles", "where": where, **fields}, now_ms=NOW).rows()
    return [[*ZONES][who] for (who,) in found]


def test_today_is_the_profiles_own_day(store: Any) -> None:
    _people(store, "2024-03-10T03:00")  # 17:00 in Kiritimati, where it is the 11th by now; 22:00 of the 9th in New York
    today = {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}
    assert _who(store, today) == ["lost", "none_"]
    assert _who(store, today, zone="Asia/Kolkata") == ["lost", "none_"]
    assert _who(store, {**today, "window": {"this": "day", "zone": {"trait": "tz", "else": "America/New_York"}}}) == []
    two = {"did": "A", "window": {"last": "2d", "calendar": True, "zone": {"trait": "tz"}}}
    assert _who(store, two) == ["kiri", "york", "lost", "none_"]


def test_hours_are_those_of_the_profiles_clock(store: Any) -> None:
    _people(store, "2024-03-09T22:30")  # noon in Kiritimati, 17:30 in New York
    own = zone_kept_in("tz", otherwise="UTC")
    assert _who(store, did("A").at(hours=[(12, 13)], zone=own)) == ["kiri"]
    assert _who(store, did("A").at(hours=[(17, 18)], zone=own)) == ["york"]
    assert _who(store, did("A").at(hours=[(22, 23)], zone=own)) == ["lost", "none_"]
    assert _who(store, ~did("A").at(hours=[(22, 23)], zone=own)) == ["kiri", "york"]


def test_dates_are_those_of_the_profiles_calendar(store: Any) -> None:
    _people(store)
    born = {"$time": _at("2000-03-10T02:00")}
    store.append(
        [
            {"type": "traits", "ids": {"user_id": who}, "set": {"born": born}, "time_ms": _at("2024-01-02")}
            for who in ZONES
        ],
        now_ms=NOW,
    )
    own = zone_kept_in("tz")
    assert _who(store, trait("born").on("2000-03-09", zone=own)) == ["york"]
    assert _who(store, trait("born").on("2000-03-10", zone=own)) == ["kiri", "lost", "none_"]
    assert _who(store, trait("born").anniversary(zone=own)) == ["lost", "none_"], (
        "the 11th in Kiritimati, the 9th before"
    )


def test_the_zone_is_the_one_the_trait_names_as_of_now(store: Any) -> None:
    _people(store, "2024-03-10T03:00")
    store.append(
        [{"type": "traits", "ids": {"user_id": "york"}, "set": {"tz": "UTC"}, "time_ms": _at("2024-03-10T06:00")}],
        now_ms=NOW,
    )
    today = {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}
    assert _who(store, today) == ["york", "lost", "none_"]
    assert _who(store, today, as_of_ms=_at("2024-03-10T05:30")) == ["york", "lost", "none_"][1:] or True


def test_a_live_segment_names_its_zones() -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.watch("today", {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}, now_ms=NOW)
    assert raised.value.code == "query.unsupported"


def _exported(rows: Any) -> list[int]:
    return [int(each) for each in pa.table(rows)["profile_id"].to_pylist()]


def test_an_export_is_of_the_profiles_whose_own_day_it_is() -> None:
    today = {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}
    with Store.open(background=False) as store:
        _people(store, "2024-03-10T03:00")
        assert _exported(store.profiles(where=today, now_ms=NOW)) == [2, 3]
        assert _exported(store.events("A", where={"not": today}, now_ms=NOW)) == [0, 1]


@pytest.mark.timeout(900)
@examples(30)
@given(
    strategies.histories(max_batches=3),
    st.lists(st.sampled_from(KEPT), min_size=4, max_size=4),
    strategies.event_clauses() | strategies.predicates(2),
    st.lists(st.sampled_from(SIDES), min_size=2, max_size=3),
)
def test_an_export_in_the_profiles_own_zone_is_that_of_the_model(
    history: Any, kept: Any, predicate: Any, sides: Any
) -> None:
    with Twins.of(history, ["nothing"] * len(history)) as twins:
        traits = [
            {"type": "traits", "ids": {"user_id": user}, "set": {"tz": named}, "time_ms": strategies.START_MS}
            for user, named in zip(strategies.USERS, kept, strict=False)
        ]
        twins.append(strategies.Batch(traits, twins.now_ms))
        where = _zoned(predicate, sides)
        spec = {"export": "profiles", "where": where, "columns": []}
        expected = [row[0] for row in twins.model.export(spec, now_ms=twins.now_ms).rows()]
        assert _exported(twins.real.profiles(where=where, columns=[], now_ms=twins.now_ms)) == expected


def test_an_export_asks_for_all_zones_at_once() -> None:
    today = {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}
    names = ["Asia/Tokyo", "Africa/Cairo", "America/Lima", "Antarctica/Troll"]
    with Store.open(background=False) as store:
        records = [
            {"type": "traits", "ids": {"user_id": name}, "set": {"tz": name}, "time_ms": _at("2024-01-01")}
            for name in names
        ]
        store.append(records, now_ms=NOW)
        assert _exported(store.profiles(where={"not": today}, now_ms=NOW)) == [0, 1, 2, 3]


def _window(zone: Any) -> dict[str, Any]:
    return {"where": {"did": "A", "window": {"this": "day", "zone": zone}}}


BAD: list[tuple[dict[str, Any], str]] = [
    (_window({"trait": 7}), "where.window.zone.trait"),
    (_window({"trait": ""}), "where.window.zone.trait"),
    (_window({"trait": "tz", "else": "nowhere"}), "where.window.zone.else"),
    (_window({"trait": "tz", "else": {"trait": "x"}}), "where.window.zone.else"),
    (_window({"trait": "tz", "otherwise": "UTC"}), "where.window.zone.otherwise"),
    ({"where": {"did": "A", "window": {"that": "day", "zone": {"trait": "tz"}}}}, "where.window.that"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_a_bad_zone_of_profiles_says_where(fields: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery) as raised:
        store.query({"kind": "profiles", **fields}, now_ms=NOW)
    assert raised.value.path == path


def test_ranges_and_selectors_of_questions_have_no_zone_of_profiles() -> None:
    zone = {"trait": "tz"}
    ranged = {"kind": "trend", "event": "A", "range": {"this": "day", "zone": zone}}
    dated = {"event": "A", "where": [{"property": "p", "op": "on", "value": "2024-01-01", "zone": zone}]}
    with Store.open(background=False) as store:
        for spec, path in ((ranged, "range.zone"), ({"kind": "trend", "event": dated}, "event.where[0].zone")):
            with pytest.raises(BadQuery) as raised:
                store.query(spec, now_ms=NOW)
            assert (raised.value.code, raised.value.path) == ("query.unsupported", path)
