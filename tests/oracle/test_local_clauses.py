"""Clauses on one profile apart from its facts and events: identities, times, buckets, places, histories, operands,
items, and the names of other segments."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery
from cdpstore.model import milliseconds_of
from cdpstore.query import did, in_segment, item, near, trait, trait_value
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from cdpstore.testing.local_clauses import bucket_of
from cdpstore.testing.strategies import DAY_MS, END_MS
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, Twins

NAMES = ("s0", "s1", "s2")


@examples(40)
@given(
    strategies.histories(),
    st.lists(st.sampled_from(CARE), min_size=6, max_size=6),
    st.lists(st.tuples(strategies.local_clauses(), st.sampled_from(strategies.ZONES)), min_size=1, max_size=20),
    st.sampled_from([0, DAY_MS, -30 * DAY_MS]),
)
def test_clauses_on_a_profile_are_true_as_defined(history: Any, care: Any, asked: Any, wait_ms: int) -> None:
    twins = Twins.of(history, care)
    try:
        for where, zone in asked:
            twins.ask({"kind": "profiles", "where": where, "zone": zone}, now_ms=twins.now_ms + wait_ms)
    finally:
        twins.close()


@examples(25)
@given(strategies.histories(max_batches=3), st.lists(strategies.predicates(3), min_size=3, max_size=3))
def test_a_segment_is_what_its_name_stands_for(history: Any, predicates: Any) -> None:
    twins = Twins.of(history, ["nothing"] * 6)
    try:
        for name, before, predicate in zip(NAMES, (None, *NAMES), predicates, strict=False):
            body = predicate if before is None else {"or": [{"and": [{"segment": before}, predicate]}, predicate]}
            twins.real.watch(name, body, now_ms=twins.now_ms)
            twins.model.watch(name, body)
        for name in NAMES:
            question = {"kind": "profiles", "where": {"not": {"segment": name}}, "zone": "Pacific/Kiritimati"}
            twins.ask(question)
            within = {"kind": "profiles", "where": {"segment": name}}
            found = [row[0] for row in twins.real.query(within, now_ms=twins.now_ms).rows()]
            assert [int(each) for each in twins.real.members(name)] == found
    finally:
        twins.close()


def _ids(store: Any, where: Any, now_ms: int = END_MS) -> list[int]:
    spec = where if isinstance(where, dict) else where.spec()
    return [row[0] for row in store.query({"kind": "profiles", "where": spec}, now_ms=now_ms).rows()]


@pytest.fixture(name="names")
def _names() -> Any:
    with Store.open(background=False) as store:
        for number, plan in enumerate(("pro", "trial")):
            store.set_traits({"user_id": f"u{number}"}, {"plan": plan}, now_ms=END_MS)
        yield store


def _refused(store: Store, ask: Any) -> tuple[str, str]:
    with pytest.raises(BadQuery) as caught:
        ask(store)
    return caught.value.code, caught.value.path


def test_names_that_are_not_there_and_cycles_are_refused_with_their_place(names: Store) -> None:
    unknown = {"and": [trait("plan").eq("pro").spec(), {"not": {"segment": "b"}}]}
    at = "and[1].not.segment"
    assert _refused(names, lambda store: _ids(store, unknown)) == ("query.invalid", f"where.{at}")
    assert _refused(names, lambda store: store.watch("a", unknown, now_ms=END_MS)) == ("query.invalid", at)
    assert _refused(names, lambda store: store.watch("a", {"segment": "a"}, now_ms=END_MS))[1] == "segment"
    names.watch("b", trait("plan").exists().spec(), now_ms=END_MS)
    names.watch("a", unknown, now_ms=END_MS)
    assert _refused(names, lambda store: store.watch("b", in_segment("a").spec(), now_ms=END_MS))[1] == "segment"
    assert _refused(names, lambda store: store.events(where={"segment": "c"}))[1] == "where.segment"


def test_a_live_segment_keeps_what_a_name_meant_when_it_was_defined(names: Store) -> None:
    names.watch("paying", trait("plan").eq("pro").spec(), now_ms=END_MS)
    names.watch("others", {"not": {"segment": "paying"}}, now_ms=END_MS)
    assert [int(each) for each in names.members("others")] == [1]
    names.watch("paying", trait("plan").eq("trial").spec(), now_ms=END_MS)
    assert [int(each) for each in names.members("others")] == [1]
    assert _ids(names, in_segment("paying")) == [1]
    assert _ids(names, in_segment("others")) == [1]
    names.watch("paying", None, now_ms=END_MS)
    assert _refused(names, lambda store: _ids(store, in_segment("paying")))[1] == "where.segment"
    assert _ids(names, in_segment("others")) == [1]


def test_definitions_that_double_are_refused_before_they_are_too_large(names: Store) -> None:
    names.watch("s0", {"or": [trait("plan").eq(number).spec() for number in range(900)]}, now_ms=END_MS)
    twice = [{"segment": "s0"}, {"segment": "s0"}]
    names.watch("s1", {"or": twice * 5}, now_ms=END_MS)
    with pytest.raises(BadQuery, match="10,000"):
        names.watch("s2", {"or": [{"segment": "s1"}] * 2}, now_ms=END_MS)


def test_segments_by_name_are_there_again_after_a_restart(tmp_path: Any) -> None:
    with Store.open(tmp_path, background=False) as store:
        store.set_traits({"user_id": "u0"}, {"plan": "pro"}, now_ms=END_MS)
        store.watch("paying", trait("plan").eq("pro").spec(), now_ms=END_MS)
        store.watch("same", in_segment("paying").spec(), now_ms=END_MS)
        digest = store.digest()
    with Store.open(tmp_path, background=False) as store:
        assert store.digest() == digest
        assert _ids(store, in_segment("same") & in_segment("paying")) == [0]


def test_one_and_the_same_item_meets_all_conditions() -> None:
    carts = [
        [{"sku": 1, "qty": 2}, {"sku": 2, "qty": 1}],
        [{"sku": 1, "qty": 1}, {"sku": 2, "qty": 2}],
        [{f"field{number}": number for number in range(200)}],
        ["sku"],
    ]
    wanted = (item("sku").eq(1), item("qty").ge(2))
    with Store.open(background=False) as store:
        for number, cart in enumerate(carts):
            ids = {"user_id": f"u{number}"}
            store.append(
                [
                    {"type": "traits", "ids": ids, "set": {"cart": cart}},
                    {"type": "event", "name": "Charged", "ids": ids, "properties": {"cart": cart}},
                ],
                now_ms=END_MS,
            )
        assert _ids(store, trait("cart").any_element(*wanted)) == [0]
        assert _ids(store, did("Charged").where("cart").any_element(*wanted)) == [0]
        assert _ids(store, trait("cart").any_element(item("field199").eq(199))) == [2]
        assert _ids(store, did("Charged").where("cart").any_element(item("sku", missing=True).eq(7))) == [2]


def test_a_trait_is_compared_with_a_trait_exactly() -> None:
    pairs = [(2**53 + 1, float(2**53)), (3, 1), (0.3, 0.1), ("b", "a"), (1, None), (True, True), (2**63 - 1, 2**62)]
    with Store.open(background=False) as store:
        for number, (left, right) in enumerate(pairs):
            store.set_traits({"user_id": f"u{number}"}, {"left": left, "right": right}, now_ms=END_MS)
        assert _ids(store, trait("left").gt(trait_value("right"))) == [0, 1, 2, 3, 6]
        assert _ids(store, trait("left").eq(trait_value("right", times=3))) == [1]  # 3 · 0.1 is above 0.3, exactly
        assert _ids(store, trait("left").lt(trait_value("right", times=3))) == [0, 2, 6]
        assert _ids(store, trait("left").ne(trait_value("right"))) == [0, 1, 2, 3, 6]
        assert _ids(store, trait("left").eq(trait_value("right"))) == [5]
        assert _ids(store, trait("left", missing=True).eq(trait_value("never"))) == []


def test_events_are_compared_with_a_trait_of_their_profile() -> None:
    with Store.open(background=False) as store:
        for number, (limit, prices) in enumerate(
            [(10, [9, 2]), (10, [10]), (12.5, [12.5, 1]), ("10", [10]), (None, [1])]
        ):
            ids = {"user_id": f"u{number}"}
            charges = [
                {"type": "event", "name": "Charged", "ids": ids, "properties": {"price": price}} for price in prices
            ]
            store.append([{"type": "traits", "ids": ids, "set": {"limit": limit}}, *charges], now_ms=END_MS)
        limit = trait_value("limit")
        assert _ids(store, did("Charged").sum("price").gt(limit)) == [0, 2]
        assert _ids(store, did("Charged").sum("price").ge(trait_value("limit", times=1.0625))) == [0, 2]
        assert _ids(store, did("Charged").sum("price").ge(trait_value("limit", times=1.1))) == [0]  # 1.1 * 10 is 11
        assert _ids(store, did("Charged").where("price").ge(limit)) == [1, 2]
        assert _ids(store, did("Charged").where("price").lt(limit).count().lt(2)) == [1, 2, 3, 4]
        assert _ids(store, did("Never").count().lt(limit)) == [0, 1, 2]
        assert _ids(store, ~did("Charged").max("price").ne(limit)) == [1, 2, 4]


def test_how_long_a_test_has_held_counts_from_the_operation_that_made_it_so() -> None:
    with Store.open(background=False) as store:
        for name, predicate in (
            ("long", trait("plan").eq("pro").for_at_least("30d")),
            ("new", trait("plan").eq("pro").for_less_than("30d")),
        ):
            store.watch(name, predicate.spec(), now_ms=END_MS)
        for day, plan in ((0, "pro"), (10, "trial"), (20, "pro"), (25, "pro")):
            now_ms = END_MS + day * DAY_MS
            store.append(
                [{"type": "traits", "ids": {"user_id": "u"}, "set": {"plan": plan}, "time_ms": now_ms}], now_ms=now_ms
            )
        turn = END_MS + 50 * DAY_MS
        for now_ms, is_long in ((turn - 1, False), (turn, True)):
            store.tick(now_ms)
            assert [list(store.members(name)) == [0] for name in ("long", "new")] == [is_long, not is_long]


def test_places_lie_within_a_great_circle() -> None:
    vienna, graz = {"lat": 48.2082, "lon": 16.3738}, {"lat": 47.0707, "lon": 15.4395}
    fiji, samoa = {"lat": -18.0, "lon": 179.9}, {"lat": -18.0, "lon": -179.9}
    with Store.open(background=False) as store:
        for number, place in enumerate((vienna, graz, fiji, samoa, {"lat": 91, "lon": 0}, {"lat": "48", "lon": 16})):
            ids = {"user_id": f"u{number}"}
            event = {"type": "event", "name": "Visited", "ids": ids, "properties": {"at": place}}
            store.append([{"type": "traits", "ids": ids, "set": place}, event], now_ms=END_MS)
        assert _ids(store, near(**vienna, meters=100_000)) == [0]
        assert _ids(store, near(**vienna, meters=146_000)) == [0, 1]
        assert _ids(store, near(**fiji, meters=22_000)) == [2, 3]
        visited = did("Visited").near(**vienna, meters=146_000, lat_key="at.lat", lon_key="at.lon")
        assert _ids(store, visited) == [0, 1]


def test_buckets_are_where_they_are_for_ever_and_even() -> None:
    assert [bucket_of(number, "spring") for number in range(4)] == [9156, 6723, 9380, 6396]
    counts = [0] * 10
    for number in range(20_000):
        counts[bucket_of(number, "even") // 1_000] += 1
    assert min(counts) > 1_800


@pytest.mark.parametrize(
    ("clause", "path"),
    [
        ({"identity": "shoe", "op": "exists"}, "identity"),
        ({"profile": "age", "op": "exists"}, "profile"),
        ({"bucket": {}}, "bucket.salt"),
        ({"bucket": {"salt": "a", "to": 10_001}}, "bucket.to"),
        ({"bucket": {"salt": "a", "from": 2, "to": 1}}, "bucket.to"),
        ({"bucket": {"salt": "a" * 257}}, "bucket.salt"),
        ({"geo": {"lat": "a"}, "within": {"lat": 0, "lon": 0, "meters": 1}}, "geo.lon"),
        ({"geo": {"lat": "a", "lon": "b"}}, "within"),
        ({"geo": {"lat": "a", "lon": "b"}, "within": {"lat": 91, "lon": 0, "meters": 1}}, "within.lat"),
        ({"trait": "a", "any_element": []}, "any_element"),
        ({"trait": "a", "any_element": [{"property": "b", "op": "nonsense"}]}, "any_element[0].op"),
        ({"trait": "a", "op": "between", "value": {"trait": "b"}}, "op"),
        ({"trait": "a", "op": "lt", "value": {"trait": "b", "times": "2"}}, "value.times"),
        ({"trait": "a", "op": "lt", "value": {"trait": "b", "plus": 2}}, "value.plus"),
        ({"trait": "a", "op": "exists", "has_been": {}}, "has_been"),
        ({"trait": "a", "op": "exists", "has_been": {"at_least": "1d", "less_than": "2d"}}, "has_been"),
        ({"trait": "a", "op": "within", "value": {"last": "1d"}, "has_been": {"at_least": "1d"}}, "has_been"),
        ({"group": None, "where": [{"property": "a", "op": "eq", "value": {"trait": "b"}}]}, "where[0].value"),
        ({"did": None, "where": [{"property": "a", "op": "in", "value": {"trait": "b"}}]}, "where[0].op"),
        ({"did": None, "count": {"op": "ge", "value": {"trait": "b", "times": None, "by": 1}}}, "count.value.by"),
        ({"device": [{"geo": {"lat": "a", "lon": "b"}, "within": {"lat": 0, "lon": 0, "meters": 1}}]}, "device[0].geo"),
    ],
)
def test_a_clause_that_cannot_be_meant_is_refused(clause: dict[str, Any], path: str) -> None:
    with Store.open(background=False) as store:
        for each in (store, ModelStore.open()):
            with pytest.raises(BadQuery) as caught:
                each.query({"kind": "profiles", "where": clause}, now_ms=END_MS)
            assert caught.value.path == f"where.{path}"


def test_first_and_last_seen_are_those_up_to_now() -> None:
    times = [milliseconds_of(datetime(2026, 3, day, tzinfo=UTC)) for day in (1, 5, 9)]
    with Store.open(background=False) as store:
        for time_ms in times:
            event = {"type": "event", "name": "Viewed", "ids": {"user_id": "u"}, "time_ms": time_ms}
            store.append([event], now_ms=times[0])
        store.watch("seen", {"profile": "last_seen", "op": "within", "value": {"last": "1d"}}, now_ms=times[0])
        for now_ms, is_in in (
            *((times[0], True), (times[0] + DAY_MS, False), (times[1] - 1, False)),
            *((times[1], True), (times[2], True), (times[2] + DAY_MS - 1, True), (times[2] + DAY_MS, False)),
        ):
            store.tick(now_ms)
            assert (list(store.members("seen")) == [0]) is is_in
