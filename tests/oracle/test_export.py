"""Rows out: the same as by definition, in every library that reads Arrow, of one version of the store."""

import gc
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore.errors import BadQuery, CDPError
from cdpstore.model import datetime_of
from cdpstore.query import did, trait
from cdpstore.store import Store
from cdpstore.table import Table
from cdpstore.testing import ModelStore
from cdpstore.testing.strategies import END_MS, Batch, exports, histories
from tests.oracle.scale import examples
from tests.oracle.twins import CARE, cell_key

T = 1_700_000_000_000
DAY_MS = 86_400_000


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with Store.open(background=False) as store:
        yield store


def event(user: str, time_ms: int, name: str = "Charged", **properties: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, "time_ms": time_ms, "ids": {"user_id": user}, "properties": properties}


def read(rows: Any) -> Table:
    """What pyarrow reads, as a table of plain values."""
    table = pa.table(rows)
    columns = [column.to_pylist() for column in table.columns]
    return Table.from_rows(table.column_names, [list(row) for row in zip(*columns, strict=True)])


def _value(cell: Any) -> Any:
    """A cell of either side in a form that compares: JSON lists as lists, instants in them as instants."""
    if isinstance(cell, str) and cell[:1] == "[":
        try:
            cell = json.loads(cell)
        except ValueError:
            return cell
    return _plain(cell)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return "list", [_plain(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"$time"}:
            return "", cell_key(datetime_of(value["$time"]))
        return "map", [(key, _plain(each)) for key, each in value.items()]
    return type(value).__name__ if isinstance(value, bool) else "", cell_key(value)


def rows_key(table: Table, identities: bool) -> Any:
    rows = [[_value(cell) for cell in row] for row in table.rows()]
    if identities:  # two lists of texts: their order means nothing
        for row in rows:
            row[2:4] = [sorted(cell[1]) for cell in row[2:4]]
    return table.names, rows


def exported(store: Store, spec: dict[str, Any], now_ms: int) -> Table:
    fields = dict(spec)
    what = fields.pop("export")
    if what == "events":
        return read(store.events(fields.pop("names", None), **fields, now_ms=now_ms))
    if what in ("facts", "groups"):
        return read(getattr(store, what)(**fields, now_ms=now_ms))
    return read(store.profiles(fields.pop("where", None), **fields, now_ms=now_ms))


def outcome(ask: Any) -> Any:
    try:
        return ask()
    except CDPError as error:
        return type(error).__name__, error.code, error.path


@examples(60)
@given(history=histories(), cares=st.lists(st.sampled_from(CARE), min_size=5, max_size=5), spec=exports())
def test_an_export_is_every_row_by_definition(history: list[Batch], cares: list[str], spec: dict[str, Any]) -> None:
    model = ModelStore.open()
    with Store.open(background=False) as store:
        for batch, care in zip(history, cares, strict=False):
            model.append(batch.records, now_ms=batch.received_ms, system=batch.system)
            store.append(batch.records, now_ms=batch.received_ms, system=batch.system)
            if care != "nothing":
                getattr(store, care)()
        now_ms = history[-1].received_ms
        of_profiles = spec["export"] == "profiles"
        expected = outcome(lambda: rows_key(model.export(spec, now_ms=now_ms), of_profiles))
        assert outcome(lambda: rows_key(exported(store, spec, now_ms), of_profiles)) == expected


def test_every_library_reads_the_same_rows_in_one_line(store: Store) -> None:
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    store.append([event(f"u{n % 7}", T + n, price=n, color=f"c{n % 3}") for n in range(1000)], now_ms=T + DAY_MS)
    rows = store.events("Charged", now_ms=T + DAY_MS)
    in_duckdb = duckdb.sql("select profile_id, price, color from rows order by all").fetchall()
    in_polars = polars.DataFrame(rows).select("profile_id", "price", "color").sort("profile_id", "price").rows()
    in_pandas = pandas.DataFrame.from_arrow(rows)[["profile_id", "price", "color"]]
    in_arrow = pa.table(rows).select(["profile_id", "price", "color"]).to_pylist()
    assert in_duckdb == in_polars
    assert in_duckdb == sorted(in_pandas.itertuples(index=False, name=None))
    assert in_duckdb == sorted(tuple(row.values()) for row in in_arrow)
    assert len(in_duckdb) == 1000


def test_facts_are_rows_in_every_library(store: Store) -> None:
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    store.set_consent({"user_id": "u1"}, "email", "subscribed", source="form", time_ms=T, now_ms=T + 9)
    store.set_consent({"user_id": "u1"}, "email", "pending", topic="news", time_ms=T + 1, now_ms=T + 9)
    store.set_consent({"user_id": "u2"}, "email", "unsubscribed", time_ms=T + 2, now_ms=T + 9)
    consents = store.facts("consent", now_ms=T + DAY_MS)
    expected = [(0, "email", None, "subscribed", "form"), (0, "email", "news", "pending", None)]
    expected.append((1, "email", None, "unsubscribed", None))
    names = ["profile_id", "channel", "topic", "state", "source"]
    assert duckdb.sql(f"select {', '.join(names)} from consents order by all nulls first").fetchall() == expected
    assert polars.DataFrame(consents).select(names).rows() == expected
    in_pandas = pandas.DataFrame.from_arrow(consents)[names].astype(object)
    assert [tuple(None if pandas.isna(cell) else cell for cell in row) for row in in_pandas.values] == expected
    (mine,) = pa.table(
        store.facts("consent", where={"consent": "email", "op": "eq", "value": "unsubscribed"})
    ).to_pylist()
    assert (mine["profile_id"], mine["time"]) == (1, datetime_of(T + 2))


def test_a_fact_has_its_texts_state_and_times(store: Store) -> None:
    ids = {"user_id": "u"}
    store.set_device(ids, "d1", platform="ios", token="t", time_ms=T, now_ms=T + 9)
    store.set_device(ids, "d1", app_version="2", time_ms=T + 2, now_ms=T + 9)
    store.kill_device(ids, "d1", reason="gone", time_ms=T + 5, now_ms=T + 9)
    store.join_group(ids, "company", "acme", role="admin", time_ms=T, now_ms=T + 9)
    store.list_add("vip", [ids], time_ms=T, now_ms=T + 9)
    store.list_remove("vip", [ids], time_ms=T + 3, now_ms=T + 9)
    at = [datetime_of(T + step) for step in range(6)]
    device = pa.table(store.facts("device", now_ms=T + 9)).to_pylist()
    assert [tuple(row.values()) for row in device] == [
        (0, "d1", "dead", at[0], at[5], at[5], "ios", "t", "2", None, "gone"),
    ]
    assert [tuple(row.values()) for row in pa.table(store.facts("device", now_ms=T + 4)).to_pylist()] == [
        (0, "d1", "seen", at[0], at[0], at[2], "ios", "t", "2", None, None),
    ]
    member = pa.table(store.facts("membership", now_ms=T + 9)).to_pylist()
    assert [tuple(row.values()) for row in member] == [(0, "company", "acme", "joined", at[0], at[0], at[0], "admin")]
    listed = pa.table(store.facts("list", now_ms=T + 9)).to_pylist()
    assert [tuple(row.values()) for row in listed] == [(0, "vip", "removed", at[0], at[3], at[3])]
    assert store.facts("suppress").names == ["profile_id", "state", "first_time", "since", "time", "reason"]
    assert pa.table(store.facts("suppress")).num_rows == 0


def test_groups_are_rows_with_their_traits(store: Store) -> None:
    store.join_group({"user_id": "u"}, "company", "acme", now_ms=T)
    store.set_group("company", "globex", {"plan": "pro", "seats": 5}, time_ms=T, now_ms=T + 1)
    store.set_group("family", "f", {"plan": 7}, time_ms=T, now_ms=T + 1)
    rows = pa.table(store.groups("company", now_ms=T + 1)).to_pylist()
    names = ("kind", "id", "plan", "seats")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("company", "acme", None, None),
        ("company", "globex", "pro", 5),
    ]
    assert store.groups(now_ms=T + 1).names == ["kind", "id", "created", "plan:int", "plan:string", "seats"]
    assert pa.table(store.groups("never")).num_rows == 0
    assert pa.table(store.groups(columns=["seats"], now_ms=T + 1))["seats"].to_pylist() == [None, 5, None]


