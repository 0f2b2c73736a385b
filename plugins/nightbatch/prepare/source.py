"""The source: which Parquet files a partition has, the one type of each column, and a stream of its rows.

The listing is taken before and compared after reading, by size and ETag, so that a snapshot never mixes two inputs.
"""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import lent_threads
from nightbatch.errors import (
    Absent,
    InputError,
    SourceError,
    SourceMoving,
    StoreError,
    Unreadable,
)
from nightbatch.ports import Entry, Reads, Store
from nightbatch.prepare.file_schemas import FileSchema, unify
from nightbatch.prepare.time_zones import check_zones
from nightbatch.spec.hive_columns import HIVE_NULL, encoded_values
from nightbatch.spec.locations import is_data_file
from nightbatch.template.template import Template

BATCH_ROWS = 8_192
BATCH_BYTES = 4 * 1024 * 1024
FILES_AHEAD = 8
SMALL_BYTES = 4 * 1024 * 1024
"""Files up to this size are read in one request."""
_NETWORK = ("AWS Error", "curlCode", "NETWORK_CONNECTION", "timed out")
Columns = Sequence[str]
"""Names of the wanted columns."""


@dataclass(frozen=True)
class Source:
    """The files of a partition as they were listed, and the columns to read."""

    store: Reads
    files: list[Entry]
    schema: pa.Schema


def parquet_files(source: Store, partition: str) -> tuple[list[Entry], list[Entry]]:
    """List the partition's Parquet files, and the files that define its schema (those, or another partition's)."""
    prefix = ""
    partition_folder = partition.strip("/")
    if partition_folder:
        prefix = f"{partition_folder}/"
    objects = list(source.list(prefix))
    files = _data_files(objects)
    if files:
        return files, files
    place = f"{source.url}{prefix}"
    if not objects:
        raise SourceError(
            f"source: there is nothing below {place}. Check source and partition."
        )
    other_files = list[Entry]()
    if prefix:
        other_files = _data_files(source.list(""))
    if not other_files:
        raise SourceError(
            f"source: {place} holds {len(objects)} objects, but no Parquet file."
        )
    return [], other_files[-1:]


def _data_files(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if is_data_file(entry.key)]


def common_schema(
    source: Reads, files: Sequence[Entry], template: Template, columns: Columns
) -> pa.Schema:
    """Find the one type of each wanted column over all files; the columns' own order is kept."""
    merged: FileSchema | None = None
    for entry, opened in _opened(source, files):
        schema = _with_partition(opened.schema_arrow, entry.key)
        file_schema = FileSchema(entry.key, schema)
        _check(file_schema, template, columns)
        unified = unify(merged or file_schema, file_schema, columns)
        merged = FileSchema(entry.key, unified)
    assert merged is not None
    return merged.schema


def _check(file: FileSchema, template: Template, columns: Columns) -> None:
    """Refuse a file whose columns cannot be read or printed."""
    _check_unique(file, columns)
    template.check(file.schema)
    check_zones(file, template.columns)
    _check_present(file, columns)


def _check_unique(file: FileSchema, columns: Columns) -> None:
    file_columns = file.names
    repeated = [name for name in columns if file_columns.count(name) > 1]
    if repeated:
        names = ", ".join(repeated)
        raise SourceError(
            f"column {names} occurs more than once in {file.key}: rename one of them."
        )


def _check_present(file: FileSchema, columns: Columns) -> None:
    file_columns = file.names
    missing = [name for name in columns if name not in file_columns]
    if missing:
        names = ", ".join(missing)
        known_names = ", ".join(file_columns)
        raise SourceError(
            f"key/keep: {names} is not a column of {file.key}. It has: {known_names}."
        )


