"""Rows out of a store, for any library that reads Arrow: duckdb, polars, pandas, pyarrow.

`ArrowRows` is a source of rows of one version, not the rows: every consumer that asks starts a reading of its own,
which takes rows a stripe of profiles at a time, so memory stays bounded. Nothing but the consumer is needed: pyarrow is
one of many.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from cdpstore import _core
from cdpstore.query.predicate import Predicate

__all__ = ["ArrowRows", "ColumnSpec", "events_spec", "facts_spec", "groups_spec", "profiles_spec"]

ColumnSpec: TypeAlias = str | Mapping[str, str]
"""A key, or `{"property" | "trait": key, "type"?: type, "as"?: name}`."""


class ArrowRows:
    """Rows of one pinned version with Arrow's C stream interface; may be read many times, by many readers at once."""

    __slots__ = ("_rows",)

    def __init__(self, rows: _core.Export) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A new reading of all rows. A requested schema is not followed: types are those of the store."""
        return self._rows.__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The columns and their types."""
        return self._rows.__arrow_c_schema__()

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return self._rows.names

    @property
    def watermark(self) -> int:
        """The newest record that the rows know."""
        return self._rows.watermark

    @property
    def now_ms(self) -> int:
        """The instant they are of: later events are not among them."""
        return self._rows.now_ms

    def __repr__(self) -> str:
        return f"ArrowRows({', '.join(self.names)}; watermark {self.watermark})"


def events_spec(
    names: str | Sequence[str] | None,
    span: Mapping[str, Any] | None,
    where: Predicate | Mapping[str, Any] | None,
    columns: Sequence[ColumnSpec] | None,
) -> dict[str, Any]:
    """The spec of an export of events."""
    return _given(
        export="events",
        names=names,
        range=span,
        where=where.spec() if isinstance(where, Predicate) else where,
        columns=columns,
    )


def profiles_spec(where: Predicate | Mapping[str, Any] | None, columns: Sequence[ColumnSpec] | None) -> dict[str, Any]:
    """The spec of an export of profiles."""
    return _given(
        export="profiles",
        where=where.spec() if isinstance(where, Predicate) else where,
        columns=columns,
    )


def facts_spec(of: str, where: Predicate | Mapping[str, Any] | None) -> dict[str, Any]:
    """The spec of an export of facts."""
    return _given(export="facts", type=of, where=where.spec() if isinstance(where, Predicate) else where)


def groups_spec(kind: str | None, columns: Sequence[ColumnSpec] | None) -> dict[str, Any]:
    """The spec of an export of groups."""
    return _given(export="groups", kind=kind, columns=columns)


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
