"""Files that are read by column, some rows at a time where they are large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.errors import Unreadable
from nightbatch.ports import Reads

BATCH_BYTES = 16 * 1024 * 1024
SAMPLED = 32
"""Row groups from which the size of a file's rows is estimated."""
ColumnNames: TypeAlias = Sequence[str] | None
"""The columns to read; None: all of them."""
STEP_ROWS = 128
"""Rows of a foreign file that are decoded before their size is checked: fewer cost time, more cost memory."""


def file(
    store: Reads, key: str, repeating: Sequence[str] = (), *, together: bool = False
) -> pq.ParquetFile:
    """Open a Parquet file, or say that it is not one. Columns that are `repeating` are read as dictionaries.

    `together`: the columns of a row group are fetched in few requests, before the first is decoded: many columns of
    small row groups are read several times faster so. It holds the bytes of all of them in memory.
    """
    url = f"{_url(store)}{key}"
    return _opened(store.open(key), url, repeating, together=together)


def whole(store: Reads, key: str) -> pa.Table:
    """Read a small file with one request to the store; `table` needs one or more for each column."""
    content = pa.BufferReader(store.get(key))
    return _opened(content, f"{_url(store)}{key}").read(use_threads=False)


def _url(store: Reads) -> str:
    return getattr(store, "url", "")


def _opened(
    source: BinaryIO | pa.NativeFile,
    url: str,
    repeating: Sequence[str] = (),
    *,
    together: bool = False,
) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(
            source,
            pre_buffer=together,
            read_dictionary=list(repeating),
            page_checksum_verification=True,
        )
    except (pa.ArrowException, OSError) as error:
        error_name = type(error).__name__
        raise Unreadable(
            f"{url} is not a readable Parquet file ({error_name})."
        ) from None


def table(store: Reads, key: str, columns: ColumnNames = None) -> pa.Table:
    """Read some columns of a whole file."""
    return file(store, key).read(columns=columns, use_threads=False)


def metadata(store: Reads, key: str, name: bytes) -> bytes:
    """Read one entry of a file's own metadata."""
    file_metadata = file(store, key).metadata
    key_values = file_metadata.metadata or {}
    entry: bytes = key_values.get(name, b"{}")
    return entry


def rows_within(
    opened: pq.ParquetFile,
    columns: ColumnNames,
    most: int,
    most_bytes: int = BATCH_BYTES,
) -> int:
    """Return how many rows to read at a time, at most `most`: fewer where the rows are large."""
    file_metadata = opened.metadata
    sample_count = min(opened.num_row_groups, SAMPLED)
    sampled_rows = 0
    sampled_bytes = 0
    for number in range(sample_count):
        row_group = file_metadata.row_group(number)
        sampled_rows += row_group.num_rows
        sampled_bytes += _group_bytes(row_group, columns)
    if not sampled_rows:
        return most
    rows_that_fit: int = most_bytes * sampled_rows // max(1, sampled_bytes)
    return max(1, min(most, rows_that_fit))


def _group_bytes(row_group: Any, columns: ColumnNames) -> int:
    """Sum the uncompressed bytes of some columns of a row group, by its metadata."""
    total_bytes = 0
    for number in range(row_group.num_columns):
        chunk = row_group.column(number)
        path_parts = chunk.path_in_schema.split(".")
        column_name = path_parts[0]
        if columns is not None and column_name not in columns:
            continue
        total_bytes += chunk.total_uncompressed_size
    return total_bytes


def in_steps(
    opened: pq.ParquetFile, columns: Sequence[str], most: int, most_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file that others have written: at most `most` rows and about `most_bytes` at a time.

    Neither a file's size nor its first rows say what the next rows take in memory: a dictionary, or compression, keeps
    rows of any size small. So no more than STEP_ROWS rows are decoded before their size is checked.
    """
    row_limit = rows_within(opened, columns, most, most_bytes)
    is_fixed = _all_fixed(opened, columns)
    step_rows = row_limit if is_fixed else min(row_limit, STEP_ROWS)
    pending = list[pa.RecordBatch]()
    pending_bytes = 0
    pending_rows = 0
    for batch in opened.iter_batches(
        batch_size=step_rows, columns=columns, use_threads=False
    ):
        batch_bytes = batch.nbytes
        exceeds_bytes = pending_bytes + batch_bytes > most_bytes
        exceeds_rows = pending_rows + step_rows > row_limit
        is_full = exceeds_bytes or exceeds_rows
        if pending and is_full:
            yield pa.concat_batches(pending)
            pending.clear()
            pending_bytes = 0
            pending_rows = 0
        pending.append(batch)
        pending_bytes += batch_bytes
        pending_rows += step_rows
    if pending:
        yield pa.concat_batches(pending)


def _all_fixed(opened: pq.ParquetFile, columns: Sequence[str]) -> bool:
    """Tell whether every value of these columns takes the same few bytes, so that no row can be large."""
    column_types = [opened.schema_arrow.field(name).type for name in columns]
    return all(pa.types.is_primitive(column_type) for column_type in column_types)


def batches(
    store: Reads, key: str, columns: ColumnNames, size: int
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file of ours, at most `size` rows at a time; one without rows gives one empty batch.

    Row groups are read one by one: each was bounded by what its rows take in memory, which the file's size is not.
    """
    yield from batches_of(file(store, key), columns, size)


def batches_of(
    opened: pq.ParquetFile, columns: ColumnNames, size: int
) -> Iterator[pa.RecordBatch]:
    """Do the same for a file that is open already."""
    if not opened.metadata.num_rows:
        empty_table = opened.read(columns=columns)
        empty_batch = pa.RecordBatch.from_pylist([], schema=empty_table.schema)
        yield empty_batch
        return
    batch_rows = rows_within(opened, columns, size)
    for number in range(opened.num_row_groups):
        yield from opened.iter_batches(
            batch_rows, row_groups=[number], columns=columns, use_threads=False
        )
