"""Trends by the book (`tests/cases/trend`): a rule a file, worked out by hand, for the engine and for the model."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cdpstore.model import milliseconds_of

CASES = sorted((Path(__file__).parents[1] / "cases" / "trend").glob("*.json"))
NOW = milliseconds_of(datetime.fromisoformat("2026-03-01T00:00Z"))


def _milliseconds(text: str) -> int:
    return milliseconds_of(datetime.fromisoformat(text))


def _records(events: list[Any]) -> list[dict[str, Any]]:
    out = []
    for name, time, more in events:
        properties = {key: value for key, value in more.items() if key != "who"}
        ids = {"user_id": more["who"]}
        record = {"type": "event", "name": name, "time_ms": _milliseconds(time), "ids": ids, "properties": properties}
        out.append(record)
    return out


def _sorted(rows: list[Any]) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, rows), key=repr)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_of_the_book(store: Any, path: Path) -> None:
    case = json.loads(path.read_text())
    store.append(_records(case["events"]), now_ms=NOW)
    for ask in case["ask"]:
        answer = store.query({"kind": "trend", **ask["spec"]}, now_ms=NOW)
        assert list(answer.names) == ask["columns"], ask["why"]
        timed = ask["columns"][0] == "start_ms"
        expected = [[_milliseconds(row[0]), *row[1:]] if timed else row for row in ask["rows"]]
        found = [[float(cell) if isinstance(cell, int) else cell for cell in row] for row in answer.rows()]
        wanted = [[float(cell) if isinstance(cell, int) else cell for cell in row] for row in expected]
        assert _sorted(found) == _sorted(wanted), ask["why"]
