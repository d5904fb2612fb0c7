"""Stories by the book (`tests/cases/segments`, `identity`, `calendars`, and `stories` of the kinds of questions): what
happened, and what is then answered, worked out by hand, for the engine and for the model.

A file: `records` in their order: `[name, time, {"who": user id or "~anonymous id", property: value}]` is an event,
a map is a record with `time` and `$time` in words, an unmerge `of` the record of that number (from 0); `now`; `ask`:
`spec`, and `members` (user ids) or `columns` and `rows`, instants in words where a name ends in `_ms`, also in specs.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cdpstore.model import milliseconds_of
from cdpstore.table import Table
from cdpstore.testing import ModelStore
from tests.oracle.twins import table_key

BOOK = Path(__file__).parents[1] / "cases"
FOLDERS = ("segments", "identity", "calendars", "*/stories")
CASES = sorted(path for folder in FOLDERS for path in BOOK.glob(f"{folder}/*.json"))


def _milliseconds(text: str) -> int:
    return milliseconds_of(datetime.fromisoformat(text))


def _ids(who: str) -> dict[str, str]:
    return {"anonymous_id": who[1:]} if who.startswith("~") else {"user_id": who}


def _with_instants(value: Any) -> Any:
    if isinstance(value, dict):
        timed = isinstance(value.get("$time"), str)
        return {"$time": _milliseconds(value["$time"])} if timed else {k: _instant(k, v) for k, v in value.items()}
    return [_with_instants(item) for item in value] if isinstance(value, list) else value


def _instant(name: str, value: Any) -> Any:
    """Under a name that ends in `_ms` a text is an instant."""
    return _milliseconds(value) if name.endswith("_ms") and isinstance(value, str) else _with_instants(value)


def _record(each: Any, sequences: list[int]) -> dict[str, Any]:
    if isinstance(each, list):
        name, time, more = each
        properties = {key: value for key, value in more.items() if key != "who"}
        each = {
            "type": "event",
            "name": name,
            "time": time,
            "ids": _ids(more.get("who", "u")),
            "properties": properties,
        }
    record = {key: value for key, value in each.items() if key not in ("time", "of", "refused")}
    for field in ("ids", "anonymous", "known", "winner", "loser"):
        if isinstance(record.get(field), str):
            record[field] = _ids(record[field])
    if "time" in each:
        record["time_ms"] = _milliseconds(each["time"])
    if "of" in each:
        record["sequence"] = sequences[each["of"]]
    return _with_instants(record)


@pytest.mark.parametrize("path", CASES, ids=lambda path: str(path.relative_to(BOOK).with_suffix("")))
def test_a_story_of_the_book(store: Any, path: Path) -> None:
    case = json.loads(path.read_text())
    now_ms, sequences = _milliseconds(case["now"]), list[int]()
    for each in case["records"]:
        ack = store.append([_record(each, sequences)], now_ms=now_ms)
        assert len(ack.rejects) == (1 if isinstance(each, dict) and each.get("refused") else 0)
        sequences.append(ack.sequence)
    for ask in case["ask"]:
        if isinstance(store, ModelStore) and "cell" in ask["spec"].get("where", {}):
            continue  # which the model does not know: tests/oracle/test_cells.py
        spec = {"kind": "profiles", **_with_instants(ask["spec"])}
        answer = store.query(spec, now_ms=now_ms)
        if "members" in ask:
            members = [store.profile(_ids(who), now_ms=now_ms).profile_id for who in ask["members"]]
            assert [row[0] for row in answer.rows()] == sorted(members), ask["why"]
        else:
            assert list(answer.names) == ask["columns"], ask["why"]
            rows = [[*map(_instant, answer.names, row)] for row in ask["rows"]]
            assert table_key(answer) == table_key(Table.from_rows(answer.names, rows)), ask["why"]
