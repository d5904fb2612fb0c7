"""Answers: a `Table` of named columns that own their memory, and the `ProfileAnswer` of one profile.

A table knows the watermark it was computed at and the `now_ms` that relative times were resolved with, so the same
question can be asked again and must give the same rows. Columns are numpy arrays: int64, uint64 or float64 where every
cell is one, object arrays where cells are null, text, of several types, or beyond 64 bits.

>>> table = Table.from_rows(["country", "total"], [["AT", 3], ["IN", 12]], watermark=7, now_ms=0)
>>> table["total"].dtype.name, table.rows()
('int64', [('AT', 3), ('IN', 12)])
>>> print(table)
country  total
-------  -----
AT           3
IN          12
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self, TypeAlias

import msgpack
import msgspec
import numpy as np

from cdpstore.model import (
    Change,
    Consent,
    Device,
    Event,
    Identity,
    Listed,
    Membership,
    Operation,
    Suppression,
    datetime_of,
    milliseconds_of,
)

__all__ = ["GroupAnswer", "ProfileAnswer", "Table"]

Column: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_INT64: Final = range(-(2**63), 2**63)
_SHOWN_ROWS: Final = 60


class Table:
    """Columns of equal length in a fixed order. Immutable by agreement: the arrays are marked read-only."""

    __slots__ = ("_columns", "_names", "notes", "now_ms", "watermark")

    def __init__(
        self,
        names: Sequence[str],
        columns: Sequence[Column],
        *,
        watermark: int = 0,
        now_ms: int = 0,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        if len(names) != len(columns) or len(set(names)) != len(names):
            raise ValueError("names must be distinct, one a column")
        if len({len(column) for column in columns}) > 1:
            raise ValueError("columns must have one length")
        self._names = tuple(names)
        self._columns = tuple(columns)
        for column in self._columns:
            column.flags.writeable = False
        self.watermark = watermark
        self.now_ms = now_ms
        self.notes: dict[str, Any] = dict(notes or {})

    @classmethod
    def from_rows(
        cls,
        names: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        watermark: int = 0,
        now_ms: int = 0,
        notes: Mapping[str, Any] | None = None,
    ) -> Self:
        """A table of Python rows; each column takes the narrowest exact type that all its cells share."""
        cells = zip(*rows, strict=True) if rows else ([] for _ in names)
        columns = [_column(list(column)) for column in cells]
        return cls(names, columns, watermark=watermark, now_ms=now_ms, notes=notes)

    @classmethod
    def from_core(cls, answer: tuple[Sequence[str], Sequence[Column], int, int, Mapping[str, Any]]) -> Self:
        """The answer of the engine: `(names, columns, watermark, now_ms, notes)`, columns owning their memory."""
        names, columns, watermark, now_ms, notes = answer
        return cls(names, columns, watermark=watermark, now_ms=now_ms, notes=notes)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return self._names

    @property
    def columns(self) -> dict[str, Column]:
        """The columns by name, in order. No copies."""
        return dict(zip(self._names, self._columns, strict=True))

    def column(self, name: str) -> Column:
        """The column of this name; `KeyError` when there is none."""
        try:
            return self._columns[self._names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __getitem__(self, name: str) -> Column:
        return self.column(name)

    def __len__(self) -> int:
        return len(self._columns[0]) if self._columns else 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows())

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of plain Python values."""
        if not self._columns:
            return []
        return list(zip(*(column.tolist() for column in self._columns), strict=True))

    def to_dict(self) -> dict[str, list[Any]]:
        """The columns as lists of plain Python values."""
        return {name: column.tolist() for name, column in self.columns.items()}

    def to_json(self) -> bytes:
        """`{"names", "rows", "watermark", "now_ms", "notes"}`; datetimes as `{"$time": ms}`, larger integers as text.

        >>> Table.from_rows(["n"], [[2**70]], watermark=1).to_json()
        b'{"names":["n"],"rows":[["1180591620717411303424"]],"watermark":1,"now_ms":0,"notes":{}}'
        """
        return msgspec.json.encode(_plain(self._body(), _json_time))

    def to_msgpack(self) -> bytes:
        """The same map as msgpack; datetimes as timestamps."""
        packed = msgpack.packb(_plain(self._body(), msgpack.Timestamp.from_datetime))
        assert isinstance(packed, bytes)
        return packed

    @classmethod
    def from_msgpack(cls, body: bytes) -> Self:
        """What `to_msgpack` wrote, except that integers beyond int64 stay text."""
        fields = msgpack.unpackb(body, timestamp=3)
        return cls.from_rows(
            fields["names"],
            fields["rows"],
            watermark=fields["watermark"],
            now_ms=fields["now_ms"],
            notes=fields["notes"],
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return self._body() == other._body()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Table({', '.join(self._names)}; {len(self)} rows, watermark {self.watermark})"

    def __str__(self) -> str:
        """Aligned for a terminal, numbers to the right; long tables are cut and say so."""
        rows = self.rows()
        shown = [[_text(cell) for cell in row] for row in rows[:_SHOWN_ROWS]]
        right = [_is_numeric(column) for column in self._columns]
        widths = [max(map(len, cells)) for cells in zip(self._names, *shown, strict=True)]
        lines = [self._names, ["-" * width for width in widths], *shown]
        body = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        if len(rows) > _SHOWN_ROWS:
            body.append(f"... {len(rows) - _SHOWN_ROWS} more rows")
        return "\n".join(body)

    def _body(self) -> dict[str, Any]:
        return {
            "names": list(self._names),
            "rows": [list(row) for row in self.rows()],
            "watermark": self.watermark,
            "now_ms": self.now_ms,
            "notes": self.notes,
        }


class _Whole(msgspec.Struct, frozen=True):
    """A thing told whole, as plain data in several forms."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, datetimes kept."""
        fields = msgspec.to_builtins(self, builtin_types=(datetime,))
        assert isinstance(fields, dict)
        return fields

    def to_json(self) -> bytes:
        """The same as JSON; datetimes as `{"$time": ms}`."""
        return msgspec.json.encode(_plain(self.to_dict(), _json_time))

    def to_msgpack(self) -> bytes:
        """The same as msgpack; datetimes as timestamps."""
        packed = msgpack.packb(_plain(self.to_dict(), msgpack.Timestamp.from_datetime))
        assert isinstance(packed, bytes)
        return packed

    @classmethod
    def from_msgpack(cls, body: bytes) -> Self:
        """What `to_msgpack` wrote.

        >>> answer = ProfileAnswer(7, (Identity("user_id", "u1"),), {"n": 1}, (), (Event("A", 5, {"x": [1]}),))
        >>> ProfileAnswer.from_msgpack(answer.to_msgpack()) == answer
        True
        """
        return msgspec.convert(msgpack.unpackb(body, timestamp=3), cls)


class ProfileAnswer(_Whole, frozen=True):
    """All that is known of one profile at a watermark.

    `traits` are folded values; `trait_history` is every operation in order of time; `events` in event order, or newest
    first when asked so. `devices`, `consents`, `groups`, `lists` and `suppression` are as they stand, by when they were
    first told of; `changes` is every operation on them in order of time. `created_ms` is when any of its identities was
    first named, None when that is not known.
    """

    profile_id: int
    identities: tuple[Identity, ...] = ()
    traits: dict[str, Any] = {}
    trait_history: tuple[Operation, ...] = ()
    events: tuple[Event, ...] = ()
    created_ms: int | None = None
    watermark: int = 0
    now_ms: int = 0
    devices: tuple[Device, ...] = ()
    consents: tuple[Consent, ...] = ()
    changes: tuple[Change, ...] = ()
    groups: tuple[Membership, ...] = ()
    lists: tuple[Listed, ...] = ()
    suppression: Suppression | None = None


class GroupAnswer(_Whole, frozen=True):
    """All that is known of one group at a watermark, its members aside: traits folded and every operation on them in
    order of time. `created_ms` is the earliest time of a record about its traits."""

    kind: str
    id: str
    traits: dict[str, Any] = {}
    trait_history: tuple[Operation, ...] = ()
    created_ms: int | None = None
    watermark: int = 0
    now_ms: int = 0


def _column(cells: list[Any]) -> Column:
    kinds = {type(cell) for cell in cells}
    if kinds == {int} and all(cell in _INT64 for cell in cells):
        return np.array(cells, dtype=np.int64)
    if kinds == {float}:
        return np.array(cells, dtype=np.float64)
    column = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):  # not column[:] = cells: numpy would take lists apart
        column[index] = cell
    return column


def _is_numeric(column: Column) -> bool:
    if column.dtype != object:
        return column.dtype.kind in "iuf"
    return all(cell is None or type(cell) in (int, float) for cell in column)


def _text(cell: object) -> str:
    match cell:
        case None:
            return "-"
        case str():
            return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in cell)
        case datetime():
            return datetime_of(milliseconds_of(cell)).isoformat(timespec="milliseconds")
        case _:
            return str(cell)


def _json_time(moment: datetime) -> dict[str, int]:
    return {"$time": milliseconds_of(moment)}


def _plain(value: Any, time: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(each, time) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each, time) for each in value]
        case datetime():
            return time(value)
        case bool():
            return value
        case int() if value not in _INT64:
            return str(value)
        case _:
            return value
