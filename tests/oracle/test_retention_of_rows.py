"""How long events stay: to the millisecond and for everybody, whatever the rules were before, however rows lie, and
whether they have been dropped yet or not."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, InvalidRequest
from cdpstore.model import event
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from cdpstore.testing.strategies import DAY_MS, NAMES, SYSTEM_NAME
from tests.oracle.scale import LONG, examples
from tests.oracle.test_export import exported, rows_key
from tests.oracle.test_shards import in_memory
from tests.oracle.twins import CARE, Twins, outcome

pytestmark = pytest.mark.timeout(900)  # as in test_store_equals_model

T = 1_700_000_000_000
HOUR_MS = 3_600_000
WINDOWS = ("1d", "7d", "28d", 28 * DAY_MS + 1, "60d", "100d", "4w", 1, "365d")
USER = {"user_id": "u1"}


def retention_rules() -> st.SearchStrategy[dict[str, Any] | None]:
    names = st.sampled_from([*NAMES, SYSTEM_NAME, "*", "*", "Never Seen"])
    return st.none() | st.dictionaries(names, st.sampled_from(WINDOWS), max_size=4)


changes = st.lists(st.tuples(st.booleans(), retention_rules()), min_size=6, max_size=6)
cares = st.lists(st.sampled_from(CARE), min_size=6, max_size=6)
when = st.sampled_from([0, 0, 1, -DAY_MS, 3 * DAY_MS, 40 * DAY_MS, -400 * DAY_MS])


def filled(history: Sequence[Any], care: Sequence[str], rules: Sequence[tuple[bool, Any]]) -> Twins:
    twins = Twins()
    for batch, what, (changes_now, rule) in zip(history, care, rules, strict=False):
        twins.append(batch)
        if changes_now:
            for store in (twins.real, twins.model):
                store.set_retention(rule, now_ms=twins.now_ms)
        twins.care(what)
    return twins


def _ask_after(wait_ms: int, history: Any, care: Any, rules: Any, questions: Any) -> None:
    with filled(history, care, rules) as twins:
        for question in questions:
            twins.ask(question, now_ms=twins.now_ms + wait_ms)


@examples(60)
@given(strategies.histories(), cares, changes, st.lists(strategies.queries(), min_size=1, max_size=5), when)
def test_every_answer_is_without_the_rows_that_are_past(
    history: Any, care: Any, rules: Any, questions: Any, wait_ms: int
) -> None:
    _ask_after(wait_ms, history, care, rules, questions)


@examples(30)
@given(strategies.histories(), cares, changes, st.lists(strategies.profile_queries(), min_size=1, max_size=4))
def test_profiles_are_without_them(history: Any, care: Any, rules: Any, questions: Any) -> None:
    twins = filled(history, care, rules)
    try:
        for question in questions:
            twins.ask_profile(**question)
    finally:
        twins.close()


@examples(30)
@given(strategies.histories(), cares, changes, strategies.exports(), when)
def test_exports_are_without_them(history: Any, care: Any, rules: Any, spec: Any, wait_ms: int) -> None:
    twins = filled(history, care, rules)
    try:
        now_ms = twins.now_ms + wait_ms
        is_of_profiles = spec["export"] == "profiles"
        expected = _told(lambda: rows_key(twins.model.export(spec, now_ms=now_ms), is_of_profiles))
        assert _told(lambda: rows_key(exported(twins.real, spec, now_ms), is_of_profiles)) == expected
    finally:
        twins.close()


def _told(ask: Any) -> Any:
    try:
        return ask()
    except BadQuery as error:
        return error.code, error.path


@examples(30)
@given(
    strategies.histories(),
    st.tuples(cares, cares),
    changes,
    st.lists(strategies.queries(), min_size=1, max_size=3),
    when,
)
def test_no_answer_and_no_digest_tells_what_was_dropped(
    history: Any, care: Any, rules: Any, questions: Any, wait_ms: int
) -> None:
    stores = [in_memory(1), in_memory(4)]
    try:
        for number, batch in enumerate(history):
            for store, own in zip(stores, care, strict=True):
                store.append(batch.records, now_ms=batch.received_ms, system=batch.system)
                if rules[number][0]:
                    store.set_retention(rules[number][1], now_ms=batch.received_ms)
                if own[number] != "nothing":
                    getattr(store, own[number])()
        stores[1].compact()
        now_ms = history[-1].received_ms
        assert stores[0].digest() == stores[1].digest()
        for question in questions:
            told = [outcome(lambda of=store: of.query(question, now_ms=now_ms + wait_ms)) for store in stores]  # noqa: B023
            assert told[0] == told[1]
    finally:
        for store in stores:
            store.close()


@examples(25)
@given(
    strategies.histories(max_batches=4),
    changes,
    cares,
    st.lists(strategies.predicates(4), min_size=1, max_size=3),
)
def test_members_of_live_segments_leave_with_their_rows(history: Any, rules: Any, care: Any, predicates: Any) -> None:
    with Store.open(background=False) as store:
        for number, predicate in enumerate(predicates):
            store.watch(f"s{number}", predicate, now_ms=history[0].received_ms)
        for batch, what, (changes_now, rule) in zip(history, care, rules, strict=False):
            store.append(batch.records, now_ms=batch.received_ms, system=batch.system)
            if changes_now:
                store.set_retention(rule, now_ms=batch.received_ms)
            if what != "nothing":
                getattr(store, what)()
            times = {record["time_ms"] for record in batch.records if isinstance(record.get("time_ms"), int)}
            turns = {time_ms + days * DAY_MS + step for time_ms in times for days in (7, 28, 60) for step in (-1, 0, 1)}
            for now_ms in sorted({batch.received_ms, *turns})[-12:]:
                if now_ms < batch.received_ms or now_ms > batch.received_ms + 60 * DAY_MS:
                    continue
                store.tick(now_ms)
                _agree(store, predicates, max(now_ms, store.engine_ms))


def _agree(store: Store, predicates: list[Any], now_ms: int) -> None:
    for number, predicate in enumerate(predicates):
        fresh = store.query({"kind": "profiles", "where": predicate}, now_ms=now_ms)
        assert [int(each) for each in store.members(f"s{number}")] == [row[0] for row in fresh.rows()], predicate


@pytest.mark.long
@pytest.mark.timeout(7_200)
@examples(60 * LONG)
@given(strategies.histories(), cares, changes, st.lists(strategies.queries(), min_size=1, max_size=5), when)
def test_very_many(history: Any, care: Any, rules: Any, questions: Any, wait_ms: int) -> None:
    _ask_after(wait_ms, history, care, rules, questions)


# ---- stories


@pytest.fixture(name="store", params=["store", "model"])
def _store(request: pytest.FixtureRequest) -> Iterator[Any]:
    store: Any = Store.open(background=False) if request.param == "store" else ModelStore.open()
    yield store
    store.close()


def _seen(store: Any, now_ms: int, name: str = "Seen") -> int:
    rows = store.query({"kind": "trend", "event": name}, now_ms=now_ms).rows()
    return rows[0][0] if rows else 0


def test_a_row_is_there_until_exactly_its_time_plus_the_window(store: Any) -> None:
    store.append([event("Seen", ids=USER, time_ms=T)], now_ms=T)
    store.set_retention({"Seen": "7d"}, now_ms=T)
    assert _seen(store, T + 7 * DAY_MS - 1) == 1
    assert _seen(store, T + 7 * DAY_MS) == 0


def test_a_name_of_its_own_goes_before_all_others(store: Any) -> None:
    for name in ("Seen", "Charged"):
        store.append([event(name, ids=USER, time_ms=T)], now_ms=T)
    store.set_retention({"Charged": "100d", "*": "10d"}, now_ms=T)
    later = T + 50 * DAY_MS
    assert (_seen(store, later), _seen(store, later, "Charged")) == (0, 1)


def test_what_was_past_once_never_comes_back(store: Any) -> None:
    store.append(
        [event("Seen", ids=USER, time_ms=T), event("Seen", ids=USER, time_ms=T + 8 * DAY_MS)], now_ms=T + 9 * DAY_MS
    )
    store.set_retention({"*": "5d"}, now_ms=T + 9 * DAY_MS)
    store.set_retention({"*": "365d"}, now_ms=T + 9 * DAY_MS)
    assert _seen(store, T + 9 * DAY_MS) == 1
    store.set_retention(None, now_ms=T + 20 * DAY_MS)
    assert _seen(store, T + 20 * DAY_MS) == 1
    store.append([event("Seen", ids=USER, time_ms=T + 1)], now_ms=T + 20 * DAY_MS)  # arrives late, and is past
    assert _seen(store, T + 20 * DAY_MS) == 1


def test_an_instant_in_the_past_sees_no_more_than_engine_time_does(store: Any) -> None:
    store.append([event("Seen", ids=USER, time_ms=T)], now_ms=T)
    store.set_retention({"*": "5d"}, now_ms=T)
    store.append([event("Charged", ids=USER)], now_ms=T + 5 * DAY_MS)
    assert _seen(store, T + DAY_MS) == 0


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"Seen": 0}, "body.Seen"),
        ({"Seen": -1}, "body.Seen"),
        ({"Seen": "soon"}, "body.Seen"),
        ({"Seen": 1.5}, "body.Seen"),
        ({"Seen": None}, "body.Seen"),
        ({"Seen": True}, "body.Seen"),
        ({"Seen": "40000d"}, "body.Seen"),
        ({"*": {"days": 1}}, "body.*"),
        ({"": "1d"}, "body"),
    ],
)
def test_what_is_no_duration_is_refused_with_its_path(store: Any, rules: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.set_retention(rules, now_ms=T)
    assert (caught.value.code, caught.value.path) == ("definition.invalid", path)


def test_rules_have_one_name() -> None:
    with Store.open() as store, pytest.raises(InvalidRequest) as caught:
        store.define("retention", "mine", {"*": "1d"})
    assert (caught.value.code, caught.value.path) == ("definition.invalid", "name")


def test_the_answer_says_since_when_rows_are_kept() -> None:
    with Store.open(background=False) as store:
        for day in range(10):
            store.append([event("Seen", ids=USER), event("Charged", ids=USER)], now_ms=T + day * DAY_MS)
        store.set_retention({"Seen": "3d"})
        now_ms = max(store.engine_ms, T + 9 * DAY_MS)

        def notes(name: str, start_ms: int) -> Any:
            spec = {"kind": "trend", "event": name, "range": {"start_ms": start_ms, "end_ms": now_ms}}
            return store.query(spec, now_ms=now_ms).notes.get("retained_since_ms")

        assert notes("Seen", T) == now_ms - 3 * DAY_MS + 1
        assert notes("Seen", now_ms - 3 * DAY_MS + 1) is None
        assert notes("Charged", T) is None


@pytest.mark.parametrize(
    ("spec", "is_refused"),
    [
        ({"kind": "trend", "event": "Seen"}, True),
        ({"kind": "trend", "event": ["Charged", "Seen"]}, True),
        ({"kind": "trend", "event": {"event": None}}, True),
        ({"kind": "trend", "event": "Charged"}, False),
        ({"kind": "trend", "event": "Charged", "where": {"not": {"did": "Seen"}}}, True),
        ({"kind": "trend", "event": "Charged", "breakdown": [{"segments": [{"where": {"did": "Seen"}}]}]}, True),
        ({"kind": "funnel", "steps": ["Charged", "Charged"]}, False),
        ({"kind": "funnel", "steps": ["Charged", "Charged"], "order": "strict_all"}, True),
        ({"kind": "retention", "start": "Charged", "return": "Seen", "interval": "day"}, True),
        ({"kind": "profiles", "where": {"sequence": ["Charged", "Seen"]}}, True),
        ({"kind": "profiles", "where": {"trait": "plan", "op": "eq", "value": "pro"}}, False),
        ({"kind": "profiles", "where": {"did": "Never told of"}}, False),
    ],
)
def test_what_was_valid_before_rows_of_an_event_are_kept_cannot_be_asked(
    spec: dict[str, Any], is_refused: bool
) -> None:
    with Store.open(background=False) as store:
        model = ModelStore.open()
        for each in (store, model):
            for day in range(10):
                each.append([event("Seen", ids=USER), event("Charged", ids=USER)], now_ms=T + day * DAY_MS)
            each.set_retention({"Seen": "3d"}, now_ms=T + 9 * DAY_MS)
        gone_ms = T + 6 * DAY_MS
        for each in (store, model):
            if is_refused:
                with pytest.raises(BadQuery) as caught:
                    each.query({**spec, "as_of_ms": gone_ms}, now_ms=T + 9 * DAY_MS)
                assert (caught.value.code, caught.value.path) == ("query.invalid", "as_of_ms")
                assert "Seen" in str(caught.value)
            else:
                each.query({**spec, "as_of_ms": gone_ms}, now_ms=T + 9 * DAY_MS)
            each.query({**spec, "as_of_ms": gone_ms + 1}, now_ms=T + 9 * DAY_MS)


def test_a_timeline_of_before_its_rows_are_kept_is_refused() -> None:
    with Store.open(background=False) as store:
        model = ModelStore.open()
        for each in (store, model):
            each.append([event("Seen", ids=USER), event("Charged", ids=USER)], now_ms=T)
            each.set_retention({"Seen": "3d"}, now_ms=T + 9 * DAY_MS)
            for events in (None, {}, {"names": ["Seen"]}):
                with pytest.raises(BadQuery) as caught:
                    each.profile(USER, events=events, as_of_ms=T + DAY_MS)
                assert (caught.value.code, caught.value.path) == ("query.invalid", "as_of_ms")
            assert len(each.profile(USER, events={"names": ["Charged"]}, as_of_ms=T + DAY_MS).events) == 1
            assert each.profile(USER, events={"limit": 0}, as_of_ms=T + DAY_MS).events == ()


def test_rows_past_retention_are_dropped_by_merges_and_stay_dropped(tmp_path: Path) -> None:
    def held(store: Store) -> int:
        parts = store.memory()
        return parts["rows"]["count"] + parts["tail"]["count"]

    with Store.open(tmp_path / "store", background=False) as store:
        for day in range(100):
            records = [event(name, ids={"user_id": f"u{n}"}) for n in range(20) for name in ("Seen", "Charged")]
            store.append(records, now_ms=T + day * DAY_MS)
        store.seal()
        store.set_retention({"Seen": "10d", "*": "50d"}, now_ms=T + 99 * DAY_MS)
        assert held(store) == 4_000
        before = store.digest()
        store.compact()
        assert held(store) == 20 * 10 + 20 * 50
        assert store.digest() == before
    with Store.open(tmp_path / "store", background=False, shards=4) as store:
        assert store.digest() == before
        store.compact()
        assert held(store) == 20 * 10 + 20 * 50
        assert (_seen(store, T + 99 * DAY_MS), _seen(store, T + 99 * DAY_MS, "Charged")) == (200, 1_000)


def test_rows_are_dropped_behind_ingest_without_being_asked() -> None:
    with Store.open() as store:
        store.set_retention({"*": "2d"}, now_ms=T)
        for day in range(40):
            store.append([event("Seen", ids={"user_id": f"u{n}"}) for n in range(2_000)], now_ms=T + day * DAY_MS)
        store.seal()
        for _ in range(600):
            if store.memory()["rows"]["count"] <= 4_000 / 0.97:
                break
            store.tick(T + 39 * DAY_MS)
            time.sleep(0.05)
        assert store.memory()["rows"]["count"] <= 4_000 / 0.97
        assert _seen(store, T + 39 * DAY_MS) == 4_000
