"""DuckDB in memory: a copy by user and one by event, enums, prepared statements for point reads."""

from pathlib import Path
from typing import Any

import duckdb

from bench.data import schema
from bench.versus import duckdb_sql
from bench.versus.engine import Row, arrow_rows, canonical, point_users

COPIES = {"user": "e_user", "event": "e_event"}
ENUMS = {
    "event_t": schema.EVENTS,
    "category_t": schema.CATEGORIES,
    "currency_t": schema.CURRENCIES,
    "platform_t": schema.PLATFORMS,
    "country_t": schema.COUNTRIES,
    "plan_t": schema.PLANS,
}


class Duck:
    """The faster copy counts."""

    def __init__(self) -> None:
        self.db = duckdb.connect(":memory:", config={"threads": 2})
        self.sql = duckdb_sql.queries()

    def version(self) -> str:
        return f"duckdb {duckdb.__version__}"

    def load(self, folder: Path) -> None:
        for name, values in ENUMS.items():
            self.db.execute(f"CREATE TYPE {name} AS ENUM ({', '.join(repr(value) for value in values)})")
        columns = (
            "user_id, time_ms, event::event_t AS event, category::category_t AS category, price, product_id, "
            "currency::currency_t AS currency, platform::platform_t AS platform, session_id"
        )
        for copy, table in COPIES.items():
            order = "event, user_id, time_ms" if copy == "event" else "user_id, time_ms"
            self.db.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM '{folder}/events.parquet' ORDER BY {order}")
        self.db.execute(
            "CREATE TABLE u AS SELECT user_id, country::country_t AS country, plan::plan_t AS plan, age, signup_day, "
            f"city, device, zone_minutes FROM '{folder}/users.parquet' ORDER BY user_id"
        )
        for name in ("q16_events", "q16_profile"):
            sql = self.sql[name].replace("{E}", COPIES["user"]).replace("{UID}", "?::UINTEGER")
            self.db.execute(f"PREPARE {name} AS {sql}")
        self.points = point_users(folder)

    def bytes_per_event(self) -> float:
        """Of one of the two copies."""
        memory = "SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
        blocks, events = self.db.execute(f"SELECT ({memory}), count(*) FROM e_user").fetchall()[0]
        return float(blocks) / len(COPIES) / float(events)

    def forms(self, question: str) -> list[str]:
        if question == "q16":
            return ["q16|user"]
        names = [name for name in self.sql if name == question or name.startswith(f"{question}_")]
        return [f"{name}|{copy}" for name in names for copy in COPIES]

    def run(self, question: str, form: str) -> Any:
        if question == "q16":
            return [(self._point("q16_events", user), self._point("q16_profile", user)) for user in self.points]
        name, copy = form.split("|")
        return self.db.sql(self.sql[name].replace("{E}", COPIES[copy])).to_arrow_table()

    def _point(self, name: str, user: int) -> list[Any]:
        return self.db.execute(f"EXECUTE {name}({user})").fetchall()

    def rows(self, question: str, answer: Any) -> list[Row]:
        if question == "q16":
            return canonical((len(events), len(profile)) for events, profile in answer)
        return arrow_rows(answer)
