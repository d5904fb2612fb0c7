"""Parquet by pyarrow. Into a store of this process columns go as they are (`Store.load`); to a server, row by row."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from cdpstore.errors import InvalidRequest
from cdpstore.loaders.fields import FieldMapping, RowError
from cdpstore.loaders.formats import Row, Source
from cdpstore.model import Reject

__all__ = ["open_rows", "read"]

_BATCH_ROWS: Final = 32_768  # that of the engine: so batches are the same when a load is run again


def read(source: Source, mapping: Mapping[str, Any] | None, *, kind: str, after: int) -> Iterator[Row]:  # noqa: ARG001
    """The rows behind row `after`, as records."""
    rows = open_rows(source)
    fields = FieldMapping.bind(mapping or {}, rows.schema.names)
    place = 0
    for batch in rows:
        if place + len(batch) <= after:
            place += len(batch)
            continue
        for row in batch.to_pylist():
            place += 1
            if place > after:
                yield _row(place, fields, row)


def open_rows(source: Source) -> Any:
    """The file as a stream of batches. Raises `InvalidRequest` for what is no Parquet."""
    try:
        file = pq.ParquetFile(source.path)
    except (pa.ArrowException, OSError) as error:
        raise InvalidRequest("load.format", f"{source.path.name} is no Parquet: {error}") from None
    return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(_BATCH_ROWS))


def _row(place: int, fields: FieldMapping, row: Mapping[str, Any]) -> Row:
    try:
        return Row(place, fields.record(row))
    except RowError as error:
        return Row(place, None, Reject(place, error.code, error.path, error.value, error.expected))
