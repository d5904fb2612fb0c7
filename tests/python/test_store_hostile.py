"""The store's own doors under anything at all: an answer, or an error of ours that says where; never another exception,
and what was refused leaves no trace."""

import copy
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdpstore.errors import BadFrame, BadQuery, CDPError, InvalidRequest
from cdpstore.model import event
from cdpstore.store import Store
from cdpstore.testing import ModelStore, strategies
from cdpstore.testing.strategies import END_MS

LONG = 20
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
AT_LENGTH = settings(SETTINGS, max_examples=150 * LONG)
GOOD = [event("Viewed", ids={"user_id": f"good{i}"}, properties={"price": i}, time_ms=END_MS - i) for i in range(3)]

WORDS = """
kind where range zone week_start now_ms as_of_ms breakdown limit start_ms end_ms last property trait event op value
ignore_case and or not did did_not window count sum mean min max distinct measures interval order steps same_time start
return population criterion periods after ids profile events names newest_first trend funnel retention profiles hour day
week month quarter year days total unique eq ne in not_in lt le gt ge between contains starts ends exists not_exists
not_contains regex not_regex any all none size before after on within next anniversary days_before leap_day mar_1
missing version_lt version_eq ( (a+)+$ [ \\d{2,1} 2026-02-30 1.10-rc.1 transitions name table Europe/Vienna
until since calendar at hours weekdays days_of_month months 09:30 first_time last_time older_than newer_than before
first last distinct_days include_zero zero skip event matching not_followed_by by sequence gaps without hold stopped for
restarted gap regularly every times predominantly share property values
in_order later counts first_in_range first_ever on UTC monday 30d 500ms 0d 99999999999w price user_id
"""
SPEC_WORDS = st.sampled_from(WORDS.split())
ODD_NUMBERS = (
    st.sampled_from(
        [0, 1, -1, 2**31, -(2**31), 2**32, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**70), 0.0, -0.0]
    )
    | st.floats()
    | st.integers()
)
SCALARS = (
    st.none()
    | st.booleans()
    | ODD_NUMBERS
    | SPEC_WORDS
    | st.text(max_size=8)
    | st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3)
    | st.binary(max_size=8)
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.datetimes()
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(SPEC_WORDS | st.text(max_size=4) | st.integers(), inner, max_size=6)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)
OBJECTS = ANYTHING | st.sampled_from([object(), 1j, {1, 2}, range(3), Ellipsis, int, b"", "", (), [], {}, [[]], [[[]]]])


def checked(call: Any) -> Any:
    """The answer, or the error when it is one of ours and complete."""
    try:
        return call()
    except CDPError as error:
        refused = error
    assert refused.code
    assert refused.message
    assert isinstance(refused.path, str)
    return refused


@pytest.fixture(scope="module")
def store() -> Any:
    with Store.open(background=False) as opened:
        opened.append(GOOD, now_ms=END_MS)
        yield opened


def appended(batch: Any) -> None:
    """Into a store of its own: refused whole it leaves no trace, and good records behind bad ones are kept."""
    with Store.open(background=False) as store:
        store.append(GOOD, now_ms=END_MS)
        before, watermark = store.digest(), store.watermark
        outcome = checked(lambda: store.append(batch, now_ms=END_MS))
        if isinstance(outcome, CDPError):
            assert (store.digest(), store.watermark) == (before, watermark)
        else:
            for reject in outcome.rejects:
                assert reject.code
            indexes = [reject.index for reject in outcome.rejects]
            assert indexes == sorted(set(indexes))
            if outcome.accepted == 0 and outcome.sequence == watermark:
                assert store.digest() == before
        assert store.append([event("Viewed", ids={"user_id": "after"}, time_ms=END_MS)], now_ms=END_MS).accepted == 1
        total = store.query({"kind": "trend", "event": "Viewed", "interval": None}, now_ms=END_MS).rows()
        assert total[0][0] >= len(GOOD) + 1


@SETTINGS
@given(st.binary(max_size=300))
def test_any_bytes_are_a_batch_or_an_error(batch: bytes) -> None:
    appended(batch)


