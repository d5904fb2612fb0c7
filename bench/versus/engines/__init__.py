"""One class per engine. To add one: a file, and its line in `ENGINES`.

Classes are imported when asked for: each engine runs in a process of its own that has no other one loaded.
"""

import importlib

from bench.versus.engine import Engine

ENGINES = {
    "cdpstore": "bench.versus.engines.ours:Ours",
    "chdb": "bench.versus.engines.clickhouse:ClickHouse",
    "duckdb": "bench.versus.engines.duck:Duck",
    "polars": "bench.versus.engines.polar:Polars",
}


def create(name: str) -> Engine:
    """The engine of that name, not yet loaded."""
    module, class_name = ENGINES[name].split(":")
    engine: Engine = getattr(importlib.import_module(module), class_name)()
    return engine
