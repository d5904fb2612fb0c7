"""Stories by the book (`tests/cases/segments`, `identity`, `calendars`): what happened, and what is then answered,
worked out by hand, for the engine and for the model.

A file: `records` in their order: `[name, time, {"who": user id or "~anonymous id", property: value}]` is an event,
a map is a record with `time` and `$time` in words, an unmerge `of` the record of that number (from 0); `now`; `ask`:
`spec`, and `members` (user ids) or `columns` and `rows`, instants in words where a column's name ends in `_ms`.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cdpstore.model import milliseconds_of

BOOK = Path(__file__).parents[1] / "cases"
CASES = sorted(path for name in ("segments", "identity", "calendars") for path in (BOOK / name).glob("*.json"))


def _milliseconds(text: str) -> int:
    return milliseconds_of(datetime.fromisoformat(text))


def _ids(who: str) -> dict[str, str]:
    return {"anonymous_id": who[1:]} if who.startswith("~") else {"user_id": who}


def _with_instants(value: Any) -> Any:
    if isinstance(value, dict):
        timed = isinstance(value.get("$time"), str)
        return {"$time": _milliseconds(value["$time"])} if timed else {k: _with_instants(v) for k, v in value.items()}
    return [_with_instants(item) for item in value] if isinstance(value, list) else value


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


def _cell(name: str, cell: Any) -> Any:
    return _milliseconds(cell) if name.endswith("_ms") and isinstance(cell, str) else cell


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_story_of_the_book(store: Any, path: Path) -> None:
    case = json.loads(path.read_text())
    now_ms, sequences = _milliseconds(case["now"]), list[int]()
    for each in case["records"]:
        ack = store.append([_record(each, sequences)], now_ms=now_ms)
        assert len(ack.rejects) == (1 if isinstance(each, dict) and each.get("refused") else 0)
        sequences.append(ack.sequence)
    for ask in case["ask"]:
        spec = {"kind": "profiles", **_with_instants(ask["spec"])}
        answer = store.query(spec, now_ms=now_ms)
        if "members" in ask:
            members = [store.profile(_ids(who), now_ms=now_ms).profile_id for who in ask["members"]]
            assert [row[0] for row in answer.rows()] == sorted(members), ask["why"]
        else:
            assert list(answer.names) == ask["columns"], ask["why"]
            expected = [
                [_cell(name, cell) for name, cell in zip(answer.names, row, strict=True)] for row in ask["rows"]
            ]
            assert sorted(map(list, answer.rows()), key=repr) == sorted(expected, key=repr), ask["why"]