def test_more_facts_than_a_batch_holds_come_in_several(store: Store) -> None:
    for number in range(20):
        store.list_add(f"l{number}", [{"user_id": f"u{n}"} for n in range(5_000)], now_ms=T)
    reader = pa.RecordBatchReader.from_stream(store.facts("list", now_ms=T))
    sizes = [batch.num_rows for batch in reader]
    assert (sum(sizes), max(sizes) <= 65_536, len(sizes) > 1) == (100_000, True, True)
    table = pa.table(store.facts("list", now_ms=T))
    assert table["profile_id"].to_pylist() == sorted(table["profile_id"].to_pylist())


def test_types_are_those_of_the_store(store: Store) -> None:
    moment = datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    values = {
        "b": True,
        "i": -(2**63),
        "f": 0.1,
        "s": "né",
        "d": moment,
        "l": [1, 2.5, "x"],
        "o": [{"a": 1.0}],
        "n": None,
    }
    store.append([event("u1", T, **values)], now_ms=T)
    schema = pa.schema(store.events(now_ms=T))
    assert {field.name: str(field.type) for field in schema} == {
        "profile_id": "uint64",
        "event": "string",
        "time": "timestamp[ms, tz=UTC]",
        "b": "bool",
        "d": "timestamp[ms, tz=UTC]",
        "f": "double",
        "i": "int64",
        "l": "string",
        "n": "null",
        "o": "string",
        "s": "string",
    }
    row = pa.table(store.events(now_ms=T)).to_pylist()[0]
    assert row["d"] == moment
    assert row["i"] == -(2**63)
    assert row["l"] == '[1,2.5,"x"]'
    assert row["o"] == '[{"a":1.0}]'


