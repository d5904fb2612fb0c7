"""Devices and consents as stories that both stores tell: what each record comes to, and what is refused."""

from typing import Any

import msgpack
import pytest

from cdpstore.errors import BadQuery
from cdpstore.model import (
    Change,
    Consent,
    Device,
    Listed,
    Membership,
    Suppression,
    consent,
    device,
    event,
    group,
    list_member,
    membership,
    suppress,
    traits,
)
from cdpstore.query import Predicate, did, has_device, in_group, is_suppressed, on_list, profiles
from cdpstore.query import consent as agreed
from cdpstore.testing.limits import LIMITS

T = 1_700_000_000_000
DAY = 86_400_000
IDS = {"user_id": "u1"}
OTHER = {"user_id": "u2"}


def _count(store: Any, predicate: Predicate, now_ms: int = T) -> int:
    return len(store.query(profiles(predicate), now_ms=now_ms))


def _devices(store: Any, now_ms: int = T, ids: Any = IDS) -> tuple[Device, ...]:
    answer = store.profile(ids, now_ms=now_ms)
    assert answer is not None
    devices: tuple[Device, ...] = answer.devices
    return devices


def _consents(store: Any, now_ms: int = T, ids: Any = IDS) -> dict[tuple[str, str | None], str]:
    answer = store.profile(ids, now_ms=now_ms)
    assert answer is not None
    return {(each.channel, each.topic): each.state for each in answer.consents}


def test_what_a_device_told_stands_until_it_tells_otherwise(store: Any) -> None:
    store.set_device(IDS, "d1", platform="ios", token="t1", zone="Europe/Vienna", now_ms=T - 3)
    store.set_device(IDS, "d1", app_version="2.0", token="t2", now_ms=T - 2)
    store.set_device(IDS, "d1", clear=["zone"], now_ms=T - 1)
    assert _devices(store) == (Device("d1", "ios", "t2", "2.0", None, T - 3, T - 1, None, None),)
    assert _devices(store, now_ms=T - 2)[0].zone == "Europe/Vienna"


def test_a_dead_device_lives_again_when_it_is_seen_later_and_not_when_news_arrive_late(store: Any) -> None:
    store.set_device(IDS, "d1", token="t", time_ms=T - 9, now_ms=T)
    store.kill_device(IDS, "d1", reason="unregistered", time_ms=T - 5, now_ms=T)
    store.set_device(IDS, "d1", time_ms=T - 7, now_ms=T)
    (dead,) = _devices(store)
    assert (dead.dead_ms, dead.reason, dead.token, dead.last_seen_ms) == (T - 5, "unregistered", "t", T - 7)
    store.set_device(IDS, "d1", time_ms=T - 1, now_ms=T)
    (alive,) = _devices(store)
    assert (alive.dead_ms, alive.reason, alive.last_seen_ms) == (None, None, T - 1)


def test_the_later_time_of_a_consent_stands_and_a_topic_stands_beside_its_channel(store: Any) -> None:
    store.set_consent(IDS, "email", "unsubscribed", time_ms=T - 1, now_ms=T)
    store.set_consent(IDS, "email", "opted_in", source="import", time_ms=T - 2, now_ms=T)
    store.set_consent(IDS, "email", "subscribed", topic="sale", source="form", time_ms=T - 2, now_ms=T)
    assert _consents(store) == {("email", None): "unsubscribed", ("email", "sale"): "subscribed"}
    assert _consents(store, T - 2) == {("email", None): "opted_in", ("email", "sale"): "subscribed"}
    assert store.profile(IDS, now_ms=T).consents[1] == Consent("email", "sale", "subscribed", "form", T - 2)
    assert _count(store, agreed("email").eq("unsubscribed")) == 1
    assert _count(store, agreed("email", "sale").is_in("subscribed", "opted_in")) == 1
    assert _count(store, agreed("email", "news").not_exists()) == 1
    assert _count(store, agreed("push").not_exists()) == 1
    assert _count(store, agreed("push").ne("subscribed")) == 0


