"""Trends, funnels and retention on each profile's own clock, in the zone that a trait of it names."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import funnel, retention, trend
from cdpstore.store import Store
from cdpstore.testing import ModelStore, breakdown_strategies, strategies
from tests.oracle.scale import examples
from tests.oracle.test_profile_zones import KEPT
from tests.oracle.twins import CARE, Twins

SIDES = [{"trait": "tz"}, {"trait": "tz", "else": "America/New_York"}, {"trait": "never"}]
BESIDE = ("cumulative", "rolling", "moving_mean", "fill", "previous")


def _on_clocks(spec: dict[str, Any], zone: Any) -> dict[str, Any]:
    """The question in a zone of profiles, without what has no meaning there."""
    kept = {name: value for name, value in spec.items() if spec["kind"] != "trend" or name not in BESIDE}
    if "range" in kept:
        kept["range"] = {name: value for name, value in kept["range"].items() if name != "zone"}
    split = kept.get("breakdown", [])
    kept["breakdown"] = [each for each in split if "time" in each or "unit" not in each]
    if kept["kind"] == "retention" and not kept["breakdown"]:
        kept.pop("limit", None)
        kept.pop("share_value", None)
    if not any("property" in each or "time" in each for each in kept["breakdown"]):
        kept.pop("share_value", None)
    if kept["kind"] == "funnel" and not any(each.keys() & {"property", "time"} for each in kept["breakdown"]):
        kept.pop("attribution", None)
    return {**kept, "zone": zone}


questions = st.builds(
    _on_clocks,
    strategies.trends()
    | strategies.ruled_trends()
    | strategies.retentions()
    | strategies.funnels()
    | breakdown_strategies.grouped_questions(),
    st.sampled_from(SIDES),
)


@pytest.mark.timeout(900)
@examples(80)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.sampled_from(KEPT), min_size=4, max_size=4),
    st.lists(questions, min_size=1, max_size=3),
)
def test_an_answer_on_the_clocks_of_profiles_is_that_of_the_model(
    history: Any, care: Any, kept: Any, asked: Any
) -> None:
    with Twins.of(history, care) as twins:
        records = [
            {"type": "traits", "ids": {"user_id": user}, "set": {"tz": named}, "time_ms": strategies.START_MS}
            for user, named in zip(strategies.USERS, kept, strict=False)
        ]
        twins.append(strategies.Batch(records, twins.now_ms))
        for question in asked:
            twins.ask_both_ways(question)


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


NOW = _at("2024-03-10T12:00")
ZONES = {"kiri": "Pacific/Kiritimati", "york": "America/New_York", "lost": "Atlantis"}
OWN = {"trait": "tz"}


def _people(store: Any, *events: tuple[str, str]) -> Any:
    rows = [
        {"type": "event", "name": name, "time_ms": _at(time), "ids": {"user_id": who}}
        for who in ZONES
        for name, time in events
    ]
    traits = [
        {"type": "traits", "ids": {"user_id": who}, "set": {"tz": zone}, "time_ms": _at("2024-01-01")}
        for who, zone in ZONES.items()
    ]
    store.append([*rows, *traits], now_ms=NOW)
    return store


def _rows(store: Any, question: Any) -> list[Any]:
    return list(store.query(question, now_ms=NOW).rows())


def test_an_event_is_on_the_day_that_its_profiles_clock_showed(store: Any) -> None:
    _people(store, ("A", "2024-03-09T03:00"))  # 17:00 of the 9th in Kiritimati, 22:00 of the 8th in New York
    by_day = trend("A").every("day").in_zone_kept_in("tz")
    assert _rows(store, by_day) == [(_at("2024-03-08"), 1), (_at("2024-03-09"), 2)]
    by_hour = trend("A").every("hour").in_zone_kept_in("tz", otherwise="Asia/Kolkata")
    assert _rows(store, by_hour) == [
        (_at("2024-03-08T22:00"), 1),
        (_at("2024-03-09T08:00"), 1),
        (_at("2024-03-09T17:00"), 1),
    ]


def test_a_range_of_instants_is_what_each_clock_shows(store: Any) -> None:
    _people(store, ("A", "2024-03-09T03:00"))
    ninth = trend("A").total().between(_at("2024-03-09"), _at("2024-03-10")).in_zone_kept_in("tz")
    assert _rows(store, ninth) == [(2,)]
    assert _rows(store, trend("A").between(_at("2024-03-08"), _at("2024-03-09")).in_zone_kept_in("tz")) == [(1,)]


def test_a_range_of_the_calendar_begins_with_each_profiles_own_day(store: Any) -> None:
    _people(store, ("A", "2024-03-10T03:00"))  # it is the 11th in Kiritimati by now; 22:00 of the 9th in New York
    assert _rows(store, trend("A").this("day").in_zone_kept_in("tz")) == [(1,)]
    assert _rows(store, trend("A").last_days(2).in_zone_kept_in("tz")) == [(3,)]
    assert _rows(store, trend("A").last("10h").in_zone_kept_in("tz")) == [(3,)]
    assert _rows(store, trend("A").last("8h").in_zone_kept_in("tz")) == [(0,)]


def test_a_range_of_whole_units_that_are_over_ends_with_them_on_every_clock(store: Any) -> None:
    _people(store, ("A", "2024-03-10T03:00"))  # 17:00 of the 10th in Kiritimati, where it is the 11th by now
    yesterday = {"kind": "trend", "event": "A", "range": {"previous": "day"}, "zone": OWN}
    assert _rows(store, yesterday) == [(2,)]  # and 22:00 of the 9th in New York; the third is of today


def test_a_funnel_of_one_day_is_of_the_day_of_each_profile(store: Any) -> None:
    # In New York 22:30 of the 8th and 00:30 of the 9th; in Kiritimati both lie on the 9th, elsewhere too.
    _people(store, ("A", "2024-03-09T03:30"), ("B", "2024-03-09T05:30"))
    asked = funnel("A", "B", window={"calendar": "day"}).in_zone_kept_in("tz")
    assert _rows(store, asked) == [(3, 2)]
    assert _rows(store, asked.every("day")) == [(_at("2024-03-08"), 1, 0), (_at("2024-03-09"), 2, 2)]
    assert _rows(store, asked.between(_at("2024-03-08"), _at("2024-03-09"))) == [(1, 0)]


def test_what_lies_behind_now_is_hidden_whatever_clocks_show(store: Any) -> None:
    _people(store, ("A", "2024-03-10T11:59"), ("A", "2024-03-10T12:05"))
    assert _rows(store, trend("A").every("day").in_zone_kept_in("tz")) == [
        (_at("2024-03-10"), 2),
        (_at("2024-03-11"), 1),
    ]


def test_cohorts_and_periods_are_days_of_each_profile(store: Any) -> None:
    _people(store, ("A", "2024-03-08T03:00"), ("B", "2024-03-08T12:00"))
    kept = retention("A", returned="B", interval="day").in_zone_kept_in("tz")
    seventh, eighth = _at("2024-03-07"), _at("2024-03-08")
    # In New York the 7th and the 8th; in Kiritimati the 8th and the 9th; elsewhere the 8th.
    assert _rows(store, kept) == [(seventh, 1, 1, 1, 1), (eighth, 0, 1, 2, 2), (eighth, 1, 1, 2, 2)]


def test_a_period_is_over_when_the_profiles_own_clock_has_passed_it(store: Any) -> None:
    _people(store, ("A", "2024-03-10T11:00"), ("B", "2024-03-10T11:30"))
    kept = retention("A", returned="B", interval="day").in_zone_kept_in("tz")
    assert _rows(store, kept) == [(_at("2024-03-10"), 0, 2, 2, 0), (_at("2024-03-11"), 0, 1, 1, 0)]
    rows = store.query(kept, now_ms=_at("2024-03-11T04:30")).rows()  # still the 10th in New York... until 04:00 UTC
    assert rows == [(_at("2024-03-10"), 0, 2, 2, 2), (_at("2024-03-11"), 0, 1, 1, 0)]
    rows = store.query(kept, now_ms=_at("2024-03-11T03:30")).rows()
    assert rows == [(_at("2024-03-10"), 0, 2, 2, 1), (_at("2024-03-11"), 0, 1, 1, 0)]


def test_the_profiles_of_a_cell_are_those_whose_clock_showed_it() -> None:
    by_day = trend("A").unique().every("day").in_zone_kept_in("tz").spec()
    with Store.open(background=False) as store:
        _people(store, ("A", "2024-03-09T03:00"))
        for day, expected in (("2024-03-08", [(1,)]), ("2024-03-09", [(0,), (2,)])):
            cell = {"cell": by_day, "at": {"start_ms": _at(day)}}
            assert _rows(store, {"kind": "profiles", "where": cell}) == expected


BACK = _at(
    "2007-11-04T02:31"
)  # 00:01 in St. John's, where the clock was set back to 23:01; 22:31 of the 3rd in New York
BACK_ZONES = ["America/St_Johns", "America/New_York", "Asia/Kolkata", None]
DAY_MS = 86_400_000
SPREAD = [-90, -30, -1, 0, 1, 29, 58, 59, 60, 89, 90, 150, 600]  # minutes around it


@pytest.mark.parametrize("end", ["2007-11-03T23:30", "2007-11-04T00:00", "2007-11-04T00:00:30", "2007-11-05"])
@pytest.mark.parametrize("unit", ["day", "hour"])
def test_a_clock_set_back_across_midnight_or_the_end_of_a_range_counts_as_the_model_says(end: str, unit: Any) -> None:
    people = [(f"{zone}-{at}", zone, at) for zone in BACK_ZONES for at in range(len(SPREAD))]
    events = [
        {
            "type": "event",
            "name": "A",
            "time_ms": BACK + SPREAD[(at + step) % len(SPREAD)] * 60_000,
            "ids": {"user_id": who},
        }
        for who, _, at in people
        for step in range(0, 9, 3)
    ]
    traits = [
        {"type": "traits", "ids": {"user_id": who}, "set": {"tz": zone}, "time_ms": BACK - 10**9}
        for who, zone, _ in people
        if zone
    ]
    asked = [
        trend("A").total().unique().every(unit).spec(),
        {"kind": "trend", "event": "A", "measures": ["total", {"per_profile": "mean"}], "interval": None},
        *(
            {"kind": "retention", "start": "A", "interval": unit, **rule}
            for rule in ({}, {"population": "every_period"}, {"criterion": "on_or_before"}, {"fill": True})
        ),
    ]
    with Store.open(background=False) as store:
        model = ModelStore()
        for each in (store, model):
            each.append([*events, *traits], now_ms=BACK + DAY_MS)
        for question in asked:
            for span in ({"start_ms": _at("2007-10-20"), "end_ms": _at(end)}, {"start_ms": _at(end)}):
                own = {**question, "zone": {"trait": "tz"}, "range": span}
                got, expected = (sorted(each.query(own, now_ms=BACK + DAY_MS).rows()) for each in (store, model))
                assert got == expected, own


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"zone": {"trait": 7}}, "zone.trait", "query.invalid"),
    ({"zone": {"trait": "tz", "else": "nowhere"}}, "zone.else", "query.zone.unknown"),
    ({"zone": {"trait": "tz", "otherwise": "UTC"}}, "zone.otherwise", "query.field.unknown"),
    ({"zone": OWN, "range": {"this": "day", "zone": "UTC"}}, "range.zone", "query.unsupported"),
    ({"zone": OWN, "interval": "day", "rolling": 7}, "rolling", "query.unsupported"),
    ({"zone": OWN, "interval": "day", "cumulative": True}, "cumulative", "query.unsupported"),
    ({"zone": OWN, "interval": "day", "moving_mean": 7}, "moving_mean", "query.unsupported"),
    ({"zone": OWN, "interval": "day", "fill": True}, "fill", "query.unsupported"),
    ({"zone": OWN, "range": {"last": "7d"}, "previous": "week"}, "previous", "query.unsupported"),
    ({"zone": OWN, "breakdown": [{"property": "p", "unit": "day"}]}, "breakdown[0].unit", "query.unsupported"),
]


@pytest.mark.parametrize(("fields", "path", "code"), BAD)
def test_a_bad_clock_says_where(store: Any, fields: dict[str, Any], path: str, code: str) -> None:
    own = {} if "kind" in fields else {"kind": "trend", "event": "A"}
    with pytest.raises(BadQuery) as raised:
        store.query({**own, **fields}, now_ms=NOW)
    assert (raised.value.path, raised.value.code) == (path, code)


@pytest.mark.parametrize("kind", [{"kind": "profiles", "where": {"did": "A"}}, {"kind": "profile", "profile": 1}])
def test_questions_without_buckets_name_their_zone(kind: dict[str, Any]) -> None:
    with Store.open(background=False) as store, pytest.raises(BadQuery):
        store.query({**kind, "zone": OWN}, now_ms=NOW)