def test_a_property_of_several_types_is_a_column_a_type(store: Store) -> None:
    batch = [event("u1", T + n, price=price) for n, price in enumerate([1, 2.5, "3", None, True])]
    store.append(batch, now_ms=T + 10)
    table = pa.table(store.events(now_ms=T + 10))
    assert table.column_names[3:] == ["price:bool", "price:int", "price:float", "price:string"]
    assert table["price:int"].to_pylist() == [1, None, None, None, None]
    assert table["price:string"].to_pylist() == [None, None, "3", None, None]
    asked = store.events(
        columns=[{"property": "price", "type": "float", "as": "p"}, {"property": "price", "type": "null"}],
        now_ms=T + 10,
    )
    assert pa.table(asked)["p"].to_pylist() == [None, 2.5, None, None, None]
    assert pa.table(asked)["price:null"].to_pylist() == [False, False, False, True, False]


def test_a_column_that_tells_nulls_apart_is_never_null_itself(store: Store) -> None:
    store.append([event("u1", T, price=None), event("u1", T + 1, size=1), event("u1", T + 2, "Viewed")], now_ms=T + 10)
    store.set_traits({"user_id": "u1"}, {"plan": None}, now_ms=T + 10)
    asked = [{"property": key, "type": "null"} for key in ("price", "size", "never")]
    table = pa.table(store.events(columns=asked, now_ms=T + 10))
    assert table["price:null"].to_pylist() == [True, False, False]
    assert table["size:null"].to_pylist() == table["never:null"].to_pylist() == [False, False, False]
    assert pa.table(store.events("Viewed", columns=asked, now_ms=T + 10))["price:null"].to_pylist() == [False]
    asked = [{"trait": key, "type": "null"} for key in ("plan", "never")]
    people = pa.table(store.profiles(columns=asked, now_ms=T + 10))
    assert people["plan:null"].to_pylist() == people["never:null"].to_pylist() == [False]


def test_a_trait_that_will_be_unset_has_its_column_until_then(store: Store) -> None:
    store.set_traits({"user_id": "u1"}, {"plan": "pro"}, now_ms=T, time_ms=T)
    store.set_traits({"user_id": "u1"}, {"plan": None}, now_ms=T, time_ms=T + 10 * DAY_MS)
    assert pa.table(store.profiles(now_ms=T + DAY_MS))["plan"].to_pylist() == ["pro"]
    assert "plan" not in pa.table(store.profiles(now_ms=T + 11 * DAY_MS)).column_names


def test_a_name_that_is_taken_makes_way(store: Store) -> None:
    store.append([event("u1", T, event="x", **{"property:event": "y", "time": 5})], now_ms=T)
    table = pa.table(store.events(now_ms=T))
    assert table.column_names == [
        "profile_id",
        "event",
        "time",
        "property:event",
        "property:property:event",
        "property:time",
    ]
    assert table.to_pylist()[0]["property:event"] == "x"
    assert table.to_pylist()[0]["property:property:event"] == "y"


