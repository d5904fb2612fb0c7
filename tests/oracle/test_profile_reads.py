"""Point reads: plain arguments go straight into the core, all others through the spec, and both say the same."""

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import msgpack
import pytest

from cdpstore.errors import CDPError, from_core
from cdpstore.model import Event, Identity, Operation
from cdpstore.store import Store, _core, _profile_spec

DAY_MS = 86_400_000
T = 1_700_000_000_000
IDS = {"user_id": "u1"}


@pytest.fixture(name="store")
def _store() -> Any:
    with Store.open(background=False) as store:
        yield store


def _event(number: int, time_ms: int, **properties: Any) -> dict[str, Any]:
    return {
        "type": "event",
        "name": f"E{number % 3}",
        "time_ms": time_ms,
        "ids": IDS,
        "properties": {"number": number, **properties},
    }


def _by_spec(store: Store, ids: Any, events: Any) -> Any:
    packed = msgpack.packb(_profile_spec(ids, events, None), datetime=True)
    try:
        return store._engine.profile_by_spec(packed, T)
    except _core.CoreError as error:
        found = from_core(*error.args)
        return type(found), found.code, found.path


def _directly(store: Store, ids: Any, events: Any) -> Any:
    try:
        return store.profile(ids, events=events, now_ms=T)
    except CDPError as error:
        return type(error), error.code, error.path


IDS_GIVEN: list[Any] = [
    IDS,
    0,
    7,
    -1,
    True,
    2**63,
    {},
    {"user_id": 5},
    {"user_id": "  u1 "},
    {"email": "U1@example.org", "user_id": "u1"},
    {"nonsense": "u1"},
    {"user_id": "\0é"},
    {"user_id": "x" * 5_000},
    {"user_id": None},
    {f"kind{number}": "x" for number in range(20)},
    OrderedDict(IDS),
]
OPTIONS: list[Any] = [
    {},
    {"limit": 0},
    {"limit": 2},
    {"limit": -1},
    {"limit": True},
    {"limit": 1.5},
    {"limit": 10**12},
    {"limit": None},
    {"limit": "2"},
    {"newest_first": True},
    {"newest_first": 1},
    {"names": ["E1"]},
    {"names": []},
    {"names": ["E1", "E1", "unseen"], "limit": 1},
    {"names": "E1"},
    {"names": [""]},
    {"names": [1]},
    {"names": ["x" * 300]},
    {"nonsense": 1},
    MappingProxyType({"limit": 1}),
]


@pytest.mark.parametrize("ids", IDS_GIVEN, ids=lambda ids: repr(ids)[:30])
@pytest.mark.parametrize("events", OPTIONS, ids=lambda events: repr(events)[:30])
def test_arguments_mean_what_the_spec_says(store: Store, ids: Any, events: Any) -> None:
    store.append([_event(number, T - number) for number in range(5)], now_ms=T)
    assert _directly(store, ids, events) == _by_spec(store, ids, events)


def test_a_text_that_no_spec_can_carry_is_refused(store: Store) -> None:
    with pytest.raises(CDPError):
        store.profile({"user_id": "\ud800"})


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 39, 40, 1_000])
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_limit_takes_one_end_of_the_timeline_over_partitions_layers_and_tail(
    store: Store, count: int, newest_first: bool
) -> None:
    times = [T - (number * 17 % 40) * 13 * DAY_MS for number in range(40)]
    for first in range(0, 40, 8):
        store.append([_event(at, times[at]) for at in range(first, first + 8)], now_ms=T)
        if first < 32:
            store.seal()
    whole = store.profile(IDS, now_ms=T)
    part = store.profile(IDS, events={"limit": count, "newest_first": newest_first}, now_ms=T)
    assert whole is not None
    assert part is not None
    assert [event.time_ms for event in whole.events] == sorted(times)
    assert part.events == (whole.events[::-1] if newest_first else whole.events)[:count]


def test_events_after_now_take_no_place_in_the_limit(store: Store) -> None:
    store.append([_event(number, T - 10 + number) for number in range(10)], now_ms=T)
    answer = store.profile(IDS, events={"limit": 3, "newest_first": True}, now_ms=T - 8)
    assert answer is not None
    assert [event.time_ms for event in answer.events] == [T - 8, T - 9, T - 10]


def test_an_answer_holds_values_of_every_type_and_length(store: Store) -> None:
    properties = {
        "short": "ab",
        "long": "x" * 4_000,
        "accent": "é",
        "astral": "\U0001f600" * 5,
        "empty": "",
        "zero": "\0",
        "big": -(2**63),
        "half": 0.5,
        "yes": True,
        "list": ["a", 1, None, 2.5],
    }
    store.append([_event(0, T, **properties)], now_ms=T)
    store.set_traits(IDS, {"plan": "pro"}, now_ms=T)
    answer = store.profile(IDS, now_ms=T)
    assert answer is not None
    assert answer.identities == (Identity("user_id", "u1"),)
    assert answer.traits == {"plan": "pro"}
    assert answer.trait_history == (Operation("plan", "set", "pro", T),)
    assert answer.events == (Event("E0", T, {"number": 0, **properties}),)


def test_texts_that_share_a_place_in_the_table_of_shared_texts_stay_apart(store: Store) -> None:
    texts = [f"text {number}" for number in range(20_000)]
    store.append(
        [_event(number, T + number, text=text) for number, text in enumerate(texts[:10_000])], now_ms=T + 10_000
    )
    store.append(
        [_event(number, T + number, text=text) for number, text in enumerate(texts) if number >= 10_000],
        now_ms=T + 20_000,
    )
    answer = store.profile(IDS, now_ms=T + 20_000)
    assert answer is not None
    assert [event.properties["text"] for event in answer.events] == texts
