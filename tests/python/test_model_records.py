"""What is accepted: one reject a rule, with its code and the path of what is wrong; times, dedupe and batches."""

import re
from pathlib import Path
from typing import Any

import msgpack
import pytest

from cdpstore.errors import BadFrame
from cdpstore.model import datetime_of, event, identify, milliseconds_of, traits
from cdpstore.query import did, profiles, trait, trend
from cdpstore.testing import ModelStore
from cdpstore.testing.limits import LIMITS

T = 1_700_000_000_000
IDS = {"user_id": "u"}
CPP = Path(__file__).parents[2] / "cpp" / "base"


def _event(**properties: Any) -> dict[str, Any]:
    return event("Seen", ids=IDS, properties=properties)


def _nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = {"k": value}
    assert isinstance(value, dict)
    return value


REFUSED = [
    (7, "record.not_a_map", ""),
    ({"name": "x"}, "record.type.missing", "type"),
    ({"type": "nonsense"}, "record.type.unknown", "type"),
    ({"type": "erase"}, "record.type.unsupported", "type"),
    ({**_event(), "nam": 1}, "record.field.unknown", "nam"),
    ({"type": "event", "ids": IDS}, "record.field.missing", "name"),
    ({"type": "event", "name": "x"}, "record.field.missing", "ids"),
    ({**_event(), "name": 7}, "record.field.type", "name"),
    ({**_event(), "name": ""}, "event.name.length", "name"),
    ({**_event(), "name": "é" * 129}, "event.name.length", "name"),
    ({**_event(), "name": "Message Sent"}, "event.name.reserved", "name"),
    ({**_event(), "time_ms": "now"}, "record.field.type", "time_ms"),
    ({**_event(), "time_ms": 0}, "event.time.out_of_range", "time_ms"),
    ({**_event(), "time_ms": LIMITS["kTimeMaxMs"] + 1}, "event.time.out_of_range", "time_ms"),
    ({**_event(), "ids": {}}, "identity.none", "ids"),
    ({**_event(), "ids": {"shoe": "1"}}, "identity.kind.unknown", "ids"),
    ({**_event(), "ids": {"email": "a@b.c"}}, "identity.kind.not_identifying", "ids"),
    ({**_event(), "ids": {"user_id": "x" * 513}}, "identity.length", "ids.user_id"),
    ({**_event(), "ids": {"user_id": 1.5}}, "record.field.type", "ids.user_id"),
    ({**_event(), "event_id": ""}, "event.event_id.length", "event_id"),
    ({**_event(), "properties": [1]}, "record.field.type", "properties"),
    (_event(**{"a.b": 1}), "record.key.dot", "properties"),
    (_event(**{"$a": 1}), "record.key.reserved", "properties"),
    (_event(**{"": 1}), "record.key.length", "properties"),
    (_event(**{"k" * 257: 1}), "record.key.length", "properties"),
    (_event(a={7: 1}), "record.key.not_string", "properties.a"),
    (_event(a=2**63), "value.int.out_of_range", "properties.a"),
    (_event(a=float("nan")), "value.float.not_finite", "properties.a"),
    (_event(a={"b": float("inf")}), "value.float.not_finite", "properties.a.b"),
    (_event(a="x" * 4097), "value.string.length", "properties.a"),
    (_event(a=b"raw"), "value.binary.unsupported", "properties.a"),
    (_event(a=msgpack.ExtType(5, b"x")), "value.ext.unsupported", "properties.a"),
    (_event(a={"$time": "x"}), "value.datetime.invalid", "properties.a"),
    (_event(a={"$time": 1}), "event.time.out_of_range", "properties.a"),
    (_event(a=[1, {"b": 1}]), "value.list.mixed", "properties.a[1]"),
    (_event(a=[[1]]), "value.list.mixed", "properties.a[0]"),
    (_event(a=[{"b": float("nan")}]), "value.float.not_finite", "properties.a[0].b"),
    (_event(**{f"k{index}": 1 for index in range(257)}), "event.properties.too_many", "properties"),
    (_event(**{f"k{index}": "x" * 4000 for index in range(20)}), "record.too_large", ""),
    (event("Seen", ids=IDS, properties=_nested(9)), "record.too_deep", "properties" + ".k" * 8),
    (traits(IDS, increment={"n": "x"}), "traits.operation.invalid", "increment.n"),
    (identify({"anonymous_id": "a", "user_id": "u"}, IDS), "record.field.type", "anonymous"),
    (identify({"anonymous_id": "null"}, IDS), "identity.none", "anonymous"),
]


@pytest.mark.parametrize(("record", "code", "path"), REFUSED, ids=[f"{code}-{path}"[:60] for _, code, path in REFUSED])
def test_a_bad_record_is_refused_with_its_code_and_path_and_the_rest_is_kept(record: Any, code: str, path: str) -> None:
    ack = ModelStore().append([_event(), record, _event()], now_ms=T)
    assert [(each.index, each.code, each.path) for each in ack.rejects] == [(1, code, path)]
    assert (ack.accepted, ack.sequence) == (2, 2)


def test_repeated_keys_are_refused() -> None:
    pair = msgpack.packb("k") + msgpack.packb(1)
    packed = msgpack.packb({"type": "event", "name": "Seen", "ids": IDS, "properties": 0})
    body = b"\x91" + packed[:-1] + b"\x82" + pair + pair
    (reject,) = ModelStore().append(body, now_ms=T).rejects
    assert (reject.code, reject.path) == ("record.key.duplicate", "properties")