def test_rows_of_a_profile_lie_together_in_event_order_over_layers_late_rows_and_merges(store: Store) -> None:
    for part in range(6):
        late = [event(f"u{n % 11}", T + (n * 7919 + part) % 5000, n=part * 1000 + n) for n in range(1000)]
        store.append(late, now_ms=T + DAY_MS)
        store.seal()
    store.merge({"user_id": "u1"}, {"user_id": "u2"}, now_ms=T + DAY_MS)
    table = pa.table(store.events(now_ms=T + DAY_MS))
    ids, times = table["profile_id"].to_pylist(), [int(each.timestamp() * 1000) for each in table["time"].to_pylist()]
    assert list(zip(ids, times, strict=True)) == sorted(zip(ids, times, strict=True))
    numbers = table["n"].to_pylist()
    for user in (0, 1, 5):
        answer = store.profile(user, events={}, now_ms=T + DAY_MS)
        assert answer is not None
        of_profile = [number for number, owner in zip(numbers, ids, strict=True) if owner == user]
        assert of_profile == [each.properties["n"] for each in answer.events]


def test_an_export_is_of_its_version_whatever_is_written_meanwhile(store: Store) -> None:
    store.append([event(f"u{n}", T + n, price=n) for n in range(5000)], now_ms=T + DAY_MS)
    rows, people = store.events(now_ms=T + DAY_MS), store.profiles(now_ms=T + DAY_MS)
    before, people_before = pa.table(rows), pa.table(people)
    both = {"user_id": "u1", "anonymous_id": "a1"}
    store.append([event(f"u{n}", T + 1, price="x", more=1) for n in range(6000)], now_ms=T + DAY_MS)
    store.append([{**event("u1", T + 1), "ids": both}], now_ms=T + DAY_MS)
    store.merge({"user_id": "u7"}, {"user_id": "u8"}, now_ms=T + DAY_MS)
    store.set_traits({"user_id": "u1"}, {"plan": "pro"}, now_ms=T + DAY_MS)
    store.compact()
    assert pa.table(rows) == before
    assert pa.table(people) == people_before
    assert rows.watermark == 5000
    assert people.watermark < store.watermark


