"""Cells in live segments: funnels and retentions whose members are kept up, event by event."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.query import did, funnel, named, on_list, retention, trait, trait_value, trend
from cdpstore.store import Store
from cdpstore.testing import strategies
from cdpstore.testing.strategies import DAY_MS, END_MS
from tests.oracle.scale import examples
from tests.oracle.test_live_segments import _append, _follow

pytestmark = pytest.mark.timeout(900)

T = 1_704_067_200_000
NOW = T + 30 * DAY_MS


def _live(spec: dict[str, Any]) -> dict[str, Any]:
    """Without most of what a live segment refuses, so that few are left out."""
    unsound = (
        *("breakdown", "limit", "fill", "order", "exclude", "exclude_mode", "hold", "attribution", "as_of_ms"),
        *("share_value", "measures", "times", "frequency", "interval" if spec["kind"] == "funnel" else ""),
    )
    kept = {name: each for name, each in spec.items() if name not in unsound}
    if kept["kind"] == "funnel":
        kept["steps"] = [_step(each) for each in kept["steps"]]
        if isinstance(kept.get("same_time"), dict) or (isinstance(kept["window"], dict) and "step" in kept["window"]):
            kept |= {"same_time": "counts", "window": "7d"}
        if "order" in spec and spec["order"] == "strict_all":
            kept["order"] = "strict_all"
    else:
        kept["periods"] = 40 if not isinstance(kept.get("criterion"), dict) else None
        if kept.get("population") == "every_period":
            kept["population"] = "first_ever"
        if kept.get("criterion") == "on_or_before":
            kept["criterion"] = "streak"
    return {name: each for name, each in kept.items() if each is not None}


def _step(selector: Any) -> Any:
    if not isinstance(selector, dict):
        return selector
    return {name: each for name, each in selector.items() if name not in ("optional", "anchored")}


def _cells() -> st.SearchStrategy[dict[str, Any]]:
    steps = st.sampled_from([{"reached": 1}, {"reached": 2}, {"lost": 2}, {"reached": 3}])
    funnels = strategies.funnels() | strategies.ruled_funnels()
    periods = st.fixed_dictionaries({}, optional={"period": st.integers(0, 3), "returned": st.booleans()})
    return st.builds(lambda spec, at: {"cell": _live(spec), "at": at}, funnels, steps) | st.builds(
        lambda spec, at: {"cell": _live(spec), "at": at}, strategies.ruled_retentions(), periods
    )


@examples(40)
@given(
    strategies.histories(max_batches=4),
    st.lists(_cells(), min_size=1, max_size=3),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_members_of_live_cells_equal_a_fresh_query_after_every_group_and_tick(
    history: Any, cells: Any, is_started_late: bool, choose: Any
) -> None:
    with Store.open(background=False) as store:
        if is_started_late:
            _append(store, history[0])
        predicates = []
        for cell in cells:
            try:
                store.watch(f"s{len(predicates)}", cell, now_ms=END_MS)
            except BadQuery:
                continue
            predicates.append(cell)
        assume(predicates)
        _follow(store, history, predicates, is_started_late, choose)


def _event(who: str, day: float, name: str, **properties: Any) -> dict[str, Any]:
    time_ms = T + int(day * DAY_MS)
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": who}, "properties": properties}


def _members(store: Store, name: str = "s") -> list[int]:
    return [int(each) for each in store.members(name)]


def test_who_left_a_cart_is_told_by_a_transition() -> None:
    question = funnel("Added", "Charged", window="1d").last("7d").spec()
    with Store.open(background=False) as store:
        store.watch("s", {"cell": question, "at": {"lost": 2}}, now_ms=T)
        store.append([_event("u", 1, "Added"), _event("v", 1, "Added")], now_ms=T + DAY_MS)
        assert _members(store) == [0, 1]
        store.append([_event("v", 1.5, "Charged")], now_ms=T + 2 * DAY_MS)
        assert _members(store) == [0]
        store.tick(T + 8 * DAY_MS - 1)
        assert _members(store) == [0]
        store.tick(T + 8 * DAY_MS)
        assert _members(store) == [], "the entry is past the range"
        assert [each.entered for each in store.transitions()] == [True, True, False, False]


def test_a_restart_knows_the_cells_and_their_zones(tmp_path: Any) -> None:
    where = did("Came") & trait("plan").eq("pro")
    question = (
        retention("Came", interval="week").calendar(zone="Asia/Kathmandu", week_start="sunday").where(where).spec()
    )
    cell = {"cell": question, "at": {"period": 1}}
    with Store.open(tmp_path / "s", background=False) as store:
        store.watch("s", cell, now_ms=T)
        store.append([_event("u", 1, "Came"), _event("u", 8, "Came"), _event("v", 1, "Came")], now_ms=T + 9 * DAY_MS)
        store.set_traits({"user_id": "u"}, {"plan": "pro"}, now_ms=T + 9 * DAY_MS)
        assert _members(store) == [0]
    with Store.open(tmp_path / "s", background=False) as store:
        assert _members(store) == [0]
        named_so = {"kind": "profiles", "where": {"segment": "s"}}
        assert store.query(named_so, now_ms=T + 9 * DAY_MS).rows() == [(0,)]


def test_names_that_come_later_are_steps() -> None:
    question = funnel("Added", "Paid late", window="30d").spec()
    with Store.open(background=False) as store:
        store.watch("s", {"cell": question, "at": {"reached": 2}}, now_ms=T)
        store.watch("any", {"cell": {"kind": "funnel", "steps": ["Added", None]}, "at": {"reached": 2}}, now_ms=T)
        store.append([_event("u", 1, "Added")], now_ms=T + 3 * DAY_MS)
        store.append([_event("u", 2, "Paid late")], now_ms=T + 3 * DAY_MS)
        assert _members(store) == _members(store, "any") == [0]


PLAIN = {"kind": "funnel", "steps": ["A", "B"]}
DAILY = {"kind": "retention", "start": "A", "interval": "day"}
REFUSED: list[dict[str, Any]] = [
    {"cell": trend("A").every("day").spec(), "at": {"start_ms": T}},
    {"cell": {**PLAIN, "order": "any_order"}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "order": "strict_steps"}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "exclude": ["X"]}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "hold": ["p"]}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "same_time": {"grace": 1}}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "window": {"step": "1d"}}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "breakdown": [{"trait": "t"}]}, "at": {"reached": 2}},
    {"cell": {**PLAIN, "interval": {"days": 2}}, "at": {"reached": 2}},
    {"cell": funnel(named("A").where("p").gt(trait_value("t")), "B").spec(), "at": {"reached": 2}},
    {"cell": funnel(named("A").where("p").within_last("1d"), "B").spec(), "at": {"reached": 2}},
    {"cell": {**DAILY, "criterion": "on_or_before"}, "at": {"period": 1}},
    {"cell": {**DAILY, "population": "every_period"}, "at": {"period": 1}},
    {"cell": {**DAILY, "fill": True}, "at": {"period": 1}},
    {"cell": {**DAILY, "interval": "hour", "criterion": "streak"}, "at": {"period": 1}},
    {"cell": {**PLAIN, "where": {"did": "A", "window": {"last": "1d"}}, "hold": ["p"]}, "at": {"reached": 2}},
    {
        "cell": {**PLAIN, "where": {"did": "A", "window": {"this": "day", "zone": {"trait": "tz"}}}},
        "at": {"reached": 2},
    },
]


@pytest.mark.parametrize("cell", REFUSED)
def test_what_a_live_segment_can_not_keep_up_is_refused_by_name(cell: dict[str, Any]) -> None:
    with Store.open(background=False) as store:
        with pytest.raises(BadQuery) as raised:
            store.watch("s", {"and": [on_list("x").spec(), {"not": cell}]}, now_ms=T)
        assert raised.value.code == "query.unsupported"
        assert store.query({"kind": "profiles", "where": cell}, now_ms=NOW).rows() == []


def test_a_live_cell_names_no_other_segment() -> None:
    with Store.open(background=False) as store:
        store.watch("other", {"did": "A"}, now_ms=T)
        cell = {"cell": {**PLAIN, "where": {"not": {"segment": "other"}}}, "at": {"reached": 1}}
        with pytest.raises(BadQuery) as raised:
            store.watch("s", cell, now_ms=T)
        assert raised.value.code == "query.unsupported"
        store.watch("other", None, now_ms=T)
        store.append([_event("u", 1, "A")], now_ms=NOW)


@pytest.mark.parametrize("at", [{"reached": 3}, {"lost": 3}, {"reached": 1, "start_ms": 0}])
def test_a_place_that_the_funnel_has_not_is_refused_before_it_is_defined(at: dict[str, int]) -> None:
    with Store.open(background=False) as store:
        with pytest.raises(BadQuery):
            store.watch("s", {"cell": PLAIN, "at": at}, now_ms=T)
        store.append([_event("u", 1, "A")], now_ms=NOW)


def test_an_overlap_over_time_has_the_cells_that_a_live_segment_has() -> None:
    with Store.open(background=False) as store:
        store.append([_event("u", 1, "A"), _event("u", 5, "B"), _event("v", 1, "A")], now_ms=NOW)
        cell = {"cell": {**PLAIN, "window": "7d"}, "at": {"lost": 2}}
        asked = {"kind": "overlap", "segment": cell, "from_ms": T + 2 * DAY_MS, "to_ms": T + 6 * DAY_MS}
        assert store.query(asked, now_ms=NOW).rows() == [(0, False, T + 5 * DAY_MS, "event", "B")]
        with pytest.raises(BadQuery) as raised:
            store.query({**asked, "segment": REFUSED[0]}, now_ms=NOW)
        assert (raised.value.code, raised.value.path) == ("query.unsupported", "segment")


def test_an_export_is_narrowed_by_any_cell() -> None:
    with Store.open(background=False) as store:
        store.append([_event("u", 1, "A"), _event("u", 5, "B"), _event("v", 1, "A")], now_ms=NOW)
        cell = {"cell": {**PLAIN, "order": "any_order", "hold": ["p"]}, "at": {"reached": 1}}
        assert pa.table(store.profiles({"not": cell}, now_ms=NOW))["profile_id"].to_pylist() == [0, 1]
        lost = store.events(where={"cell": PLAIN, "at": {"lost": 2}}, now_ms=NOW)
        assert pa.table(lost).select(["profile_id", "event"]).to_pylist() == [{"profile_id": 1, "event": "A"}]
