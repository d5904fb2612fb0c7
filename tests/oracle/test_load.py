"""Rows in: a load leaves the same state and the same rejects as its rows appended one by one as records."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdpstore import _core
from cdpstore.errors import InvalidRequest
from cdpstore.model import LoadReport, milliseconds_of
from cdpstore.store import Store
from cdpstore.testing.load import records_of
from tests.oracle.scale import examples

T = 1_700_000_000_000
DAY_MS = 86_400_000
TEXTS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint32(), pa.large_string()),
]


def opened(path: str = "") -> Store:
    """A store whose hashes are always the same, so that digests compare."""
    return Store(_core.Engine(path=path, shards=1, workers=2, hash_key=7, now_ms=T, background=False))


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with opened() as store:
        yield store


def texts(*values: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


@st.composite
def columns(draw: st.DrawFn) -> dict[str, pa.Array]:
    """A table with every kind of column, some of its rows bad."""
    count = draw(st.integers(1, 12))

    def of(values: st.SearchStrategy[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(draw(st.lists(values, min_size=count, max_size=count)), kind)

    text = st.sampled_from(TEXTS)
    out = {
        "event": of(texts("Viewed", "Added", "", "Message Sent", "x" * 300), draw(text)),
        "time": of(
            st.none() | st.sampled_from([T, T - 5, T + 60_000, T + 10 * DAY_MS, 5, T - 40 * DAY_MS]),
            draw(st.sampled_from([pa.int64(), pa.timestamp("ms"), pa.timestamp("ms", tz="Asia/Kolkata")])),
        ),
        "user_id": draw(
            st.sampled_from([pa.int64(), *TEXTS]).flatmap(
                lambda kind: st.just(
                    of(st.none() | st.integers(-1, 5), kind)
                    if kind == pa.int64()
                    else of(texts("u1", " u1 ", "u2", "guest", "", "i" * 600), kind)
                )
            )
        ),
        "anonymous_id": of(texts("a1", "a2", "null"), draw(text)),
        "event_id": of(texts("e1", "e2", "", "y" * 300), draw(text)),
        "color": of(texts("red", "blue", "", "z" * 5000), draw(text)),
        "price": of(
            st.none() | st.sampled_from([1.5, -0.0, float("nan"), float("inf")]),
            draw(st.sampled_from([pa.float64(), pa.float32()])),
        ),
        "count": of(
            st.none() | st.integers(0, 100),
            draw(
                st.sampled_from([pa.int8(), pa.uint16(), pa.int32(), pa.uint64(), pa.dictionary(pa.int8(), pa.int32())])
            ),
        ),
        "big": of(st.none() | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1]), pa.uint64()),
        "flag": of(st.none() | st.booleans(), pa.bool_()),
        "nothing": of(st.none(), pa.null()),
        "since": of(st.none() | st.sampled_from([T, T + 1, 5]), pa.timestamp("ms", tz="UTC")),
        "tags": of(
            st.none() | st.lists(st.none() | st.sampled_from(["a", "b", "w" * 5000]), max_size=3),
            draw(st.sampled_from([pa.list_(pa.string()), pa.large_list(pa.string())])),
        ),
        "items": of(
            st.none()
            | st.lists(
                st.fixed_dictionaries({"sku": st.sampled_from(["s1", "s2"]), "n": st.integers(0, 3)}), max_size=2
            ),
            pa.list_(pa.struct([("sku", pa.string()), ("n", pa.int64())])),
        ),
        "place": of(
            st.none() | st.fixed_dictionaries({"city": texts("Wien", "Pune"), "zip": st.none() | st.integers(0, 9)}),
            pa.struct([("city", pa.string()), ("zip", pa.int32())]),
        ),
    }
    kept = draw(st.sets(st.sampled_from(list(out)[5:]), max_size=6))
    return {
        name: column
        for name, column in out.items()
        if name in kept
        or name in ("event", "user_id", *draw(st.sets(st.sampled_from(["time", "anonymous_id", "event_id"]))))
    }


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose struct is taken apart, as its leaves are columns."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if name == "place":
            for part in ("city", "zip"):
                out[f"place.{part}"] = None if value is None else value[part]
        elif isinstance(value, datetime):
            out[name] = milliseconds_of(value if value.tzinfo else value.replace(tzinfo=UTC))
        else:
            out[name] = value
    return out


def as_records(table: pa.Table, mapping: dict[str, Any]) -> list[Any]:
    rows = [flat(row) for row in table.to_pylist()]
    names = [
        part for name in table.column_names for part in (["place.city", "place.zip"] if name == "place" else [name])
    ]
    records = records_of(rows, names, mapping)
    for record in records:
        fields = record.get("properties", record.get("set"))
        for key in ("since",):
            if key in fields:
                fields[key] = {"$time": fields[key]}
    return records


@examples(150)
@given(table=columns().map(pa.table), of_traits=st.booleans(), cut=st.integers(0, 5))
def test_a_load_is_its_rows_as_records(table: pa.Table, of_traits: bool, cut: int) -> None:
    mapping: dict[str, Any] = {"type": "traits"} if of_traits else {}
    table = table.slice(min(cut, len(table) - 1))
    with opened() as loaded, opened() as appended:
        report = loaded.load(table, mapping, now_ms=T)
        ack = appended.append(as_records(table, mapping), now_ms=T)
        assert ack is not None
        # Fields of a record are read in the order sent, columns in an order of their own: of two defects either counts.
        assert [each.index for each in report.rejects] == [each.index for each in ack.rejects]
        assert (report.accepted, report.duplicates) == (ack.accepted, ack.duplicates)
        assert report.rows == len(table)
        assert loaded.digest() == appended.digest()


ONE_DEFECT: list[tuple[str, Any, str, str]] = [
    ("event", None, "record.field.missing", "name"),
    ("event", "", "event.name.length", "name"),
    ("event", "Message Sent", "event.name.reserved", "name"),
    ("user_id", None, "identity.none", "ids"),
    ("user_id", "guest", "identity.none", "ids"),
    ("user_id", "i" * 513, "identity.length", "ids.user_id"),
    ("time", 5, "event.time.out_of_range", "time_ms"),
    ("event_id", "", "event.event_id.length", "event_id"),
    ("price", float("inf"), "value.float.not_finite", "properties.price"),
    ("big", 2**63, "value.int.out_of_range", "properties.big"),
    ("color", "z" * 4097, "value.string.length", "properties.color"),
    ("since", 5, "event.time.out_of_range", "properties.since"),
    ("tags", ["w" * 4097], "value.string.length", "properties.tags[0]"),
]


@pytest.mark.parametrize(("column", "bad", "code", "path"), ONE_DEFECT)
def test_a_bad_row_is_a_reject_with_its_number_code_and_path(
    store: Store, column: str, bad: Any, code: str, path: str
) -> None:
    good: dict[str, Any] = {
        "event": "A",
        "user_id": "u",
        "time": T,
        "event_id": None,
        "price": 1.0,
        "big": 1,
        "color": "c",
        "since": T,
        "tags": ["t"],
    }
    kinds = [
        pa.string(),
        pa.string(),
        pa.int64(),
        pa.string(),
        pa.float64(),
        pa.uint64(),
        pa.string(),
        pa.timestamp("ms"),
        pa.list_(pa.string()),
    ]
    rows = [good, {**good, column: bad}, good]
    table = pa.table(
        {name: pa.array([row[name] for row in rows], kind) for name, kind in zip(good, kinds, strict=True)}
    )
    seen: list[Any] = []
    report = store.load(table, now_ms=T, on_reject=seen.append)
    assert (report.accepted, report.rejected) == (2, 1)
    assert [(each.index, each.code, each.path) for each in report.rejects] == [(1, code, path)]
    assert seen == report.rejects
    record = as_records(table.slice(1, 1), {})[0]
    ack = store.append([record], now_ms=T)
    assert ack is not None
    assert [(each.code, each.path, each.value) for each in ack.rejects] == [(code, path, seen[0].value)]


def test_every_library_is_a_source(store: Store) -> None:
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    rows = {"user_id": [1, 2, 3], "event": ["A", "B", "A"], "n": [10, 20, 30], "color": ["red", None, "blue"]}
    arrow = pa.table(rows)
    sources = [
        arrow,
        arrow.to_reader(),
        arrow.to_batches()[0],
        polars.DataFrame(rows),
        polars.DataFrame(rows).with_columns(polars.col("color").cast(polars.Categorical)),
        pandas.DataFrame(rows),
        duckdb.sql("from arrow"),
        store.events(now_ms=T),
    ]
    for at, source in enumerate(sources[:-1]):
        assert store.load(source, now_ms=T).accepted == 3, at
    assert store.query(
        {"kind": "trend", "event": "A", "interval": None, "measures": ["total", {"sum": "n"}]}, now_ms=T
    ).rows() == [(14, 280)]


def test_what_was_exported_loads_again(store: Store) -> None:
    batch = [
        {
            "type": "event",
            "name": "A",
            "time_ms": T + n,
            "ids": {"user_id": f"u{n % 5}"},
            "properties": {"n": n, "s": f"s{n}"},
        }
        for n in range(100)
    ]
    store.append(batch, now_ms=T + DAY_MS)
    with opened() as other:
        mapping = {"ids": {"user_id": "profile_id"}}
        report = other.load(store.events(now_ms=T + DAY_MS), mapping, now_ms=T + DAY_MS)
        assert (report.accepted, report.rejected) == (99, 0) or report.rejected == 20  # profile 0: "0" names nobody
        spec = {
            "kind": "trend",
            "event": "A",
            "interval": None,
            "measures": [{"sum": "n"}],
            "where": {"did": "A", "where": [{"property": "n", "op": "eq", "value": 1}]},
        }
        assert other.query(spec, now_ms=T + DAY_MS).rows() == store.query(spec, now_ms=T + DAY_MS).rows()


def test_columns_of_one_key_fill_it_together(store: Store) -> None:
    table = pa.table(
        {
            "user_id": [1, 2, 3],
            "event": ["A"] * 3,
            "price:int": pa.array([1, None, 3]),
            "price:string": ["x", "2", None],
        }
    )
    mapping = {"properties": {"price:int": "price", "price:string": "price"}}
    report = store.load(table, mapping, now_ms=T)
    assert [(each.index, each.code, each.path) for each in report.rejects] == [
        (0, "record.key.duplicate", "properties.price")
    ]
    assert pa.table(store.events(now_ms=T)).column_names[3:] == ["price:int", "price:string"]


def test_nan_is_missing_when_asked(store: Store) -> None:
    table = pa.table({"user_id": [1, 2], "event": ["A", "A"], "price": [1.0, float("nan")]})
    assert store.load(table, now_ms=T).rejected == 1
    assert store.load(table, {"nan": "missing"}, now_ms=T).rejected == 0


def test_finer_times_round_down_to_milliseconds(store: Store) -> None:
    for unit, per_ms in (("us", 1_000), ("ns", 1_000_000)):
        table = pa.table(
            {"user_id": [unit], "event": ["A"], "time": pa.array([T * per_ms + per_ms - 1], pa.timestamp(unit))}
        )
        store.load(table, now_ms=T + 1)
        answer = store.profile({"user_id": unit}, events={}, now_ms=T + 1)
        assert answer is not None
        assert [each.time_ms for each in answer.events] == [T]


def test_a_large_load_reports_its_progress_and_counts_every_row(store: Store) -> None:
    count = 100_000
    table = pa.table({"user_id": pa.array(range(count)), "event": pa.array(["A"] * count), "n": pa.array(range(count))})
    seen: list[int] = []
    report = store.load(table, now_ms=T, on_progress=lambda so_far: seen.append(so_far.rows))
    assert report.accepted == count - 1  # 0 names nobody
    assert report.rows == count
    assert seen == sorted(seen)
    assert seen[-1] == count
    assert store.stats().events == count - 1


def test_a_load_of_several_seals_is_that_of_one_seal() -> None:
    """Sealed in bulk while rows come, by the engine's threads, beside a store that seals them all at the end."""
    count = 600_000
    rows = range(count)
    table = pa.table(
        {
            "user_id": pa.array([row * 7_919 % 10_000 + 1 for row in rows], pa.int32()),
            "event": pa.DictionaryArray.from_arrays(pa.array([row % 3 for row in rows], pa.int8()), ["A", "B", "C"]),
            "time": pa.array([T - row * 104_729 % (90 * DAY_MS) for row in rows], pa.timestamp("ms")),
            "n": pa.array([row % 1_000 for row in rows], pa.int16()),
        }
    )
    question = {"kind": "trend", "events": ["A", "B", "C"], "interval": "month", "measures": ["total", "unique"]}
    told = []
    for background in (True, False):
        engine = _core.Engine(path="", shards=4, workers=2, hash_key=7, now_ms=T, background=background)
        with Store(engine) as store:
            assert store.load(table, now_ms=T).accepted == count
            store.seal()
            told.append((store.digest(), store.query(question, now_ms=T).rows()))
    assert told[0] == told[1]