def test_batches_are_bounded_and_many_readers_read_at_once(store: Store) -> None:
    for part in range(20):
        batch = [event(f"u{n % 3}", T + part * 10_000 + n, n=n) for n in range(10_000)]
        store.append(batch, now_ms=T + DAY_MS)
    rows = store.events(now_ms=T + DAY_MS)
    sizes = [len(batch) for batch in pa.RecordBatchReader.from_stream(rows)]
    assert sum(sizes) == 200_000
    assert max(sizes) <= 65_536
    sums: list[int] = []
    threads = [threading.Thread(target=lambda: sums.append(pa.table(rows)["n"].to_numpy().sum())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sums == [20 * sum(range(10_000))] * 4


def test_long_texts_make_smaller_batches(store: Store) -> None:
    for part in range(10):
        batch = [event(f"u{n % 3}", T + part * 2000 + n, text=f"{part}-{n}-" + "x" * 4000) for n in range(2000)]
        store.append(batch, now_ms=T + DAY_MS)
    reader = pa.RecordBatchReader.from_stream(store.events(now_ms=T + DAY_MS))
    batches = [(len(batch), batch.nbytes) for batch in reader]
    assert sum(size for size, _ in batches) == 20_000
    assert max(nbytes for _, nbytes in batches) < 70 << 20


def test_a_stream_keeps_its_store_alive() -> None:
    store = Store.open()
    store.append([event("u1", T, price=1)], now_ms=T)
    reader = pa.RecordBatchReader.from_stream(store.events(now_ms=T))
    unread = store.events(now_ms=T).__arrow_c_stream__()
    store.close()
    del store, unread
    gc.collect()
    assert reader.read_all()["price"].to_pylist() == [1]


def test_a_cancelled_store_ends_its_streams_with_the_reason(store: Store) -> None:
    store.append([event("u1", T)], now_ms=T)
    reader = pa.RecordBatchReader.from_stream(store.events(now_ms=T))
    store.cancel_queries()
    with pytest.raises((OSError, pa.ArrowException), match=r"query\.cancelled"):
        reader.read_all()


def test_filters_leave_out_what_they_say(store: Store) -> None:
    batch = [event("u1", T), event("u1", T + 5, "Viewed"), event("u2", T + 7, price=2), event("u3", T + 99)]
    store.append(batch, now_ms=T + 100)
    store.set_traits({"user_id": "u2"}, {"plan": "pro"}, now_ms=T + 100)
    now = {"now_ms": T + 100}
    assert pa.table(store.events("Viewed", **now))["event"].to_pylist() == ["Viewed"]
    assert len(pa.table(store.events(["Viewed", "Charged", "Never"], **now))) == 4
    assert len(pa.table(store.events(range={"start_ms": T + 5, "end_ms": T + 99}, **now))) == 2
    assert len(pa.table(store.events(range={"last": 95}, **now))) == 2
    assert pa.table(store.events(where=trait("plan").eq("pro"), **now))["price"].to_pylist() == [2]
    assert pa.table(store.profiles(did("Viewed"), **now))["user_id"].to_pylist() == [["u1"]]
    assert len(pa.table(store.events(now_ms=T + 6))) == 2
    assert len(pa.table(store.events("Never", **now))) == 0


def test_an_empty_store_exports_no_rows_but_its_columns(store: Store) -> None:
    assert pa.table(store.events(columns=["price"])).column_names == ["profile_id", "event", "time", "price"]
    assert pa.table(store.profiles()).column_names == ["profile_id", "created", "user_id", "anonymous_id"]


def test_wide_events_export_all_their_columns(store: Store) -> None:
    batch = [event(f"u{n}", T + n, **{f"k{n % 10}_{key}": key for key in range(200)}) for n in range(50)]
    store.append(batch, now_ms=T + DAY_MS)
    table = pa.table(store.events(now_ms=T + DAY_MS))
    assert len(table.column_names) == 3 + 2000
    assert sum(len(column) - column.null_count for column in table.columns[3:]) == 50 * 200


BAD: list[tuple[dict[str, Any], str]] = [
    ({"names": 5}, "names"),
    ({"names": []}, "names"),
    ({"names": {"event": "A"}}, "names"),
    ({"range": {"last": "5 parsecs"}}, "range.last"),
    ({"range": {"start_ms": 5, "end_ms": 4}}, "range.end_ms"),
    ({"where": {"did": 5}}, "where.did"),
    ({"columns": "price"}, "columns"),
    ({"columns": ["a", 7]}, "columns[1]"),
    ({"columns": [{"property": "a", "type": "text"}]}, "columns[0].type"),
    ({"columns": [{"trait": "a"}]}, "columns[0].property"),
    ({"columns": [{"property": "a", "as": "x"}, {"property": "b", "as": "x"}]}, "columns[1]"),
    ({"columns": [{"property": "a", "as": "time"}]}, "columns[0]"),
    ({"columns": [{"property": "a", "kind": 1}]}, "columns[0].kind"),
]


@pytest.mark.parametrize(("fields", "path"), BAD)
def test_a_bad_export_says_where(store: Store, fields: dict[str, Any], path: str) -> None:
    with pytest.raises(BadQuery) as raised:
        store.events(**fields, now_ms=END_MS)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "type"),
        ({"type": "devices"}, "type"),
        ({"type": 5}, "type"),
        ({"type": "device", "columns": ["id"]}, "columns"),
        ({"type": "device", "range": {"last": "7d"}}, "range"),
        ({"type": "device", "where": {"device": 5}}, "where.device"),
        ({"export": "groups", "kind": 5}, "kind"),
        ({"export": "groups", "where": {"list": "vip"}}, "where"),
        ({"export": "groups", "columns": [{"property": "p"}]}, "columns[0].trait"),
    ],
)
def test_a_bad_export_of_facts_says_where(store: Store, fields: dict[str, Any], path: str) -> None:
    for export in (store._rows, lambda spec, now_ms: ModelStore.open().export(spec, now_ms=now_ms)):
        with pytest.raises(BadQuery) as raised:
            export({"export": "facts", **fields}, END_MS)
        assert raised.value.path == path


@pytest.mark.parametrize("spec", [{}, {"export": "traits"}, {"export": "profiles", "names": ["A"]}, {"export": 1}])
def test_an_unknown_export_is_refused(store: Store, spec: dict[str, Any]) -> None:
    with pytest.raises(CDPError):
        store._rows(spec, END_MS)