def test_of_one_time_the_later_record_stands(store: Any) -> None:
    for state in ("opted_in", "unsubscribed", "pending"):
        store.set_consent(IDS, "sms", state, time_ms=T - 5, now_ms=T)
    assert _consents(store) == {("sms", None): "pending"}


def test_the_history_has_every_operation_once_in_order_of_time(store: Any) -> None:
    for _ in range(2):
        store.set_consent(IDS, "email", "opted_in", source="form", time_ms=T - 1, now_ms=T)
        store.set_device(IDS, "d1", platform="ios", time_ms=T - 2, now_ms=T)
    assert store.profile(IDS, now_ms=T).changes == (
        Change("device", {"id": "d1"}, "seen", {"platform": "ios"}, T - 2),
        Change("consent", {"channel": "email"}, "opted_in", {"source": "form"}, T - 1),
    )


def test_merged_profiles_share_their_facts_and_part_with_their_own(store: Any) -> None:
    store.set_device(IDS, "phone", platform="ios", now_ms=T)
    store.set_consent(IDS, "email", "opted_in", time_ms=T - 5, now_ms=T)
    store.set_device(OTHER, "phone", app_version="2", now_ms=T + 1)
    store.set_device(OTHER, "tablet", now_ms=T + 1)
    store.set_consent(OTHER, "email", "unsubscribed", time_ms=T - 3, now_ms=T + 1)
    before = [(_devices(store, T + 9, ids), _consents(store, T + 9, ids)) for ids in (IDS, OTHER)]
    link = store.merge(IDS, OTHER, now_ms=T + 2).sequence
    phone, tablet = _devices(store, T + 9)
    assert (phone.id, phone.platform, phone.app_version, tablet.id) == ("phone", "ios", "2", "tablet")
    assert _consents(store, T + 9) == {("email", None): "unsubscribed"}
    store.unmerge(link, now_ms=T + 3)
    assert [(_devices(store, T + 9, ids), _consents(store, T + 9, ids)) for ids in (IDS, OTHER)] == before


def test_a_fact_of_the_future_is_invisible_until_then(store: Any) -> None:
    store.set_consent(IDS, "email", "opted_in", now_ms=T)
    store.set_consent(IDS, "email", "unsubscribed", time_ms=T + DAY, now_ms=T)
    assert [_count(store, agreed("email").eq("opted_in"), at) for at in (T, T + DAY - 1, T + DAY)] == [1, 1, 0]


def test_conditions_on_a_device_are_met_by_one_and_the_same(store: Any) -> None:
    store.set_device(IDS, "d1", platform="ios", token="t", now_ms=T)
    store.set_device(IDS, "d2", platform="android", now_ms=T + 1)
    assert _count(store, has_device()) == 1
    assert _count(store, has_device().where("platform").eq("ios").where("token").exists()) == 1
    assert _count(store, has_device().where("platform").eq("android").where("token").exists(), T + 1) == 0
    assert _count(store, has_device().where("last_seen").gt({"$time": T}), T + 1) == 1
    store.kill_device(IDS, "d1", now_ms=T + 2)
    assert _count(store, has_device().where("dead").eq(False).where("token").exists(), T + 2) == 0
    assert _count(store, has_device().where("dead").eq(True).where("id").eq("d1"), T + 2) == 1
    assert _count(store, ~has_device(), T + 2) == 0


def test_a_fact_makes_a_profile_of_an_identity_never_seen(store: Any) -> None:
    store.append([consent({"anonymous_id": "a", **IDS}, "email", "pending", time_ms=T - DAY)], now_ms=T)
    answer = store.profile({"anonymous_id": "a"}, now_ms=T)
    assert (len(answer.identities), answer.created_ms) == (2, T - DAY)


def test_a_clock_ahead_is_set_to_the_received_time(store: Any) -> None:
    store.append([device(IDS, "d1", time_ms=T + 60_000)], now_ms=T)
    assert _devices(store)[0].first_seen_ms == T


