"""Files in: every format and packing, bad rows with their lines, loads that broke off, and what cannot be meant."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner

from cdpstore.errors import InvalidRequest, Unavailable
from cdpstore.loaders import FieldMapping, FileReport, StoreTarget, load_files
from cdpstore.model import Ack
from cdpstore.server.cli import main
from cdpstore.store import Store

T = 1_700_000_000_000
RECORDS = [
    {"type": "event", "name": "A", "time_ms": T + n, "ids": {"user_id": f"u{n % 7}"}, "properties": {"n": n}}
    for n in range(100)
]
CSV = "user_id,event,time,price,note\n" + "".join(f"u{n % 7},A,{T + n},{n}.5,\n" for n in range(100))


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with Store.open(background=False) as store:
        yield store


def load(store: Store, *files: Path, state: Path, **options: Any) -> FileReport:
    return load_files(StoreTarget(store, now_ms=T + 1_000_000), files, state=state / "marks", **options)


def total(store: Store, *measures: Any) -> list[Any]:
    spec = {"kind": "trend", "event": "A", "interval": None, "measures": ["total", *measures]}
    return list(store.query(spec, now_ms=T + 1_000_000).rows())


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_ndjson_loads_records_plain_or_packed(store: Store, tmp_path: Path, packing: str) -> None:
    body = "\n".join(map(json.dumps, RECORDS)).encode()
    packed = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[packing](body)
    (path := tmp_path / f"events.ndjson{packing}").write_bytes(packed)
    report = load(store, path, state=tmp_path)
    assert (report.accepted, report.rejected) == (100, 0)
    assert total(store, {"sum": "n"}) == [(100, sum(range(100)))]


@pytest.mark.parametrize(("kind", "packing"), [("csv", ""), ("csv", ".gz"), ("csv", ".zst"), ("tsv", "")])
def test_csv_is_text_but_for_the_types_given(store: Store, tmp_path: Path, kind: str, packing: str) -> None:
    body = CSV.replace(",", "\t" if kind == "tsv" else ",").encode()
    packed = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[packing](body)
    (path := tmp_path / f"orders.{kind}{packing}").write_bytes(packed)
    report = load(store, path, state=tmp_path, mapping={"types": {"price": "float"}})
    assert report.accepted == 100
    assert total(store, {"sum": "price"}) == [(100, sum(n + 0.5 for n in range(100)))]
    answer = store.profile({"user_id": "u1"}, events={"limit": 1}, now_ms=T + 1_000_000)
    assert answer is not None
    assert answer.events[0].properties == {"price": 1.5}


def test_parquet_goes_as_columns_and_row_by_row_to_the_same(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [{"user_id": f"u{n % 7}", "event": "A", "time": T + n, "n": n, "tags": ["x"] * (n % 3)} for n in range(500)]
    table = pa.Table.from_pylist(rows).set_column(
        2, "time", pa.array([row["time"] for row in rows], pa.timestamp("ms"))
    )
    pq.write_table(table, path := tmp_path / "events.parquet")

    class Plain:
        """The same, without the columns."""

        def __init__(self, store: Store) -> None:
            self._target = StoreTarget(store, now_ms=T + 1_000_000)

        def send(self, batches: Sequence[bytes], producer: bytes, first_number: int) -> list[Ack | None]:
            return self._target.send(batches, producer, first_number)

    answers = []
    for make in (lambda store: StoreTarget(store, now_ms=T + 1_000_000), Plain):
        with Store.open(background=False) as store:
            assert load_files(make(store), [path], state=tmp_path / make.__name__).accepted == 500
            answers.append(
                [store.profile({"user_id": f"u{n}"}, events={}, now_ms=T + 1_000_000).events for n in range(7)]  # type: ignore[union-attr]
            )
    assert answers[0] == answers[1]


def test_a_bad_line_is_a_reject_with_its_line_and_never_the_end(store: Store, tmp_path: Path) -> None:
    lines = [
        json.dumps(RECORDS[0]),
        "{not json",
        "",
        "5",
        json.dumps({**RECORDS[1], "name": ""}),
        json.dumps({**RECORDS[2], "time_ms": 5}),
        json.dumps({**RECORDS[3], "properties": {"big": "x" * 70_000}}),
        '"\\ud800"',
        json.dumps(RECORDS[4]),
    ]
    (path := tmp_path / "events.ndjson").write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n" + b"[" * 100_000)
    rejects = tmp_path / "rejects.ndjson"
    report = load(store, path, state=tmp_path, rejects=rejects)
    assert report.accepted == 2
    found = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert sorted((each["line"], each["code"]) for each in found if each["line"] < 8) == [
        (2, "row.json"),
        (4, "record.not_a_map"),
        (5, "event.name.length"),
        (6, "event.time.out_of_range"),
        (7, "record.too_large"),
    ]
    assert {each["line"] for each in found} == {2, 4, 5, 6, 7, 8, 10, 11}
    assert report.rejected == len(found) == len(report.first_rejects)
    assert any(line.startswith("events.ndjson:5: event.name.length at name") for line in report.first_rejects)


def test_a_line_without_end_is_a_reject(store: Store, tmp_path: Path) -> None:
    good = json.dumps(RECORDS[0]).encode()
    (path := tmp_path / "x.ndjson.gz").write_bytes(gzip.compress(good + b"\n" + b"0" * 5_000_000 + b"\n" + good))
    report = load(store, path, state=tmp_path)
    assert (report.accepted, report.rejected) == (2, 1)
    assert report.first_rejects[0].startswith("x.ndjson.gz:2: record.too_large")


def test_a_bad_row_of_csv_is_a_reject_with_its_line(store: Store, tmp_path: Path) -> None:
    rows = [
        "user_id,event,time,price",
        f"u1,A,{T},1",
        "u1,A",
        f"u1,A,{T},many",
        "u1,A,yesterday,1",
        f",A,{T},1",
        f'"u\n2",A,{T},1',
        f"u1,A,{T},1,extra",
        "u3,A,2023-11-14T22:13:20+00:00,",
    ]
    (path := tmp_path / "x.csv").write_bytes("\n".join(rows).encode() + b"\nu\xff,A,1,1\n")
    rejects = tmp_path / "rejects.ndjson"
    report = load(store, path, state=tmp_path, rejects=rejects, mapping={"types": {"price": "float"}})
    found = {(each["line"], each["code"], each["path"]) for each in map(json.loads, rejects.read_text().splitlines())}
    assert found == {
        (3, "row.csv", ""),
        (4, "record.field.type", "properties.price"),
        (5, "value.datetime.invalid", "time_ms"),
        (6, "identity.none", "ids"),
        (9, "row.csv", ""),
        (11, "value.string.utf8", ""),
    }
    assert report.accepted == 3


def test_a_load_that_broke_off_goes_on_and_nothing_is_doubled(store: Store, tmp_path: Path) -> None:
    records = [{**RECORDS[0], "time_ms": T + n} for n in range(70_000)]
    (path := tmp_path / "events.ndjson").write_text("\n".join(map(json.dumps, records)))

    class Breaking(StoreTarget):
        """Loses the connection after the second window, when half of it was taken."""

        calls = 0

        def send(self, batches: Sequence[bytes], producer: bytes, first_number: int) -> list[Ack | None]:
            self.calls += 1
            if self.calls == 2:
                super().send(batches[: len(batches) // 2], producer, first_number)
                raise Unavailable("client.unreachable", "gone")
            return super().send(batches, producer, first_number)

    with pytest.raises(Unavailable):
        load_files(Breaking(store, now_ms=T + 1_000_000), [path], state=tmp_path / "marks")
    assert total(store) == [(48_000,)]
    report = load(store, path, state=tmp_path)
    assert total(store) == [(70_000,)]
    assert report.resumed == 32_000
    again = load(store, path, state=tmp_path)
    assert (again.accepted, again.resumed) == (0, 70_000)
    # Without its mark it is all sent again, and answered, not applied.
    lost = load(store, path, state=tmp_path / "elsewhere")
    assert lost.accepted + lost.resumed == 70_000
    assert total(store) == [(70_000,)]
    assert load(store, path, state=tmp_path, again=True).accepted == 70_000


def test_traits_set_every_property(store: Store, tmp_path: Path) -> None:
    (path := tmp_path / "users.csv").write_text("user_id,plan,age,address.city\nu1,pro,30,Wien\nu2,,40,\n")
    load(store, path, state=tmp_path, mapping={"type": "traits", "types": {"age": "int"}})
    answer = store.profile({"user_id": "u1"}, now_ms=T + 1_000_000)
    assert answer is not None
    assert answer.traits == {"plan": "pro", "age": 30, "address.city": "Wien"}


def test_mapped_ndjson_lacks_what_its_lines_lack(store: Store, tmp_path: Path) -> None:
    lines = [{"who": 1, "act": "A", "at": T / 1000, "n": 1}, {"who": 2, "act": "A", "n": 2}, {"act": "A"}]
    (path := tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    mapping = {"ids": {"user_id": "who"}, "name": "act", "time": "at", "time_unit": "s"}
    report = load(store, path, state=tmp_path, mapping=mapping)
    assert (report.accepted, report.rejected) == (2, 1)
    assert total(store, {"sum": "n"}) == [(2, 3)]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"nmae": "a"}, "load.mapping", "nmae"),
    ({"type": "erase"}, "load.mapping", "type"),
    ({"name": {"values": "A"}}, "load.mapping", "name"),
    ({"name": "nope"}, "load.column", "name"),
    ({"time": "nope"}, "load.column", "time"),
    ({"ids": {"user_id": "nope"}}, "load.column", "ids"),
    ({"ids": 5}, "load.mapping", "ids"),
    ({"properties": ["nope"]}, "load.column", "properties"),
    ({"types": {"price": "number"}}, "load.mapping", "types.price"),
    ({"types": 5}, "load.mapping", "types"),
    ({"time_unit": "weeks"}, "load.mapping", "time_unit"),
]


@pytest.mark.parametrize(("mapping", "code", "path"), BAD)
def test_a_bad_mapping_says_where(mapping: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        FieldMapping.bind(mapping, ["user_id", "event", "time", "price"])
    assert (raised.value.code, raised.value.path) == (code, path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.csv", b""), ("x.csv", b"a,a\n1,2\n"), ("x.csv", b"price\n1\n"), ("x.parquet", b"no parquet"), ("x.xlsx", b"")],
)
def test_a_file_that_is_none_of_ours_is_refused(store: Store, tmp_path: Path, name: str, content: bytes) -> None:
    (path := tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidRequest):
        load(store, path, state=tmp_path)


@pytest.mark.parametrize("name", ["x.ndjson.gz", "x.ndjson.zst", "x.csv.gz"])
def test_a_packed_file_that_is_cut_or_no_such_file_is_an_error_with_its_name(
    store: Store, tmp_path: Path, name: str
) -> None:
    packer = gzip.compress if name.endswith("gz") else zstandard.ZstdCompressor().compress
    (cut := tmp_path / name).write_bytes(packer(b"user_id,event\n" * 100_000)[:-10])
    with pytest.raises(InvalidRequest, match=name):
        load(store, cut, state=tmp_path)
    (wrong := tmp_path / f"wrong-{name}").write_bytes(b"plain text")
    with pytest.raises(InvalidRequest, match=name):
        load(store, wrong, state=tmp_path)


def test_the_command_loads_into_a_store_without_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (path := tmp_path / "orders.csv").write_text("customer,price\nu1,2\nu2,3\nu3,x\n")
    mapping = {"ids": {"user_id": "customer"}, "name": {"value": "Charged"}, "types": {"price": "int"}}
    command = ["load", str(path), "--data", str(tmp_path / "data"), "--map", json.dumps(mapping)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "accepted 2, duplicates 0, rejected 1" in done.output
    assert "orders.csv:4: record.field.type at properties.price" in done.output
    again = CliRunner().invoke(main, command)
    assert "accepted 0" in again.output
    assert "in before 2" in again.output
    bad = CliRunner().invoke(main, [*command[:-1], "{nope"])
    assert bad.exit_code == 2
    assert "not a JSON object" in bad.output


def test_the_help_says_how() -> None:
    shown = CliRunner().invoke(main, ["load", "--help"]).output
    for word in ("--map", "--rejects", "--again", ".parquet", "user_id", "time_unit"):
        assert word in shown