def test_a_string_that_is_no_utf8_is_refused() -> None:
    body = msgpack.packb([_event(a="XY")]).replace(b"XY", b"\xff\xfe")
    (reject,) = ModelStore().append(body, now_ms=T).rejects
    assert (reject.code, reject.path) == ("value.string.utf8", "properties.a")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "batch.unreadable"),
        (b"\xc1", "batch.unreadable"),
        (b"\x92\x80", "batch.unreadable"),
        (b"\x90\x90", "batch.unreadable"),
        (b"\x80", "batch.not_an_array"),
        (b"\x07", "batch.not_an_array"),
        (msgpack.packb([0] * 10_001), "batch.too_many_records"),
        (b"\x91" + b"\xc0" * (8 << 20), "batch.too_large"),
    ],
)
def test_a_batch_that_cannot_be_read_is_a_bad_frame(body: bytes, code: str) -> None:
    with pytest.raises(BadFrame) as caught:
        ModelStore().append(body, now_ms=T)
    assert caught.value.code == code


def test_nested_maps_flatten_and_empty_ones_are_nothing() -> None:
    store = ModelStore()
    moment = datetime_of(T)
    store.append([_event(a={"b": {"c": 1}, "d": {}}, t=moment, z=-0.0, items=[{"p": {"q": 2}}])], now_ms=T)
    answer = store.profile(IDS, events={}, now_ms=T)
    assert answer is not None
    assert answer.events[0].properties == {"a.b.c": 1, "t": moment, "z": 0.0, "items": [{"p.q": 2}]}
    assert str(answer.events[0].properties["z"]) == "0.0"


@pytest.mark.parametrize(("ahead_ms", "kept_ms"), [(1, 0), (120_000, 0), (120_001, 120_001), (-5, -5)])
def test_a_clock_up_to_two_minutes_ahead_is_set_to_the_received_time(ahead_ms: int, kept_ms: int) -> None:
    store = ModelStore()
    store.append([event("Seen", ids=IDS, time_ms=T + ahead_ms)], now_ms=T)
    answer = store.profile(IDS, events={}, now_ms=T + 10**6)
    assert answer is not None
    client = answer.events[0].properties.get("$client_time_ms")
    assert answer.events[0].time_ms == T + kept_ms
    assert (client and milliseconds_of(client)) == (T + ahead_ms if kept_ms == 0 else None)


def test_a_future_event_is_invisible_until_then() -> None:
    store = ModelStore()
    store.append([event("Seen", ids=IDS, time_ms=T + 10**6)], now_ms=T)
    assert store.query(trend("Seen"), now_ms=T + 10**6 - 1).rows() == [(0,)]
    assert store.query(trend("Seen"), now_ms=T + 10**6).rows() == [(1,)]


def test_an_event_id_counts_once_in_thirty_days_of_receipt() -> None:
    day = 86_400_000
    store = ModelStore()

    def duplicates(event_id: str, days: int) -> int:
        return store.append([event("Seen", ids=IDS, event_id=event_id)], now_ms=T + days * day).duplicates

    assert [duplicates("x", 0), duplicates("x", 29), duplicates("x", 30), duplicates("x", 31)] == [0, 1, 0, 1]
    upper = "550E8400-E29B-41D4-A716-446655440000"
    assert [duplicates(upper, 31), duplicates(upper.lower(), 31)] == [0, 1]
    assert [duplicates("Case", 31), duplicates("case", 31)] == [0, 0]


def test_a_resent_batch_gets_its_ack_again() -> None:
    store, producer = ModelStore(), (b"0123456789abcdef", 1, 1)
    acks = [store.append([_event()], now_ms=T, producer=producer) for _ in range(2)]
    assert acks[0] == acks[1]
    assert store.watermark == 1


def test_limits_are_those_of_the_core() -> None:
    text = (CPP / "limits.hpp").read_text()
    for name, value in LIMITS.items():
        match = re.search(rf"{name} = ([^;]+);", text)
        assert match is not None, name
        expression = re.sub(r"(\d)(u|LL)", r"\1", match[1].replace("'", "").replace("k'", ""))
        assert eval(expression) == value, name


def test_predicates_on_what_is_missing_are_false() -> None:
    store = ModelStore()
    store.append([_event(price=5, tags=["a", "b"]), traits(IDS, set={"plan": "pro"})], now_ms=T)

    def members(predicate: Any) -> int:
        return len(store.query(profiles(predicate), now_ms=T))

    assert members(trait("nope").ne(1)) == 0
    assert members(trait("nope").not_exists()) == 1
    assert members(trait("plan").ne(7)) == 1
    assert members(trait("plan", ignore_case=True).eq("PRO")) == 1
    assert members(did("Seen").where("tags").eq("b")) == 1
    assert members(did("Seen").where("tags").ne("b")) == 0
    assert members(did("Seen").where("price").eq(5.0)) == 1
    assert members(did("Seen").where("price").eq("5")) == 0
    assert members(did("Seen").sum("nope").eq(0)) == 1
    assert members(did("Seen").mean("nope").le(10**9)) == 0
    assert members(did("Never").count().lt(3)) == 1


@pytest.mark.parametrize(("age_ms", "inside"), [(0, True), (999, True), (1000, False), (-1, False)])
def test_a_rolling_window_is_open_at_its_start_and_closed_at_now(age_ms: int, inside: bool) -> None:
    store = ModelStore()
    store.append([event("Seen", ids=IDS, time_ms=T - age_ms)], now_ms=T - 10**9)
    assert len(store.query(profiles(did("Seen").within("1s")), now_ms=T)) == inside
