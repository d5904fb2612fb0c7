"""ClickHouse in this process (chdb): MergeTree by user, MergeTree by event, and Memory sorted by user."""

from pathlib import Path
from typing import Any

import chdb
from chdb import session

from bench.data import schema
from bench.versus import chdb_sql
from bench.versus.engine import Row, arrow_rows, canonical, point_users

COPIES = {"user": "e_user", "event": "e_event", "memory": "e_memory"}
KINDS = {
    "user": "MergeTree ORDER BY (user_id, time_ms)",
    "event": "MergeTree ORDER BY (event, user_id, time_ms)",
    "memory": "Memory",
}
COLUMNS = "user_id, time_ms, event, category, price, product_id, currency, platform, session_id"


def enum_of(names: list[str]) -> str:
    """Enum8 with the codes of the schema."""
    return "Enum8(" + ", ".join(f"'{name}' = {code}" for code, name in enumerate(names)) + ")"


class ClickHouse:
    """The fastest copy and setting count."""

    def __init__(self) -> None:
        self.session = session.Session()
        self.sql = chdb_sql.queries()
        self.session.query("SET max_threads = 2")

    def version(self) -> str:
        server = self.session.query("SELECT version()").data().strip().strip('"')
        return f"chdb {chdb.__version__} (ClickHouse {server})"

    def load(self, folder: Path) -> None:
        columns = (
            f"user_id UInt32, time_ms UInt64, event {enum_of(schema.EVENTS)}, category {enum_of(schema.CATEGORIES)}, "
            f"price Int32, product_id UInt32, currency {enum_of(schema.CURRENCIES)}, "
            f"platform {enum_of(schema.PLATFORMS)}, session_id UInt32"
        )
        self.session.query("CREATE DATABASE IF NOT EXISTS b ENGINE = Atomic")
        self.session.query("USE b")
        for copy, table in COPIES.items():
            source = f"file('{folder}/events.parquet', Parquet)" if copy == "user" else COPIES["user"]
            order = "event, user_id, time_ms" if copy == "event" else "user_id, time_ms"
            self.session.query(f"CREATE TABLE {table} ({columns}) ENGINE = {KINDS[copy]}")
            self.session.query(f"INSERT INTO {table} SELECT {COLUMNS} FROM {source} ORDER BY {order}")
            if copy != "memory":
                self.session.query(f"OPTIMIZE TABLE {table} FINAL")
        self.session.query(
            f"CREATE TABLE u (user_id UInt32, country {enum_of(schema.COUNTRIES)}, plan {enum_of(schema.PLANS)}, "
            "age UInt8, signup_day Int16, city LowCardinality(String), device LowCardinality(String), "
            "zone_minutes Int16) ENGINE = MergeTree ORDER BY user_id"
        )
        self.session.query(
            "INSERT INTO u SELECT user_id, country, plan, age, signup_day, city, device, zone_minutes "
            f"FROM file('{folder}/users.parquet', Parquet)"
        )
        self.points = point_users(folder)

    def bytes_per_event(self) -> float:
        """Of the copy in memory."""
        sql = "SELECT total_bytes / total_rows FROM system.tables WHERE database = 'b' AND name = 'e_memory'"
        return float(self.session.query(sql, "TabSeparated").data())

    def forms(self, question: str) -> list[str]:
        if question == "q16":
            return ["q16|user|0"]
        names = [name for name in self.sql if name == question or name.startswith(f"{question}_")]
        return [
            f"{name}|{copy}|{in_order}"
            for name in names
            for copy in COPIES
            for in_order in ((0, 1) if copy == "user" else (0,))
        ]

    def run(self, question: str, form: str) -> Any:
        if question == "q16":
            return [(self._point("q16_events", user), self._point("q16_profile", user)) for user in self.points]
        name, copy, in_order = form.split("|")
        settings = f" SETTINGS optimize_aggregation_in_order = {in_order}, max_threads = 2"
        return self.session.query(self.sql[name].replace("{E}", COPIES[copy]) + settings, "ArrowTable")

    def _point(self, name: str, user: int) -> str:
        sql = self.sql[name].replace("{E}", COPIES["user"]).replace("{UID}", str(user))
        return str(self.session.query(sql, "TabSeparated").data())

    def rows(self, question: str, answer: Any) -> list[Row]:
        if question == "q16":
            return canonical((events.count("\n"), profile.count("\n")) for events, profile in answer)
        return arrow_rows(answer)
