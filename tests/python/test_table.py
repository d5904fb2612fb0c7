"""Tables keep every value exact in every form."""

import msgspec
import numpy as np
import pytest

from cdpstore.model import Event, Identity, Operation, datetime_of
from cdpstore.table import ProfileAnswer, Table

MOMENT = datetime_of(1_700_000_000_123)
ROWS = [[None, 1, 1.5, MOMENT], ["x", 2, None, None], [3, 2**63 - 1, 0.1, MOMENT]]


def _table() -> Table:
    return Table.from_rows(["a", "b", "c", "d"], ROWS, watermark=9, now_ms=8, notes={"count": 3})


def test_rows_are_what_went_in() -> None:
    assert [list(row) for row in _table().rows()] == ROWS
    assert _table().to_dict()["c"] == [1.5, None, 0.1]
    assert _table()["b"].dtype == np.int64


def test_msgpack_brings_the_same_table_back() -> None:
    assert Table.from_msgpack(_table().to_msgpack()) == _table()


def test_json_writes_datetimes_as_milliseconds() -> None:
    body = msgspec.json.decode(_table().to_json())
    assert body["rows"][0] == [None, 1, 1.5, {"$time": 1_700_000_000_123}]
    assert (body["watermark"], body["now_ms"], body["notes"]) == (9, 8, {"count": 3})


def test_columns_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        _table()["b"][0] = 1


def test_an_unknown_column_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        _table().column("nope")


def test_a_list_stays_one_cell() -> None:
    assert Table.from_rows(["l"], [[[1, 2]], [[3]]]).rows() == [([1, 2],), ([3],)]


def test_an_empty_table_has_its_columns() -> None:
    table = Table.from_rows(["a", "b"], [])
    assert (table.names, table.rows(), len(table)) == (("a", "b"), [], 0)
    assert str(table) == "a  b\n-  -"


def test_the_text_hides_control_characters() -> None:
    assert "\x1b" not in str(Table.from_rows(["a"], [["\x1b[31m"]]))


def test_columns_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        Table(["a", "b"], [np.zeros(1), np.zeros(2)])


def test_a_profile_answer_becomes_json() -> None:
    answer = ProfileAnswer(
        4,
        (Identity("user_id", "u"),),
        {"plan": "pro", "at": MOMENT},
        (Operation("plan", "set", "pro", 5),),
        (Event("Seen", 7, {"n": 1}),),
        watermark=2,
    )
    assert msgspec.json.decode(answer.to_json())["traits"]["at"] == {"$time": 1_700_000_000_123}
