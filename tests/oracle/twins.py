"""The real store and the model side by side: the same records in, the same questions asked, every answer compared."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any, Self

import msgpack

from cdpstore._core import CoreError
from cdpstore.errors import BadQuery, LimitExceeded, from_core
from cdpstore.model import Ack, Event, Operation, milliseconds_of
from cdpstore.query import to_spec
from cdpstore.store import Store, _table
from cdpstore.table import ProfileAnswer, Table
from cdpstore.testing import ModelStore
from cdpstore.testing.strategies import Batch
from cdpstore.testing.values import is_number, typed

CARE = ("nothing", "seal", "compact")


class Twins:
    """Feeds both and compares; an assertion fails at the first difference."""

    def __init__(self) -> None:
        self.real = Store.open(background=False)
        self.model = ModelStore.open()
        self.now_ms = 0

    @classmethod
    def of(cls, history: Sequence[Batch], care: Sequence[str]) -> Self:
        """Both with a history, the real one cared for between its batches."""
        twins = cls()
        for batch, what in zip(history, care, strict=False):
            twins.append(batch)
            twins.care(what)
        return twins

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the real one's threads."""
        self.real.close()

    def append(self, batch: Batch) -> Ack:
        """One batch into both; their acks must tell the same."""
        self.now_ms = batch.received_ms
        expected = self.model.append(batch.records, now_ms=batch.received_ms, system=batch.system)
        ack = self.real.append(batch.records, now_ms=batch.received_ms, system=batch.system)
        assert ack is not None
        assert _ack_key(ack) == _ack_key(expected)
        return ack

    def care(self, what: str) -> None:
        """Changes how the real one holds its rows; no answer may change with it."""
        if what != "nothing":
            getattr(self.real, what)()

    def ask(self, spec: Mapping[str, Any], *, now_ms: int | None = None) -> None:
        """One question to both; rows are compared as sorted by value."""
        at_ms = self.now_ms if now_ms is None else now_ms
        expected = outcome(lambda: self.model.query(spec, now_ms=at_ms))
        assert self.answer(spec, at_ms) == expected, f"{spec} at {at_ms}"

    def answer(self, spec: Mapping[str, Any], now_ms: int | None = None) -> Any:
        """What the real one says, in a form that compares."""
        return outcome(lambda: self.real.query(spec, now_ms=self.now_ms if now_ms is None else now_ms))

    def ask_both_ways(self, spec: Mapping[str, Any], *, now_ms: int | None = None) -> None:
        """As `ask`; and the real one answers row by row as by its kernels."""
        at_ms = self.now_ms if now_ms is None else now_ms
        self.ask(spec, now_ms=at_ms)
        assert row_by_row(self.real, spec, at_ms) == self.answer(spec, at_ms), f"{spec} at {at_ms}"

    def ask_profile(self, ids: Any, events: Mapping[str, Any] | None = None, *, as_of_ms: int | None = None) -> None:
        """One profile from both."""
        when = {"now_ms": self.now_ms} if as_of_ms is None else {"as_of_ms": as_of_ms}
        expected = self.model.profile(ids, events=events, **when)
        answer = self.real.profile(ids, events=events, **when)
        assert _profile_key(answer) == _profile_key(expected)


def row_by_row(store: Store, question: Any, now_ms: int) -> Any:
    """The outcome of a question where every profile is looked at by its rows: the plain meaning of each kind."""
    packed = msgpack.packb(to_spec(question), datetime=True)

    def ask() -> Table:
        try:
            return _table(store._engine.query(packed, now_ms, force_rows=True))
        except CoreError as error:
            raise from_core(*error.args) from None

    return outcome(ask)


def reads(store: Any, now_ms: int, ids: Sequence[Any]) -> list[Any]:
    """What can be read of these identities, in a form that compares: for histories that must mean the same."""
    return [_profile_key(store.profile(each, events={}, now_ms=now_ms)) for each in ids]


def table_key(table: Table) -> Any:
    """Names and sorted rows: equal exactly when two tables say the same."""
    rows = [tuple(cell_key(cell) for cell in row) for row in table.rows()]
    return table.names, sorted(rows)


def cell_key(cell: Any) -> tuple[int, Any]:
    """Equal for equal values; a number is its value, an instant its milliseconds, whatever type carries it."""
    if is_number(cell) and cell not in (float("inf"), float("-inf")):
        return 2, Fraction(cell)
    if isinstance(cell, datetime):
        return 2, Fraction(milliseconds_of(cell))
    if isinstance(cell, float):
        return 3, cell
    return typed(cell)


def outcome(ask: Any) -> Any:
    """The key of a table, or of the refusal: some questions contradict themselves."""
    try:
        return table_key(ask())
    except (BadQuery, LimitExceeded) as error:  # anything else is a fault, however often it comes
        return type(error).__name__, error.code, error.path


def _ack_key(ack: Ack) -> Any:
    rejects = [(each.index, each.code, each.path) for each in ack.rejects]
    return ack.sequence, ack.accepted, ack.duplicates, rejects


def _profile_key(answer: ProfileAnswer | None) -> Any:
    if answer is None:
        return None
    return {
        "profile_id": answer.profile_id,
        "identities": sorted(answer.identities),
        "traits": _map_key(answer.traits),
        "trait_history": [_operation_key(each) for each in answer.trait_history],
        "events": [_event_key(each) for each in answer.events],
        "devices": answer.devices,
        "consents": answer.consents,
        "changes": answer.changes,
        "groups": [(each.kind, each.id, each.role, each.joined_ms, _map_key(each.traits)) for each in answer.groups],
        "lists": answer.lists,
        "suppression": answer.suppression,
    }


def _map_key(values: Mapping[str, Any]) -> Any:
    return sorted((key, typed(value)) for key, value in values.items() if value is not None)


def _operation_key(operation: Operation) -> Any:
    return operation.key, operation.kind, typed(operation.value), operation.time_ms


def _event_key(event: Event) -> Any:
    return event.name, event.time_ms, _map_key(event.properties)