def test_a_profile_is_in_the_groups_it_joined_last_and_reads_their_traits(store: Any) -> None:
    store.set_group("company", "acme", {"plan": "pro", "seats": 5}, time_ms=T - 9, now_ms=T)
    store.join_group(IDS, "company", "acme", role="admin", time_ms=T - 8, now_ms=T)
    store.join_group(IDS, "family", "acme", time_ms=T - 8, now_ms=T)
    store.leave_group(IDS, "family", "acme", time_ms=T - 7, now_ms=T)
    store.join_group(OTHER, "company", "other", now_ms=T)
    store.set_group("company", "acme", {"increment": {"seats": 1}}, time_ms=T - 1, now_ms=T)
    assert store.profile(IDS, now_ms=T).groups == (
        Membership("company", "acme", "admin", T - 8, {"plan": "pro", "seats": 6}),
    )
    assert store.profile(IDS, now_ms=T - 8).groups[1] == Membership("family", "acme", None, T - 8, {})
    acme = in_group("company").where("$id").eq("acme")
    assert [_count(store, each) for each in (in_group(), in_group("company"), in_group("family"), acme)] == [2, 2, 0, 1]
    assert _count(store, in_group("company").where("seats").ge(6).where("$role").eq("admin")) == 1
    assert _count(store, in_group("company").where("seats").ge(6), T - 2) == 0
    assert _count(store, in_group("company").where("plan").not_exists()) == 1


def test_a_group_is_read_with_its_whole_history(store: Any) -> None:
    store.set_group("company", "acme", {"plan": "trial"}, time_ms=T - 9, now_ms=T)
    store.set_group("company", "acme", {"unset": ["plan"], "append": {"tags": "x"}}, time_ms=T - 3, now_ms=T)
    now, before = store.group("company", "acme", now_ms=T), store.group("company", "acme", now_ms=T - 4)
    assert (now.traits, before.traits, now.created_ms) == ({"tags": ["x"]}, {"plan": "trial"}, T - 9)
    assert sorted((each.kind, each.key) for each in now.trait_history) == [
        ("append", "tags"),
        ("set", "plan"),
        ("unset", "plan"),
    ]
    assert store.group("company", "nobody", now_ms=T) is None
    assert store.group("acme", "company", now_ms=T) is None


def test_conditions_on_a_group_are_met_by_one_and_the_same(store: Any) -> None:
    store.set_group("company", "a", {"plan": "pro"}, now_ms=T)
    store.set_group("company", "b", {"seats": 9}, now_ms=T)
    for company in ("a", "b"):
        store.join_group(IDS, "company", company, now_ms=T)
    assert _count(store, in_group("company").where("plan").eq("pro").where("seats").eq(9)) == 0
    assert _count(store, in_group("company").where("plan").eq("pro") & in_group("company").where("seats").eq(9)) == 1


def test_a_list_keeps_who_was_added_last_and_takes_people_never_seen(store: Any) -> None:
    ack = store.list_add("vip", [IDS, OTHER, {"user_id": "guest"}], now_ms=T)
    assert (ack.accepted, [(each.index, each.code) for each in ack.rejects]) == (2, [(2, "identity.none")])
    store.list_remove("vip", [OTHER], time_ms=T + 1, now_ms=T + 1)
    store.list_add("vip", [OTHER], time_ms=T - 5, now_ms=T + 1)
    assert [_count(store, on_list("vip"), at) for at in (T - 1, T, T + 1)] == [1, 2, 1]
    assert store.profile(IDS, now_ms=T).lists == (Listed("vip", T),)
    assert store.profile(OTHER, now_ms=T + 1).lists == ()
    assert _count(store, on_list("never heard of")) == 0


def test_a_list_goes_with_a_profile_that_joins_another_and_comes_back(store: Any) -> None:
    store.list_add("vip", [OTHER], now_ms=T)
    store.list_add("trial", [IDS], now_ms=T)
    link = store.merge(IDS, OTHER, now_ms=T).sequence
    assert {each.name for each in store.profile(IDS, now_ms=T).lists} == {"vip", "trial"}
    assert _count(store, on_list("vip") & on_list("trial")) == 1
    store.unmerge(link, now_ms=T)
    assert [each.name for each in store.profile(IDS, now_ms=T).lists] == ["trial"]


