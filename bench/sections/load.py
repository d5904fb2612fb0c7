"""Columns of Arrow into the engine in this process, beside DuckDB and chdb: sorted by profile, queryable on return.

The same table in memory for all three, events in order of arrival. Ours is loaded in memory and durably (log synced);
the peers as what answers the questions fastest: a table sorted by user and time. The id comes as an integer, as a
dictionary of texts, and as plain text.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chdb
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from chdb import session

from bench.data import schema
from bench.report import Result
from cdpstore.store import Store

EVENTS = 4_000_000
RUNS = 3
PROPERTIES = ["category", "price", "product_id", "currency", "platform", "session_id"]
FLOORS = {"integer ids": 8.0, "dictionary ids": 8.0, "text ids": 4.0}


def table_of(folder: Path, ids: str) -> pa.Table:
    """The events as every source would hand them over, in batches of 64 k rows."""
    rows = pq.read_table(folder / "events.parquet").slice(0, EVENTS)
    texts = pc.binary_join_element_wise("user-", pc.cast(pc.add(rows["user_id"], 1), pa.string()), "")
    id_of = {
        "integer ids": lambda: pc.add(pc.cast(rows["user_id"], pa.int64()), 1),
        "dictionary ids": lambda: texts.combine_chunks().dictionary_encode(),
        "text ids": lambda: texts,
    }
    columns = {"user_id": id_of[ids](), "event": coded(rows["event"])}
    columns["time"] = pc.cast(pc.cast(rows["time_ms"], pa.int64()), pa.timestamp("ms", tz="UTC"))
    for name in PROPERTIES:
        columns[name] = coded(rows[name])
    return pa.table(columns).combine_chunks()


def coded(column: Any) -> Any:
    """A text column as a dictionary, as Parquet readers and duckdb's enums give it."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column.combine_chunks().dictionary_encode()
    return column


def ours(table: pa.Table, directory: Path | None) -> tuple[float, int]:
    """Seconds until every row is in sorted chunks, and rows."""
    with Store.open(directory) as store:
        began = time.perf_counter()
        report = store.load(table, now_ms=schema.END_MS)
        store.seal()
        seconds = time.perf_counter() - began
        assert report.rejected == 0, report.rejects[:3]
        return seconds, store.stats().events


def in_duckdb(table: pa.Table) -> tuple[float, int]:
    """A table sorted by user and time."""
    with duckdb.connect(":memory:", config={"threads": 2}) as db:
        began = time.perf_counter()
        db.register("given", table)
        db.execute("CREATE TABLE e AS SELECT * FROM given ORDER BY user_id, time")
        seconds = time.perf_counter() - began
        return seconds, db.execute("SELECT count(*) FROM e").fetchall()[0][0]


def in_chdb(table: pa.Table) -> tuple[float, int]:
    """A MergeTree by user and time, merged."""
    given = table  # noqa: F841 - chdb finds it by its name
    with session.Session() as peer:
        peer.query("SET max_threads = 2")
        peer.query("CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic")
        peer.query("DROP TABLE IF EXISTS b.e")
        began = time.perf_counter()
        peer.query(
            "CREATE TABLE b.e ENGINE = MergeTree ORDER BY (user_id, time) "
            "SETTINGS allow_nullable_key = 1 AS SELECT * FROM Python(given)"
        )
        seconds = time.perf_counter() - began
        return seconds, int(peer.query("SELECT count() FROM b.e", "TabSeparated").data())


def best(take: Callable[[], tuple[float, int]], rows: int) -> float:
    """Millions of rows a second of the best run."""
    rates = []
    for _ in range(RUNS):
        seconds, held = take()
        assert held == rows, f"{held} of {rows} rows arrived"
        rates.append(rows / seconds / 1e6)
    return max(rates)


def measure(folder: Path) -> list[Result]:
    """Ours in memory has the floor; its note has the ratios."""
    results = []
    for ids, floor in FLOORS.items():
        table = table_of(folder, ids)
        memory = best(lambda: ours(table, None), len(table))  # noqa: B023

        def durable() -> tuple[float, int]:
            with tempfile.TemporaryDirectory() as directory:
                return ours(table, Path(directory) / "store")  # noqa: B023

        synced = best(durable, len(table))
        peers = {f"duckdb {duckdb.__version__}": best(lambda: in_duckdb(table), len(table))}  # noqa: B023
        peers[f"chdb {chdb.__version__}"] = best(lambda: in_chdb(table), len(table))  # noqa: B023
        ratios = ", ".join(f"{memory / rate:.2f} x {name}" for name, rate in peers.items())
        results.append(Result(f"load {ids}, memory", memory, "M events/s", floor, note=ratios))
        results.append(Result(f"load {ids}, durable", synced, "M events/s"))
        results += [Result(f"load {ids}, {name}", rate, "M events/s") for name, rate in peers.items()]
    return results
