"""cdpstore through its public face. User n is profile n: traits of all users come first, and origins count up."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cdpstore
from bench.data import records, schema
from bench.versus.engine import Row, canonical, point_users
from bench.versus.specs import SPECS
from cdpstore.store import Store
from cdpstore.table import Table

INTERVAL_DAYS = (1, 7, 30)
EVENT_PARTS = {"rows", "chunks", "layers", "tail"}


def load(store: Store, folder: Path) -> None:
    """The whole data set, in arrival order, then brought into order (the peers sort theirs too)."""
    fill(store, folder, records.read_batches(records.batch_file(folder)))


def fill(store: Store, folder: Path, events: Iterable[bytes]) -> None:
    """The same from batches that are made as they are needed, where a file of them would be large."""
    for batch in records.trait_batches(folder):
        store.append(batch, wait="none", now_ms=schema.START_MS)
    for batch in events:
        store.append(batch, wait="none", now_ms=schema.END_MS)
    store.flush()
    store.compact()


def days_since_start(time_ms: Any) -> Any:
    """Whole days from the start of the data."""
    return (time_ms - schema.START_MS) // schema.DAY_MS


def active_rows(table: Table) -> list[Row]:
    """(interval, bucket, profiles) as the peers count buckets."""
    rows = zip(
        table.column("interval"), days_since_start(table.column("start_ms")), table.column("unique"), strict=True
    )
    return canonical((interval, day // INTERVAL_DAYS[interval], unique) for interval, day, unique in rows)


def retention_rows(table: Table, days: int) -> list[Row]:
    """(cohort, period, profiles); the peers have no rows of nobody."""
    cohorts = days_since_start(table.column("cohort_ms")) // days
    rows = zip(cohorts, table.column("period"), table.column("profiles"), strict=True)
    return canonical(row for row in rows if row[2] > 0)


def product_rows(table: Table) -> list[Row]:
    """The named products; the row of all others is ours alone."""
    rows = zip(table.column("product_id"), table.column("sum(price)"), table.column("total"), strict=True)
    return canonical(row for row in rows if not isinstance(row[0], str))


class Ours:
    """One form a question; the store chooses."""

    def version(self) -> str:
        return f"cdpstore {cdpstore.__version__}"

    def load(self, folder: Path) -> None:
        self.store = Store.open()
        load(self.store, folder)
        self.event_count = records.event_count(folder)
        self.points = [{"user_id": records.user_text(user)} for user in point_users(folder)]

    def bytes_per_event(self) -> float:
        """Chunks and tail with all their indexes; profiles, identities and event ids have figures of their own."""
        parts = self.store.memory()
        stored = sum(part["size_bytes"] for name, part in parts.items() if name in EVENT_PARTS)
        return stored / self.event_count

    def forms(self, question: str) -> list[str]:
        if question == "q16":
            return ["profile"]
        return ["2 threads"] if question in SPECS else []

    def run(self, question: str, form: str) -> Any:
        if question == "q16":
            return [self.store.profile(ids, events={}, now_ms=schema.END_MS) for ids in self.points]
        return self.store.query(SPECS[question], now_ms=schema.END_MS, threads=int(form[0]))

    def rows(self, question: str, answer: Any) -> list[Row]:
        match question:
            case "q16":
                return canonical((len(profile.events), 1) for profile in answer)
            case "q1":
                days = days_since_start(answer.column("start_ms"))
                return canonical(zip(days, answer.column("event"), answer.column("total"), strict=True))
            case "q2":
                return active_rows(answer)
            case "q7":
                return retention_rows(answer, 7)
            case "q8":
                return retention_rows(answer, 1)
            case "q9":
                return product_rows(answer)
            case "q15":
                return canonical([(answer.notes["count"],)])
            case _:
                return canonical(answer.rows())