def _dropped() -> list[dict[str, Any]]:
    return [
        event("Seen", ids=IDS, event_id="e1"),
        traits(IDS, set={"plan": "pro"}),
        device(IDS, "d1"),
        membership(IDS, "company", "acme"),
        list_member(IDS, "vip"),
    ]


def test_of_a_suppressed_profile_nothing_is_kept_but_its_will(store: Any) -> None:
    store.append([event("Seen", ids=IDS)], now_ms=T)
    heard = [consent(IDS, "email", "unsubscribed"), suppress(IDS, reason="again", time_ms=T + 1)]
    ack = store.append([suppress(IDS, reason="asked"), *_dropped(), *heard], now_ms=T)
    assert [(each.index, each.code, each.path) for each in ack.rejects] == [
        (at, "profile.suppressed", "ids") for at in range(1, 6)
    ]
    assert (ack.accepted, ack.sequence) == (3, 9)
    answer = store.profile(IDS, events={}, now_ms=T)
    assert (len(answer.events), answer.traits, answer.devices, answer.groups, answer.lists) == (1, {}, (), (), ())
    assert (len(answer.consents), answer.suppression) == (1, Suppression(T, "again"))
    assert [_count(store, each) for each in (is_suppressed(), ~is_suppressed(), did("Seen"))] == [1, 0, 1]
    assert store.group("company", "acme", now_ms=T) is None


def test_what_was_refused_while_suppressed_is_kept_when_it_comes_again_after(store: Any) -> None:
    store.suppress(IDS, now_ms=T)
    assert store.append(_dropped(), now_ms=T).accepted == 0
    store.unsuppress(IDS, now_ms=T + 1)
    assert store.append(_dropped(), now_ms=T + 1).accepted == 5
    assert store.profile(IDS, now_ms=T + 1).suppression is None


def test_suppression_holds_for_all_identities_of_a_profile_while_they_are_one(store: Any) -> None:
    store.append([event("Seen", ids=OTHER), suppress(IDS)], now_ms=T)
    link = store.merge(OTHER, IDS, now_ms=T).sequence
    assert store.append([event("Seen", ids=OTHER)], now_ms=T).rejects[0].code == "profile.suppressed"
    store.unmerge(link, now_ms=T)
    assert store.append([event("Seen", ids=OTHER)], now_ms=T).accepted == 1
    assert store.append([event("Seen", ids=IDS)], now_ms=T).accepted == 0


def test_a_refused_event_makes_nothing_of_the_identities_it_carries(store: Any) -> None:
    store.suppress(IDS, now_ms=T)
    store.append([event("Seen", ids={**IDS, "anonymous_id": "a"})], now_ms=T)
    assert store.profile({"anonymous_id": "a"}, now_ms=T) is None
    assert store.append([event("Seen", ids={"anonymous_id": "a"})], now_ms=T).accepted == 1


def test_a_suppression_of_the_future_begins_when_it_is_received_that_late(store: Any) -> None:
    store.suppress(IDS, time_ms=T + DAY, now_ms=T)
    assert store.append([event("Seen", ids=IDS)], now_ms=T).accepted == 1
    assert store.append([event("Seen", ids=IDS, time_ms=T)], now_ms=T + DAY).accepted == 0
    assert _count(store, is_suppressed(), T + DAY - 1) == 0
    assert _count(store, is_suppressed(), T + DAY) == 1


def test_the_server_still_says_what_it_did_for_a_suppressed_profile(store: Any) -> None:
    store.suppress(IDS, now_ms=T)
    sent = [event("Message Sent", ids=IDS), event("Seen", ids=IDS)]
    ack = store.append(sent, now_ms=T, system=True)
    assert (ack.accepted, [each.index for each in ack.rejects]) == (1, [1])


