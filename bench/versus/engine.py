"""What an engine must offer to be timed, and how answers are compared."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.parquet as pq

from bench.versus.questions import POINT_READS

Row = tuple[Any, ...]


class Engine(Protocol):
    """`run` is timed and returns the finished answer on the Python side; `rows` is not, and makes it comparable."""

    def load(self, folder: Path) -> None: ...

    def version(self) -> str: ...

    def bytes_per_event(self) -> float: ...

    def forms(self, question: str) -> list[str]: ...

    def run(self, question: str, form: str) -> Any: ...

    def rows(self, question: str, answer: Any) -> list[Row]: ...


def canonical(rows: Iterable[Sequence[Any]]) -> list[Row]:
    """Plain values, sorted, so that equal answers hash alike whatever engine gave them."""
    return sorted((tuple(_plain(value) for value in row) for row in rows), key=lambda row: tuple(map(str, row)))


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.3f}"
    return str(value)


def arrow_rows(table: Any) -> list[Row]:
    """Rows of an Arrow table."""
    columns = [column.to_pylist() for column in table.columns]
    return canonical(zip(*columns, strict=True)) if columns else []


def point_users(folder: Path) -> list[int]:
    """The users that q16 reads: the same in every engine."""
    first = pq.ParquetFile(folder / "events.parquet").read_row_group(0, columns=["user_id"])
    users = np.unique(first["user_id"].to_numpy())
    count = min(POINT_READS, len(users))
    return [int(user) for user in np.random.default_rng(7).choice(users, count, replace=False)]