def test_rows_of_as_many_properties_as_there_may_be_are_there_when_the_store_opens_again(tmp_path: Any) -> None:
    """One value more a row is the client's time, of rows a little ahead."""
    count = 32_768
    price = pa.array([row / 7 for row in range(count)])
    columns: dict[str, Any] = {"user_id": pa.array(range(1, count + 1)), "event": pa.repeat("A", count)}
    columns["time"] = pa.repeat(T + 60_000, count)
    table = pa.table(columns | {f"p{at}": price for at in range(256)})
    with opened(str(tmp_path)) as store:
        assert store.load(table, now_ms=T).accepted == count
    with opened(str(tmp_path)) as store:
        assert store.stats().events == count


LONG = [f"{row:04000}" for row in range(20_000)]  # 80 MB, more than a group of the log


@pytest.mark.parametrize(
    "texts",
    [
        pa.array(LONG),
        pa.array(LONG, pa.large_string()),
        pa.array(LONG, pa.string_view()),
        pa.array([[text[:2_000], text[2_000:]] for text in LONG]),
        pa.array(LONG).dictionary_encode(),
    ],
    ids=["text", "large text", "views", "lists", "dictionary"],
)
def test_rows_of_long_texts_are_sent_in_as_many_parts_as_they_need(tmp_path: Any, texts: Any) -> None:
    count = len(texts)
    table = pa.table({"user_id": pa.array(range(1, count + 1)), "event": pa.repeat("A", count), "text": texts})
    with opened(str(tmp_path)) as store:
        assert store.load(table, name="long", now_ms=T).accepted == count
    with opened(str(tmp_path)) as store:
        assert store.stats().events == count
        assert store.load(table, name="long", now_ms=T).resumed_rows == count