def test_an_identity_named_by_a_kept_event_of_a_suppressed_profile_is_suppressed_at_once(store: Any) -> None:
    store.suppress(IDS, now_ms=T)
    both = {**IDS, "anonymous_id": "a"}
    sent = [
        event("Message Sent", ids=both, event_id="m"),
        event("Seen", ids={"anonymous_id": "a"}, event_id="e"),
        event("Message Sent", ids=both, event_id="m"),
    ]
    ack = store.append(sent, now_ms=T, system=True)
    assert (ack.accepted, ack.duplicates, [each.index for each in ack.rejects]) == (1, 1, [1])
    store.unsuppress(IDS, now_ms=T)
    assert store.append([event("Seen", ids={"anonymous_id": "a"}, event_id="e")], now_ms=T).accepted == 1


REFUSED = [
    ({**device(IDS, "d"), "id": ""}, "record.field.length", "id"),
    ({**device(IDS, "d"), "id": "x" * 513}, "record.field.length", "id"),
    ({**device(IDS, "d"), "id": 7}, "record.field.type", "id"),
    ({**device(IDS, "d"), "id": None}, "record.field.type", "id"),
    ({"type": "device", "ids": IDS}, "record.field.missing", "id"),
    ({"type": "device", "id": "d"}, "record.field.missing", "ids"),
    ({**device(IDS, "d"), "ids": {"user_id": "null"}}, "identity.none", "ids"),
    ({**device(IDS, "d"), "ids": {"email": "a@b.c"}}, "identity.kind.not_identifying", "ids"),
    ({**device(IDS, "d"), "state": "gone"}, "record.field.value", "state"),
    ({**device(IDS, "d"), "state": None}, "record.field.type", "state"),
    ({**device(IDS, "d"), "token": "x" * 4097}, "record.field.length", "token"),
    ({**device(IDS, "d"), "platform": "x" * 257}, "record.field.length", "platform"),
    ({**device(IDS, "d"), "zone": 1.5}, "record.field.type", "zone"),
    ({**device(IDS, "d"), "app_version": b"raw"}, "record.field.type", "app_version"),
    ({**device(IDS, "d"), "tokens": "t"}, "record.field.unknown", "tokens"),
    ({**device(IDS, "d"), "time_ms": 0}, "event.time.out_of_range", "time_ms"),
    ({**device(IDS, "d"), "reason": ["a"]}, "record.field.type", "reason"),
    (consent(IDS, "", "opted_in"), "record.field.length", "channel"),
    (consent(IDS, "email", "maybe"), "record.field.value", "state"),
    (consent(IDS, "email", "opted_in", topic=""), "record.field.length", "topic"),
    ({**consent(IDS, "email", "opted_in"), "topic": None}, "record.field.type", "topic"),
    ({"type": "consent", "ids": IDS, "channel": "email"}, "record.field.missing", "state"),
    ({"type": "consent", "ids": IDS, "state": "pending"}, "record.field.missing", "channel"),
    (suppress(IDS, state="off"), "record.field.value", "state"),
    ({**suppress(IDS), "reason": ""}, "record.field.length", "reason"),
    ({"type": "suppress"}, "record.field.missing", "ids"),
    (membership(IDS, "", "acme"), "record.field.length", "kind"),
    (membership(IDS, "company", "x" * 513), "record.field.length", "id"),
    ({"type": "membership", "ids": IDS, "kind": "company"}, "record.field.missing", "id"),
    ({**membership(IDS, "company", "acme"), "role": 5}, "record.field.type", "role"),
    (membership(IDS, "company", "acme", state="fired"), "record.field.value", "state"),
    (list_member(IDS, "x" * 257), "record.field.length", "name"),
    ({"type": "list", "ids": IDS}, "record.field.missing", "name"),
    ({**list_member(IDS, "vip"), "members": []}, "record.field.unknown", "members"),
    (group("", "acme"), "record.field.length", "kind"),
    (group("company", ""), "record.field.length", "id"),
    ({"type": "group", "kind": "company"}, "record.field.missing", "id"),
    ({"type": "group", "id": "acme"}, "record.field.missing", "kind"),
    ({**group("company", "acme"), "ids": IDS}, "record.field.unknown", "ids"),
    (group("company", "acme", set={"a.b": 1}), "record.key.dot", "set"),
    (group("company", "acme", set={"a": float("nan")}), "value.float.not_finite", "set.a"),
    (group("company", "acme", increment={"a": 2**63}), "value.int.out_of_range", "increment.a"),
    (group("company", "acme", set={f"k{at}": 1 for at in range(257)}), "traits.operations.too_many", "set.k256"),
]


