"""An error says where it lies and what is known there: values that no spec holds, names that nobody knows."""

from typing import Any

import msgpack
import pytest

from cdpstore._core import CoreError
from cdpstore.errors import BadQuery
from cdpstore.query import consent, did, on_list, profiles
from cdpstore.store import Store
from tests.python.spec_examples import nested

NOW = 1_704_067_200_000
NAN = float("nan")


@pytest.fixture(name="store", scope="module")
def _store() -> Any:
    with Store.open(background=False) as store:
        ids = {"user_id": "u"}
        store.append([{"type": "event", "name": "push", "ids": ids, "properties": {"sms": "sms"}}], now_ms=NOW)
        store.set_consent(ids, "email", "subscribed", now_ms=NOW)
        store.set_consent(ids, "email", "pending", topic="news", now_ms=NOW)
        store.set_consent(ids, "web", "pending", topic="sale", now_ms=NOW)
        store.list_add("vip", [ids], now_ms=NOW)
        yield store


def _refused(store: Store, spec: Any) -> BadQuery:
    with pytest.raises(BadQuery) as raised:
        store.query(spec, now_ms=NOW)
    return raised.value


def _trend(where: Any) -> dict[str, Any]:
    return {"kind": "trend", "event": {"event": "A", "where": where}}


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        (_trend([{"property": "p", "op": "gt", "value": NAN}]), "event.where[0].value", "NaN"),
        (_trend([{"property": "p", "op": "in", "value": [1, float("inf")]}]), "event.where[0].value[1]", "infinity"),
        (_trend([{"property": "p", "op": "gt", "value": 2**63}]), "event.where[0].value", "beyond 2^63-1"),
        (_trend([{"property": "p", "op": "gt", "value": 2**80}]), "event.where[0].value", "beyond 2^63-1"),
        (_trend([{"property": "p", "op": "gt", "value": object()}]), "event.where[0].value", "got object"),
        (_trend([{"property": "p", "op": "eq", "value": "\ud800"}]), "event.where[0].value", "not UTF-8"),
        (_trend([{"property": "p", "op": "eq", "value": b"raw"}]), "event.where[0].value", "maps, lists"),
        ({"kind": "trend", "event": "A", "range": {5: 1}}, "range", "expected a string"),
        (nested("not", 70), "where" + ".not" * 63, "64 levels"),
        (nested("and", 3_000), "where" + ".and[0]" * 32, "64 levels"),
        (nested("not", 40), "where" + ".not" * 33, "32 levels"),
    ],
)
def test_a_value_that_no_spec_holds_is_told_with_its_place(
    store: Store, spec: dict[str, Any], path: str, message: str
) -> None:
    error = _refused(store, spec)
    assert (error.path, error.code) == (path, "query.invalid")
    assert message in error.message


def test_a_spec_that_holds_itself_is_too_deep(store: Store) -> None:
    spec: dict[str, Any] = {"kind": "profiles"}
    spec["where"] = {"not": spec}
    assert "64 levels" in _refused(store, spec).message


@pytest.mark.parametrize(
    ("spec", "path", "hints"),
    [
        ({"kind": "trend", "event": "A", "intervall": "day"}, "intervall", ['mean "interval"', "measures", "fill"]),
        ({"kind": "profiles", "where": {"did": "A", "windwo": {}}}, "where.windwo", ['mean "window"', "first_ever"]),
        ({"kind": "funnel", "steps": [{"event": "A", "optinal": True}]}, "steps[0].optinal", ['mean "optional"']),
        (
            {"kind": "funnel", "steps": ["A", "B"], "exclude": [{"event": "X", "betwen": [1, 2]}]},
            "exclude[0].betwen",
            ['mean "between"', "any_of", "where"],
        ),
        ({"kind": "trend", "events": [{"event": "A", "nmae": "x"}]}, "events[0].nmae", ['mean "name"', "first"]),
        ({"kind": "profiles", "where": {"trait": "t", "op": "eq", "val": 1, "value": 1}}, "where.val", ['"value"']),
        ({"kind": "profiles", "where": {"list": "vip", "colour": 1}}, "where.colour", ["known here: list"]),
    ],
)
def test_an_unknown_field_is_told_with_those_that_are_known(
    store: Store, spec: dict[str, Any], path: str, hints: list[str]
) -> None:
    error = _refused(store, spec)
    assert (error.path, error.code) == (path, "query.field.unknown")
    assert all(hint in error.message for hint in hints), error.message


def test_what_errors_show_is_whole_characters(store: Store) -> None:
    name = "a" + "\u00e4" * 60
    for spec in (
        {"kind": "trend", "event": "A", name: 1},
        {"kind": name},
        {"kind": "trend", "event": "A", "zone": name},
    ):
        assert "\u00e4" in str(_refused(store, spec))
    assert "\u00e4" in str(_refused(store, {"kind": "trend", "event": "A", "interval": name}))


def test_a_state_that_no_consent_has_is_refused(store: Store) -> None:
    error = _refused(store, profiles(consent("email").eq("opted-in")).spec())
    assert (error.path, error.code) == ("where.value", "query.invalid")
    assert '"opted_in"' in error.message
    with pytest.raises(BadQuery) as raised:
        store.watch("typo", consent("email").is_in("subscribed", "opted in").spec(), now_ms=NOW)
    assert raised.value.path == "value[1]"
    answer = store.query(
        {"kind": "profiles", "where": {"consent": "email", "op": "eq", "value": "Subscribed", "ignore_case": True}},
        now_ms=NOW,
    )
    assert answer.rows() == [(0,)]


@pytest.mark.parametrize(
    ("where", "notes"),
    [
        (consent("email").exists(), {}),
        (consent("emial").exists(), {"unknown_channels": "emial"}),
        (consent("push").exists() | consent("sms").exists(), {"unknown_channels": "push, sms"}),
        (consent("email", "news").exists(), {}),
        (consent("email", "sale").exists(), {"unknown_topics": "sale"}),
        (consent("web").exists() & ~consent("email", "nwes").exists(), {"unknown_topics": "nwes"}),
        (on_list("vip") | on_list("vpi") | on_list("push"), {"unknown_lists": "push, vpi"}),
        (did("push") & on_list("u"), {"unknown_lists": "u"}),
    ],
)
def test_channels_topics_and_lists_that_nobody_has_are_noted(store: Store, where: Any, notes: dict[str, str]) -> None:
    assert store.query(profiles(where), now_ms=NOW).notes | {"count": 0} == {**notes, "count": 0}


def test_a_profile_has_no_range(store: Store) -> None:
    spec = {"kind": "profile", "profile": 0, "range": {"last": "7d"}}
    with pytest.raises(CoreError) as raised:
        store._engine.profile_by_spec(msgpack.packb(spec), NOW)
    assert raised.value.args[1:4:2] == ("query.invalid", "range")
    assert "yet" not in raised.value.args[2]
