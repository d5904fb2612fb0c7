"""Producers that break Arrow's rules: a lie that can be seen is refused with the column's name, and nothing crashes."""

import ctypes
import errno
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cdpstore.errors import InvalidRequest
from cdpstore.store import Store

pa = pytest.importorskip("pyarrow")

T = 1_700_000_000_000


class Schema(ctypes.Structure):
    """ArrowSchema of the C data interface."""


class Array(ctypes.Structure):
    """ArrowArray of the C data interface."""


class Stream(ctypes.Structure):
    """ArrowArrayStream of the C stream interface."""


ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(Schema))
ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(Array))
ReleaseStream = ctypes.CFUNCTYPE(None, ctypes.POINTER(Stream))
GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Stream), ctypes.POINTER(Schema))
GetNext = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Stream), ctypes.POINTER(Array))
LastError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Stream))

Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(Schema))),
    ("dictionary", ctypes.POINTER(Schema)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(Array))),
    ("dictionary", ctypes.POINTER(Array)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
Stream._fields_ = [
    ("get_schema", ctypes.c_void_p),
    ("get_next", ctypes.c_void_p),
    ("get_last_error", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
_NAME = ctypes.create_string_buffer(b"arrow_array_stream")


def _keep_schema(_: Any) -> None:
    """The producer keeps the memory: these tests are over soon."""


class Producer:
    """A stream of one batch whose structs were tampered with; counts how often it was released."""

    def __init__(self, batch: Any, tamper: Callable[[Schema, Array], None] | None = None, **statuses: int) -> None:
        self.schema, self.array, self.stream = Schema(), Array(), Stream()
        batch._export_to_c(ctypes.addressof(self.array), ctypes.addressof(self.schema))
        self.kept = [ReleaseSchema(_keep_schema), ReleaseArray(_keep_schema)]
        self.schema.release = ctypes.cast(self.kept[0], ctypes.c_void_p)
        self.array.release = ctypes.cast(self.kept[1], ctypes.c_void_p)
        if tamper is not None:
            tamper(self.schema, self.array)
        self.statuses, self.given, self.released = statuses, 0, 0
        self.message = ctypes.create_string_buffer(b"the producer gave up")
        self.calls = [
            GetSchema(self.get_schema),
            GetNext(self.get_next),
            LastError(lambda _: ctypes.addressof(self.message)),
            ReleaseStream(self.release),
        ]
        for name, call in zip(("get_schema", "get_next", "get_last_error", "release"), self.calls, strict=True):
            setattr(self.stream, name, ctypes.cast(call, ctypes.c_void_p))

    def get_schema(self, _: Any, out: Any) -> int:
        ctypes.memmove(out, ctypes.byref(self.schema), ctypes.sizeof(Schema))
        return self.statuses.get("schema", 0)

    def get_next(self, _: Any, out: Any) -> int:
        ctypes.memset(out, 0, ctypes.sizeof(Array))
        if self.given == self.statuses.get("batches", 1):
            return self.statuses.get("end", 0)
        self.given += 1
        ctypes.memmove(out, ctypes.byref(self.array), ctypes.sizeof(Array))
        return 0

    def release(self, stream: Any) -> None:
        stream.contents.release = None
        self.released += 1

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return _new_capsule(ctypes.addressof(self.stream), ctypes.addressof(_NAME), None)


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with Store.open(background=False) as store:
        yield store


def batch() -> Any:
    return pa.record_batch(
        {
            "user_id": pa.array(["u1", "u2", "u3"]),
            "event": pa.array(["A", "B", "A"]).dictionary_encode(),
            "n": pa.array([1, None, 3]),
            "view": pa.array(["short", "a text of more than twelve bytes", None], pa.string_view()),
            "tags": pa.array([["a"], [], ["b", "c"]]),
            "place": pa.array([{"city": "Wien"}, None, {"city": "Pune"}]),
        }
    )


def child(of: Any, at: int) -> Any:
    return of.children[at].contents


def words(array: Any, buffer: int, kind: Any, *values: int) -> None:
    """Writes over the beginning of a buffer."""
    target = ctypes.cast(array.buffers[buffer], ctypes.POINTER(kind))
    for at, value in enumerate(values):
        target[at] = value


def changed(name: str, value: Any, *path: int, of_schema: bool = False) -> Callable[[Any, Any], None]:
    def tamper(schema: Any, array: Any) -> None:
        target = schema if of_schema else array
        for step in path:
            target = child(target, step)
        setattr(target, name, value)

    return tamper


def null_buffer(column: int, buffer: int) -> Callable[[Any, Any], None]:
    def tamper(_: Any, array: Any) -> None:
        child(array, column).buffers[buffer] = None

    return tamper


def over(column: int, buffer: int, kind: Any, *values: int) -> Callable[[Any, Any], None]:
    return lambda _, array: words(child(array, column), buffer, kind, *values)


def null_child(_: Any, array: Any) -> None:
    array.children[2] = None


def null_schema_child(schema: Any, _: Any) -> None:
    schema.children[1] = None


def view_beyond(_: Any, array: Any) -> None:
    words(child(array, 3), 1, ctypes.c_int32, *([0] * 4), 32, 0, 0, 1 << 30)


def view_of_no_buffer(_: Any, array: Any) -> None:
    words(child(array, 3), 1, ctypes.c_int32, *([0] * 4), 32, 0, 9, 0)


def negative_view(_: Any, array: Any) -> None:
    words(child(array, 3), 1, ctypes.c_int32, -5)


def no_view_sizes(_: Any, array: Any) -> None:
    column = child(array, 3)
    column.buffers[column.n_buffers - 1] = None


def deep(schema: Any, _: Any) -> None:
    """A child that is its own child: no end of levels."""
    loop = child(schema, 5)
    loop.children[0] = ctypes.pointer(loop)


LIES: dict[str, tuple[Callable[[Any, Any], None], str]] = {
    "no format": (changed("format", None, 0, of_schema=True), "user_id"),
    "an endless format": (changed("format", b"x" * 5000, 0, of_schema=True), "user_id"),
    "a format that is no text": (changed("format", b"\xff\xfe", 0, of_schema=True), "user_id"),
    "a name that is no text": (changed("name", b"\xff", 0, of_schema=True), ""),
    "an endless name": (changed("name", b"n" * 5000, 0, of_schema=True), ""),
    "children below zero": (changed("n_children", -1, of_schema=True), ""),
    "children without end": (changed("n_children", 2**60, of_schema=True), ""),
    "children that are null": (changed("children", None, of_schema=True), ""),
    "a child schema that is null": (null_schema_child, ""),
    "a schema that was released": (changed("release", None, 0, of_schema=True), ""),
    "a schema within itself": (deep, ""),
    "a list without children": (changed("n_children", 0, 4, of_schema=True), "tags"),
    "a dictionary with indexes of floats": (changed("format", b"g", 1, of_schema=True), "event"),
    "a length below zero": (changed("length", -1), ""),
    "a length without end": (changed("length", 2**62), ""),
    "an offset below zero": (changed("offset", -1), ""),
    "an offset beyond the columns": (changed("offset", 2), "user_id"),
    "a batch longer than its columns": (changed("length", 5), "user_id"),
    "a column without length": (changed("length", 0, 2), "n"),
    "an offset of a column below zero": (changed("offset", -3, 2), "n"),
    "more nulls than rows": (changed("null_count", 9, 2), "n"),
    "nulls below minus one": (changed("null_count", -2, 2), "n"),
    "nulls without a bitmap": (null_buffer(2, 0), "n"),
    "too few buffers": (changed("n_buffers", 1, 2), "n"),
    "buffers below zero": (changed("n_buffers", -1, 2), "n"),
    "buffers that are null": (changed("buffers", None, 2), "n"),
    "numbers that are null": (null_buffer(2, 1), "n"),
    "offsets that are null": (null_buffer(0, 1), "user_id"),
    "text that is null": (null_buffer(0, 2), "user_id"),
    "offsets that go backwards": (over(0, 1, ctypes.c_int32, 0, 4, 2, 6), "user_id"),
    "offsets below zero": (over(0, 1, ctypes.c_int32, -4, 2, 4, 6), "user_id"),
    "a child that is null": (null_child, "n"),
    "another count of children": (changed("n_children", 2), ""),
    "children of an array that are null": (changed("children", None), ""),
    "an array that was released": (changed("release", None, 2), "n"),
    "a dictionary that is null": (changed("dictionary", None, 1), "event"),
    "an index outside of its dictionary": (over(1, 1, ctypes.c_int32, 7), "event"),
    "an index below zero": (over(1, 1, ctypes.c_int32, -1), "event"),
    "lists beyond their values": (over(4, 1, ctypes.c_int32, 0, 1, 1, 900), "tags"),
    "lists that go backwards": (over(4, 1, ctypes.c_int32, 0, 3, 1, 3), "tags"),
    "a view beyond its buffer": (view_beyond, "view"),
    "a view of a buffer that is not there": (view_of_no_buffer, "view"),
    "a view of negative length": (negative_view, "view"),
    "views without the sizes of their buffers": (no_view_sizes, "view"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_and_says_where(store: Store, lie: str) -> None:
    tamper, path = LIES[lie]
    producer = Producer(batch(), tamper)
    with pytest.raises(InvalidRequest) as raised:
        store.load(producer, now_ms=T)
    assert raised.value.code == "load.arrow.invalid", raised.value
    assert raised.value.path.startswith(path)
    assert producer.released == 1
    assert store.stats().events == 0


def test_an_honest_batch_passes_the_same_way(store: Store) -> None:
    producer = Producer(batch(), batches=2)
    assert store.load(producer, now_ms=T).accepted == 6
    assert producer.released == 1


def test_a_format_nobody_knows_is_refused_only_when_it_is_wanted(store: Store) -> None:
    unknown = changed("format", b"zz!", 2, of_schema=True)
    with pytest.raises(InvalidRequest, match="zz!") as raised:
        store.load(Producer(batch(), unknown), now_ms=T)
    assert (raised.value.code, raised.value.path) == ("load.column", "n")
    assert store.load(Producer(batch(), unknown), {"properties": ["view"]}, now_ms=T).accepted == 3


def test_bytes_that_are_no_text_are_rejects_of_their_rows(store: Store) -> None:
    producer = Producer(batch(), over(0, 2, ctypes.c_uint8, 0xFF, 0xFE))
    report = store.load(producer, now_ms=T)
    assert report.accepted == 2
    assert [(each.index, each.code) for each in report.rejects] == [(0, "value.string.utf8")]


def test_a_producer_that_fails_is_quoted(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="the producer gave up") as raised:
        store.load(Producer(batch(), schema=errno.EIO), now_ms=T)
    assert raised.value.code == "load.arrow.failed"
    producer = Producer(batch(), batches=2, end=errno.EIO)
    with pytest.raises(InvalidRequest, match="the producer gave up") as raised:
        store.load(producer, now_ms=T)
    assert any("6 rows" in note for note in raised.value.__notes__)
    assert store.stats().events == 6
    assert producer.released == 1


def test_a_stream_is_read_once(store: Store) -> None:
    capsule = pa.table({"user_id": [1], "event": ["A"]}).__arrow_c_stream__()

    class Again:
        """Gives the same capsule every time."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return capsule

    assert store.load(Again(), now_ms=T).accepted == 1
    with pytest.raises(InvalidRequest) as raised:
        store.load(Again(), now_ms=T)
    assert raised.value.code == "load.arrow.invalid"


def test_a_capsule_of_another_name_is_refused(store: Store) -> None:
    class Wrong:
        """Gives a schema where a stream is wanted."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.schema([("a", pa.int64())]).__arrow_c_schema__()

    with pytest.raises(InvalidRequest) as raised:
        store.load(Wrong(), now_ms=T)
    assert raised.value.code == "load.arrow.invalid"


def test_a_closed_store_takes_no_rows() -> None:
    store = Store.open()
    store.close()
    with pytest.raises(Exception, match="closed"):
        store.load(pa.table({"user_id": [1], "event": ["A"]}), now_ms=T)


# ---- what looks like rows to Python and is none


class Raising:
    """A source whose producer fails before there is a stream."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise self.error


class Giving:
    """A source that gives something else than a stream."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        return self.given


_WORDS = np.arange(12, dtype=np.int64)
NO_ROWS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: _WORDS,
    "a numpy array that is not contiguous": lambda: _WORDS[::2],
    "a byte-swapped numpy array": lambda: _WORDS.astype(">i8"),
    "numpy records": lambda: np.zeros(3, dtype=[("user_id", "U2"), ("n", ">i4")]),
    "an array of numpy objects": lambda: np.array([object()], dtype=object),
    "one Arrow array": lambda: pa.array([1, 2]),
    "a list of maps": lambda: [{"user_id": "u"}],
    "a chunked array of numbers": lambda: pa.chunked_array([[1, 2], [3]]),
    "a chunked array of texts": lambda: pa.chunked_array([["a"], ["b"]]),
    "a source that raises": lambda: Raising(RuntimeError("no connection")),
    "a source that knows no rows": lambda: Raising(NotImplementedError()),
    "a source that gives nothing": lambda: Giving(None),
    "a source that gives an address": lambda: Giving(0xDEADBEEF),
    "a source that gives a capsule of bytes": lambda: Giving(memoryview(b"raw")),
}


@pytest.mark.parametrize("source", NO_ROWS)
def test_what_has_no_rows_is_refused_and_said_to_be_none(store: Store, source: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        store.load(NO_ROWS[source](), {"ids": {"user_id": "user_id"}}, now_ms=T)
    assert raised.value.code.startswith("load.")
    assert raised.value.message
    assert store.append([], now_ms=T) is not None


def test_a_reader_that_was_read_has_no_rows_left(store: Store) -> None:
    reader = pa.RecordBatchReader.from_batches(batch().schema, [batch()])
    assert reader.read_all().num_rows == 3
    assert store.load(reader, {"ids": {"user_id": "user_id"}, "name": "event"}, now_ms=T).rows == 0


def test_a_frame_whose_numpy_columns_are_strange_loads_or_says_why_not(store: Store) -> None:
    pandas = pytest.importorskip("pandas")
    words = np.arange(8, dtype=np.int64)
    strange = {
        "not contiguous": words[::2],
        "backwards": words[3::-1],
        "read only": np.frombuffer(words[:4].tobytes(), dtype=np.int64),
        "byte-swapped": words[:4].astype(">i8"),
        "objects": np.array([1, "a", None, object()], dtype=object),
        "complex": words[:4].astype(complex),
        "half": words[:4].astype(np.float16),
    }
    for name, column in strange.items():
        frame = pandas.DataFrame({"user_id": ["u1", "u2", "u3", "u4"], "event": name, "n": column})
        if name in ("byte-swapped", "objects", "complex", "half"):
            with pytest.raises(InvalidRequest) as raised:
                store.load(frame, {"ids": {"user_id": "user_id"}, "name": "event"}, now_ms=T)
            assert raised.value.code.startswith("load."), name
            continue
        report = store.load(frame, {"ids": {"user_id": "user_id"}, "name": "event"}, now_ms=T)
        assert report.accepted == 4, name
        total = store.query({"kind": "trend", "event": name, "measures": [{"sum": "n"}]}, now_ms=T).rows()
        assert total == [(sum(int(each) for each in column),)], name


def test_columns_cut_out_of_larger_arrays_keep_their_rows(store: Store) -> None:
    table = pa.table({"user_id": [f"u{n}" for n in range(50)], "n": list(range(50)), "event": ["A"] * 50})
    report = store.load(table.slice(17, 20), {"ids": {"user_id": "user_id"}, "name": "event"}, now_ms=T)
    assert report.accepted == 20
    trend = {"kind": "trend", "event": "A", "measures": [{"sum": "n"}, {"min": "n"}, {"max": "n"}]}
    assert store.query(trend, now_ms=T).rows() == [(sum(range(17, 37)), 17, 36)]