@pytest.mark.parametrize(("record", "code", "path"), REFUSED, ids=[f"{code}-{path}"[:60] for _, code, path in REFUSED])
def test_a_bad_fact_is_refused_with_its_code_and_path_and_the_rest_is_kept(
    store: Any, record: Any, code: str, path: str
) -> None:
    ack = store.append([device(IDS, "before"), record, device(IDS, "after")], now_ms=T)
    assert [(each.index, each.code, each.path) for each in ack.rejects] == [(1, code, path)]
    assert [each.id for each in _devices(store)] == ["before", "after"]


def test_a_text_that_is_no_utf8_and_a_field_sent_twice_are_refused(store: Any) -> None:
    packed = msgpack.packb([device(IDS, "d", token="XY")])
    (reject,) = store.append(packed.replace(b"XY", b"\xff\xfe"), now_ms=T).rejects
    assert (reject.code, reject.path) == ("value.string.utf8", "token")
    one = msgpack.packb("id") + msgpack.packb("d")
    body = b"\x91" + bytes([0x80 + 4]) + msgpack.packb("type") + msgpack.packb("device") + one + one
    (reject,) = store.append(body + msgpack.packb("ids") + msgpack.packb(IDS), now_ms=T).rejects
    assert reject.code == "record.key.duplicate"


def test_an_origin_keeps_so_many_operations_of_a_type_and_no_more(store: Any) -> None:
    most = LIMITS["kFactsPerOrigin"]
    records = [consent(IDS, f"c{at % 3}", "opted_in", time_ms=T - at) for at in range(most)]
    if not hasattr(store, "memory"):
        records = records[:1]  # the model would take an hour
    else:
        assert store.append(records, now_ms=T).accepted == most
        (reject,) = store.append([consent(IDS, "c0", "pending", time_ms=T + 1)], now_ms=T).rejects
        assert (reject.code, reject.path) == ("fact.too_many", "")
    assert store.append([records[0], device(IDS, "d"), consent(OTHER, "c0", "pending")], now_ms=T).accepted == 3


@pytest.mark.parametrize(
    ("clause", "path"),
    [
        ({"device": "ios"}, "where.device"),
        ({"device": [{"property": "size", "op": "eq", "value": 1}]}, "where.device[0].property"),
        ({"device": [{"property": "platform", "op": "is", "value": 1}]}, "where.device[0].op"),
        ({"device": [{"property": "platform", "op": "eq"}]}, "where.device[0].value"),
        ({"consent": ""}, "where.consent"),
        ({"consent": "email"}, "where.op"),
        ({"consent": "email", "op": "eq"}, "where.value"),
        ({"consent": "email", "topic": 5, "op": "exists"}, "where.topic"),
        ({"consent": "email", "device": [], "op": "exists"}, "where.consent"),
        ({"group": 5}, "where.group"),
        ({"group": "company", "where": {}}, "where.where"),
        ({"group": "company", "where": [{"property": "$id"}]}, "where.where[0].op"),
        ({"list": None}, "where.list"),
        ({"list": ["vip"]}, "where.list"),
        ({"list": "vip", "where": []}, "where.where"),
        ({"suppressed": 1}, "where.suppressed"),
    ],
)
def test_a_bad_clause_is_a_bad_query_with_its_path(store: Any, clause: Any, path: str) -> None:
    with pytest.raises(BadQuery) as caught:
        store.query({"kind": "profiles", "where": clause}, now_ms=T)
    assert caught.value.code in ("query.invalid", "query.field.unknown")
    assert caught.value.path == path