def read(source: Source, limit: int | None) -> Iterator[pa.RecordBatch]:
    """Read the wanted columns of all files, in the order of their names; the first batch has no rows."""
    schema = source.schema
    yield pa.RecordBatch.from_pylist([], schema=schema)
    rows_left = sys.maxsize if limit is None else limit
    for entry, opened in _opened(source.store, source.files):
        file_columns = opened.schema_arrow.names
        names = [name for name in schema.names if name in file_columns]
        with _read_errors(entry.key):
            for batch in parquet.in_steps(opened, names, BATCH_ROWS, BATCH_BYTES):
                if rows_left <= 0:
                    return
                limited_batch = batch.slice(0, rows_left)
                rows_left -= limited_batch.num_rows
                yield _conform(limited_batch, schema, entry.key)


def _opened(
    store: Reads, files: Sequence[Entry]
) -> Iterator[tuple[Entry, pq.ParquetFile]]:
    """Open files in their order, several ahead of their use: with many small files, opening takes most of the time."""
    with lent_threads("open", FILES_AHEAD) as threads:
        unopened = iter(files)
        opening = deque[tuple[Entry, Future[pq.ParquetFile]]]()

        def open_next(entry: Entry) -> None:
            opened_file = threads.submit(_open, store, entry)
            opening.append((entry, opened_file))

        for entry in islice(unopened, FILES_AHEAD):
            open_next(entry)
        while opening:
            entry, opened_file = opening.popleft()
            yield entry, opened_file.result()
            following = next(unopened, None)
            if following is not None:
                open_next(following)


def _open(store: Reads, entry: Entry) -> pq.ParquetFile:
    """Open a file; a small one is read whole."""
    with _read_errors(entry.key):
        if entry.size > SMALL_BYTES:
            return parquet.file(store, entry.key)
        body = io.BytesIO(store.get(entry.key))
        return pq.ParquetFile(body, pre_buffer=False)


@contextmanager
def _read_errors(key: str) -> Iterator[None]:
    """Report that a file of the source cannot be read; Arrow's own message may quote values, so it is not repeated."""
    try:
        yield
    except Absent:
        raise SourceMoving(
            f"source: {key} was removed while it was read. Run again once it no longer changes."
        ) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError, Unreadable) as error:
        message = str(error)
        if any(word in message for word in _NETWORK):
            raise StoreError(
                f"source: {key} could not be read at the moment ({type(error).__name__})."
            ) from None
        raise SourceError(
            f"source: {key} is not a complete Parquet file, or is damaged: write it again."
        ) from None


def _conform(batch: pa.RecordBatch, schema: pa.Schema, key: str) -> pa.RecordBatch:
    """Cast a batch to the schema; columns that the file lacks come from its Hive path."""
    partition_values = _partition_values(key)
    arrays = []
    for field in schema:
        name = field.name
        if name in batch.schema.names:
            column = batch.column(name)
            arrays.append(column.cast(field.type))
        else:
            partition_value = partition_values[name]
            repeated_value = [partition_value] * batch.num_rows
            arrays.append(pa.array(repeated_value, pa.string()))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def check_unchanged(source: Store, partition: str, files: list[Entry]) -> None:
    """Raise SourceMoving if the partition is not as it was listed."""
    try:
        files_now, _ = parquet_files(source, partition)
    except InputError:
        files_now = []
    if files_now == files:
        return
    changed_entries = set(files_now) ^ set(files)
    changed_keys = sorted({entry.key for entry in changed_entries})
    named_keys = ", ".join(changed_keys[:5])
    raise SourceMoving(
        f"source: {named_keys} changed while it was read. Nothing was bought; run again once it no longer changes."
    )


def _partition_values(key: str) -> dict[str, str | None]:
    """Read the columns that a Hive path holds, percent-decoded: `dt=2026-11-21/city=New%20York/part-0.parquet`."""
    folder, _, _ = key.rpartition("/")
    return {name: _decoded(value) for name, value in encoded_values(folder)}


def _decoded(encoded_value: str) -> str | None:
    return None if encoded_value == HIVE_NULL else unquote(encoded_value)


def _with_partition(schema: pa.Schema, key: str) -> pa.Schema:
    for name in _partition_values(key):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return schema