def test_a_named_load_goes_on_where_it_stopped(tmp_path: Any) -> None:
    count = 32_768 * 70
    table = pa.table({"user_id": pa.array(range(1, count + 1)), "event": pa.repeat("A", count)})

    class Failing:
        """A source that breaks off in the middle."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            def batches() -> Iterator[pa.RecordBatch]:
                for at, batch in enumerate(table.to_batches(max_chunksize=32_768)):
                    if at == 66:
                        raise OSError("the disk went away")
                    yield batch

            return pa.RecordBatchReader.from_batches(table.schema, batches()).__arrow_c_stream__(requested_schema)

    path = str(tmp_path / "store")
    with opened(path) as store, pytest.raises(InvalidRequest, match="the disk went away") as raised:
        store.load(Failing(), name="history", now_ms=T)
    assert raised.value.code == "load.arrow.failed"
    assert any("2,162,688 rows" in note for note in raised.value.__notes__)
    with opened(path) as store:
        report = store.load(pa.Table.from_batches(table.to_batches(max_chunksize=32_768)), name="history", now_ms=T)
        assert report.resumed_rows == 32_768 * 63
        assert report.rows == count
        assert store.stats().events == count
        again = store.load(table, name="history", now_ms=T)
        assert (again.accepted, again.resumed_rows) == (0, count)
        assert store.stats().events == count


def test_queries_and_appends_go_on_beside_a_load(store: Store) -> None:
    table = pa.table({"user_id": pa.array(range(1, 200_001)), "event": pa.repeat("A", 200_000)})
    thread = threading.Thread(target=lambda: store.load(table, now_ms=T))
    thread.start()
    asked = 0
    while thread.is_alive():
        store.append([{"type": "event", "name": "B", "ids": {"user_id": "x"}}], now_ms=T)
        store.query({"kind": "trend", "event": "A", "interval": None}, now_ms=T)
        asked += 1
    thread.join()
    assert store.stats().events == 200_000 + asked


BAD_MAPPINGS: list[tuple[Any, str, str]] = [
    ({"name": "nope"}, "load.column", "nope"),
    ({"name": 5}, "load.mapping", "name"),
    ({"name": {"value": ""}}, "load.mapping", "name"),
    ({"name": "n"}, "load.column", "n"),
    ({"time": "event"}, "load.column", "event"),
    ({"ids": {}}, "load.mapping", "ids"),
    ({"ids": {"email": "event"}}, "identity.kind.not_identifying", "ids.email"),
    ({"ids": {"badge": "event"}}, "identity.kind.unknown", "ids.badge"),
    ({"ids": {"user_id": "price"}}, "load.column", "price"),
    ({"event_id": "price"}, "load.column", "price"),
    ({"properties": ["nope"]}, "load.column", "nope"),
    ({"properties": {"n": ""}}, "load.mapping", "properties.n"),
    ({"properties": {"n": "$n"}}, "load.mapping", "n"),
    ({"properties": {"n": "k" * 257}}, "load.mapping", "n"),
    ({"properties": ["blob"]}, "load.column", "blob"),
    ({}, "load.column", "blob"),
    ({"type": "erase"}, "query.invalid", "type"),
    ({"type": "traits", "name": "event"}, "load.mapping", "name"),
    ({"unknown": 1}, "query.field.unknown", "unknown"),
    (5, "load.mapping", "mapping"),
    ({"name": object()}, "load.mapping", "mapping"),
]


@pytest.mark.parametrize(("mapping", "code", "path"), BAD_MAPPINGS)
def test_a_bad_mapping_says_where(store: Store, mapping: Any, code: str, path: str) -> None:
    table = pa.table({"user_id": [1], "event": ["A"], "n": [1], "price": [1.5], "blob": pa.array([b"x"])})
    with pytest.raises(Exception) as raised:  # noqa: PT011 - BadQuery or InvalidRequest
        store.load(table, mapping, now_ms=T)
    assert (raised.value.code, raised.value.path) == (code, path)  # type: ignore[attr-defined]
    assert store.stats().events == 0


@pytest.mark.parametrize("source", [5, None, [1, 2], {"a": [1]}, "file.parquet"])
def test_what_is_no_source_is_refused(store: Store, source: Any) -> None:
    with pytest.raises(InvalidRequest, match="__arrow_c_stream__"):
        store.load(source)


def test_a_report_counts_nothing_twice() -> None:
    assert LoadReport().rejects is not LoadReport().rejects