@SETTINGS
@given(strategies.histories(hostile=True, max_batches=1), st.data())
def test_a_batch_with_bytes_changed_is_a_batch_or_an_error(history: Any, data: st.DataObject) -> None:
    appended(mutated(history[0].packed(), data))


def mutated(packed: bytes, data: st.DataObject) -> bytes:
    """A few bytes changed, taken out, put in, repeated."""
    out = bytearray(packed)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(out) - 1, 0)))
        how = data.draw(st.sampled_from(["set", "cut", "insert", "repeat", "end"]))
        if how == "set" and out:
            out[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del out[at : at + data.draw(st.integers(1, 8))]
        elif how == "insert":
            out[at:at] = data.draw(st.binary(min_size=1, max_size=6))
        elif how == "repeat":
            out[at:at] = out[max(at - 8, 0) : at]
        else:
            del out[at:]
    return bytes(out)


@SETTINGS
@given(st.lists(OBJECTS | strategies.hostile_records() | st.sampled_from(GOOD), max_size=6))
def test_any_objects_are_records_or_rejects_and_the_good_ones_are_kept(batch: list[Any]) -> None:
    appended(batch)
    good = [event("Kept", ids={"user_id": f"k{i}"}, time_ms=END_MS) for i in range(3)]
    mixed = [*batch[:2], good[0], *batch[2:4], good[1], *batch[4:], good[2]]
    with Store.open(background=False) as store:
        outcome = store.append(mixed, now_ms=END_MS)
        assert outcome is not None
        at = {index for index, record in enumerate(mixed) if any(record is each for each in good)}
        assert not at & {reject.index for reject in outcome.rejects}
        kept = store.query({"kind": "trend", "event": "Kept", "interval": None}, now_ms=END_MS)
        assert kept.rows() == [(3,)]


@SETTINGS
@given(OBJECTS)
def test_any_object_is_a_batch_or_an_error(batch: Any) -> None:
    appended(batch)


@SETTINGS
@given(OBJECTS | st.dictionaries(SPEC_WORDS, ANYTHING, max_size=8))
def test_any_spec_is_answered_or_refused(store: Store, spec: Any) -> None:
    checked(lambda: store.query(spec, now_ms=END_MS))
    checked(lambda: store.define("watch", "w", spec, now_ms=END_MS))
    checked(lambda: store.define("campaign", "c", spec, now_ms=END_MS))
    checked(lambda: store.profile(spec, now_ms=END_MS) if isinstance(spec, dict | int) else None)
    checked(lambda: store.profile(1, events=spec, now_ms=END_MS) if isinstance(spec, dict) else None)
    assert all(isinstance(body, dict) for _, _, body in store.definitions())


@SETTINGS
@given(st.binary(max_size=120))
def test_any_bytes_are_a_spec_or_refused(store: Store, spec: bytes) -> None:
    assert isinstance(checked(lambda: store.query(spec, now_ms=END_MS)), CDPError)
    checked(lambda: store.submit_define("campaign", "raw", spec, now_ms=END_MS))
    store.flush()
    assert all(isinstance(body, dict) for _, _, body in store.definitions())


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every node of a spec."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def changed(spec: dict[str, Any], data: st.DataObject) -> Any:
    """The spec with a node replaced, taken away, renamed or doubled."""
    spec = copy.deepcopy(spec)
    for _ in range(data.draw(st.integers(1, 3))):
        nodes = places(spec)[1:]
        if not nodes:  # nothing is left of it
            break
        *way, last = data.draw(st.sampled_from(nodes))
        parent = spec
        for step in way:
            parent = parent[step]
        how = data.draw(st.sampled_from(["replace", "remove", "rename", "double", "nest"]))
        if how == "replace":
            parent[last] = data.draw(ANYTHING)
        elif how == "remove":
            del parent[last]
        elif how == "rename" and isinstance(parent, dict):
            parent[data.draw(SPEC_WORDS)] = parent.pop(last)
        elif how == "double" and isinstance(parent, list):
            parent.append(parent[last])
        else:
            parent[last] = [parent[last]]
    return spec


def asked_after_changes(store: Store, spec: dict[str, Any], data: st.DataObject) -> None:
    digest = store.digest()
    other = changed(spec, data)
    checked(lambda: store.query(other, now_ms=END_MS))
    if isinstance(other, dict) and isinstance(other.get("where"), dict):
        with Store.open(background=False) as fresh:
            checked(lambda: fresh.watch("w", other["where"], now_ms=END_MS))
    packed = mutated(msgpack.packb(spec, datetime=True), data)
    checked(lambda: store.query(packed, now_ms=END_MS))
    assert store.digest() == digest


@SETTINGS
@given(strategies.queries(), st.data())
def test_a_good_spec_changed_is_answered_or_refused(store: Store, spec: dict[str, Any], data: st.DataObject) -> None:
    asked_after_changes(store, spec, data)


@SETTINGS
@given(strategies.profile_queries(), st.data())
def test_a_profile_question_changed_is_answered_or_refused(
    store: Store, question: dict[str, Any], data: st.DataObject
) -> None:
    spec = {"kind": "profile", **{key: value for key, value in question.items() if value is not None}}
    other = changed(spec, data)
    ids, events = other.get("ids"), other.get("events")
    if isinstance(ids, dict | int) and isinstance(events, dict | None):
        checked(lambda: store.profile(ids, events=events, now_ms=END_MS))
    checked(lambda: store.query(other, now_ms=END_MS))


@pytest.mark.long
@pytest.mark.timeout(3600)
@AT_LENGTH
@given(st.lists(OBJECTS | strategies.hostile_records(), max_size=6), strategies.queries(), st.data())
def test_everything_hostile_at_length(
    store: Store, batch: list[Any], spec: dict[str, Any], data: st.DataObject
) -> None:
    appended(batch)
    asked_after_changes(store, spec, data)


@pytest.mark.parametrize("now_ms", [2**62, -(2**62), 2**70, 1 << 55, "1", 1.5, END_MS * 1000])
def test_an_instant_out_of_this_world_is_refused(store: Store, now_ms: Any) -> None:
    digest = store.digest()
    for call in (
        lambda: store.append(GOOD, now_ms=now_ms),
        lambda: store.query({"kind": "trend", "event": "Viewed"}, now_ms=now_ms),
        lambda: store.profile({"user_id": "good1"}, now_ms=now_ms),
        lambda: store.tick(now_ms),
        lambda: store.watch("w", {"did": "Viewed"}, now_ms=now_ms),
    ):
        with pytest.raises(InvalidRequest) as caught:
            call()
        assert caught.value.path == "now_ms"
    assert store.digest() == digest


@pytest.mark.parametrize("spec", [None, 5, "trend", [], b"", [["kind", "trend"]], object()])
def test_a_spec_that_is_no_map_is_a_bad_query(store: Store, spec: Any) -> None:
    with pytest.raises(BadQuery):
        store.query(spec, now_ms=END_MS)


TWO_OF_ONE_NAME = {
    "measures": {"kind": "trend", "event": "Viewed", "measures": ["total", "unique", "total"]},
    "breakdown": {"kind": "trend", "event": "Viewed", "breakdown": [{"property": "price"}, {"trait": "price"}]},
}


@pytest.mark.parametrize("path", TWO_OF_ONE_NAME)
@pytest.mark.parametrize("open_store", [Store.open, ModelStore.open])
def test_an_answer_with_two_columns_of_one_name_is_refused(path: str, open_store: Any) -> None:
    store = open_store()
    store.append(GOOD, now_ms=END_MS)
    with pytest.raises(BadQuery) as caught:
        store.query(TWO_OF_ONE_NAME[path], now_ms=END_MS)
    assert (caught.value.code, caught.value.path) == ("query.invalid", path)
    store.close()


@pytest.mark.parametrize("batch", [None, 5, "text", {}, {"type": "event"}, {1}, iter([]), object()])
def test_what_is_no_list_of_records_is_a_bad_frame(store: Store, batch: Any) -> None:
    with pytest.raises(BadFrame):
        store.append(batch, now_ms=END_MS)


BAD_DEFINITIONS = {
    "a list": ("campaign", "c", [1], "body"),
    "a text": ("campaign", "c", "text", "body"),
    "a number": ("campaign", "c", 5, "body"),
    "keys that are numbers": ("campaign", "c", {1: 2}, "body"),
    "keys that are numbers, deep": ("campaign", "c", {"a": [{"b": {3: 4}}]}, "body"),
    "bytes": ("campaign", "c", {"a": b"\x00"}, "body"),
    "an object": ("campaign", "c", {"a": object()}, "body"),
    "too large an integer": ("campaign", "c", {"a": 2**64}, "body"),
    "not a number": ("campaign", "c", {"a": float("nan")}, "body"),
    "half a letter": ("campaign", "c", {"a": "\ud800"}, "body"),
    "too much": ("campaign", "c", {"a": "x" * 70_000}, "body"),
    "no kind": ("", "c", {}, "kind"),
    "a kind with blanks": ("my kind", "c", {}, "kind"),
    "a kind in capitals": ("Watch", "c", {"did": "A"}, "kind"),
    "too long a kind": ("k" * 33, "c", {}, "kind"),
    "a kind that is none": (5, "c", {}, "kind"),
    "no name": ("campaign", "", {}, "name"),
    "too long a name": ("campaign", "n" * 257, {}, "name"),
    "half a letter as name": ("campaign", "\udc00", {}, "name"),
    "a name that is none": ("campaign", None, {}, "name"),
}


@pytest.mark.parametrize("what", BAD_DEFINITIONS)
def test_a_bad_definition_is_refused_before_it_enters_the_log(what: str) -> None:
    kind, name, body, path = BAD_DEFINITIONS[what]
    with Store.open(background=False) as store:
        store.define("campaign", "good", {"at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "n": [1, None]})
        digest, watermark = store.digest(), store.watermark
        with pytest.raises(CDPError) as caught:
            store.define(kind, name, body)  # type: ignore[arg-type]
        assert caught.value.code == "definition.invalid"
        assert caught.value.path == path
        assert (store.digest(), store.watermark) == (digest, watermark)
        good = {"at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "n": [1, None]}
        assert store.definitions() == [("campaign", "good", good)]


def test_a_bad_predicate_is_refused_with_its_path() -> None:
    with Store.open(background=False) as store:
        with pytest.raises(BadQuery) as caught:
            store.watch("w", {"and": [{"did": "A"}, {"did": "A", "cuont": 1}]})
        assert (caught.value.code, caught.value.path) == ("query.field.unknown", "and[1].cuont")
        assert store.definitions() == []


_FULL_DISK = """
import json, resource, sys
from cdpstore.errors import Unavailable
from cdpstore.model import event
from cdpstore.store import Store

path, limit = sys.argv[1], int(sys.argv[2])
store = Store.open(path)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
kept, refused = 0, 0
for number in range(200):
    each = [f"{number}-{i}" for i in range(200)]
    batch = [event("Viewed", ids={"user_id": name}, properties={"text": name * 20}) for name in each]
    try:
        kept += store.append(batch).accepted
    except Unavailable as error:
        assert error.code == "log.space", error
        refused += 1
        if refused == 5:
            break
total = store.query({"kind": "trend", "event": "Viewed", "interval": None}).rows()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
kept_after = store.append([event("Viewed", ids={"user_id": "later"})] * 3).accepted
store.close()
print(json.dumps([kept, refused, total, kept_after]))
"""


def test_a_full_disk_refuses_batches_and_ends_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path / "store"), str(3 << 20)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    kept, refused, total, kept_after = json.loads(done.stdout)
    assert refused == 5
    assert kept > 0
    assert total == [[kept]]
    assert kept_after == 3
    with Store.open(tmp_path / "store") as store:
        assert store.stats().events == kept + 3
