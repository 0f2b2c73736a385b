"""Parquet in and out of a store: files are read by column, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.core.errors import Unreadable
from nightbatch.core.ports import Creates, Reads, Upload

BATCH_BYTES, SAMPLED = 64 * 1024 * 1024, 32
MUCH = 2
"""Of a row group, this part is much: a half."""
GROUP_BYTES, GROUP_ROWS = 16 * 1024 * 1024, 131_072


class Sheet:
    """A Parquet file in the making. `commit` publishes it; leaving its block without that forgets it.

    `plain` is for columns whose values are all different: no dictionaries and no statistics, but of the one by which
    the rows are `ordered`.
    """

    def __init__(
        self, store: Creates, key: str, schema: pa.Schema, *, plain: bool = False, ordered: str | None = None
    ) -> None:
        self.key, self.schema, self.rows = key, schema, 0
        self._committed, self._held = False, list[pa.Table]()
        self._upload = store.upload(key)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(_Sink(self._upload), mode="w"),
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=not plain,
            write_statistics=[ordered] if ordered else not plain,
        )

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows; they are held until there are enough for a row group."""
        self.rows += rows.num_rows
        self._held.append(pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows)
        size, count = (sum(getattr(one, name) for one in self._held) for name in ("nbytes", "num_rows"))
        if size >= GROUP_BYTES or count >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        group, self._held = pa.concat_tables(self._held), []
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))

    def close(self, metadata: dict[bytes, bytes] | None = None) -> None:
        """Finish the file without publishing it."""
        if self._held:
            self._write_group()
        if metadata:
            self._writer.add_key_value_metadata(metadata)
        self._writer.close()

    def commit(self) -> bool:
        """Publish the closed file; False if the key was taken."""
        self._committed = True
        return self._upload.commit()

    def abort(self) -> None:
        """Forget the file."""
        self._upload.abort()

    def __enter__(self) -> Sheet:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or not self._committed:
            self.abort()


class _Sink:
    """An upload as the file that pyarrow writes to; closing it publishes nothing."""

    closed = False

    def __init__(self, upload: Upload) -> None:
        self._upload, self._at = upload, 0

    def write(self, data: Any) -> int:
        size = self._upload.write(bytes(data))
        self._at += size
        return size

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing to do: the upload keeps what it was given."""

    def close(self) -> None:
        self.closed = True


def file(store: Reads, key: str) -> pq.ParquetFile:
    """Open a Parquet file, or say that it is not one."""
    try:
        return pq.ParquetFile(store.open(key), pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        told = f"{getattr(store, 'url', '')}{key} is not a readable Parquet file ({type(error).__name__})."
        raise Unreadable(told) from None


def rows_within(opened: pq.ParquetFile, columns: Sequence[str] | None, most: int) -> int:
    """Return how many rows to read at a time, at most so many: fewer where the rows are large."""
    groups = [opened.metadata.row_group(number) for number in range(min(opened.num_row_groups, SAMPLED))]
    chunks = (group.column(place) for group in groups for place in range(group.num_columns))
    size = sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if columns is None or chunk.path_in_schema.split(".")[0] in columns
    )
    rows = sum(group.num_rows for group in groups)
    return max(1, min(most, BATCH_BYTES * rows // max(1, size))) if rows else most


def table(store: Reads, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read some columns of a whole file."""
    return file(store, key).read(columns=columns, use_threads=False)


def batches(store: Reads, key: str, columns: Sequence[str] | None, size: int) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file, at most `size` rows at a time; a file without rows gives one batch without rows."""
    opened = file(store, key)
    if opened.metadata.num_rows:
        rows = rows_within(opened, columns, size)
        yield from opened.iter_batches(batch_size=rows, columns=columns, use_threads=False)
    else:
        yield pa.RecordBatch.from_pylist([], schema=opened.read(columns=columns).schema)


def rows(store: Reads, key: str, columns: Sequence[str], wanted: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """Read some columns of some rows (their numbers, rising); return them and the place of each.

    Row groups without one are passed; one of which much is wanted stays whole, since that is cheaper than choosing.
    """
    opened, start, offset, tables = file(store, key), 0, 0, []
    places = np.empty(len(wanted), dtype=np.int64)
    for group in range(opened.num_row_groups):
        stop = start + opened.metadata.row_group(group).num_rows
        first, last = np.searchsorted(wanted, (start, stop))
        if last > first:
            read = opened.read_row_group(group, columns=columns, use_threads=False)
            if (last - first) * MUCH >= stop - start:
                places[first:last] = offset + wanted[first:last] - start
            else:
                read = read.take(pa.array(wanted[first:last] - start))
                places[first:last] = np.arange(offset, offset + last - first)
            tables.append(read)
            offset += read.num_rows
        start = stop
    return pa.concat_tables(tables), places


def groups(store: Reads, key: str, column: str, wanted: Callable[[Any, Any], bool]) -> Iterator[pa.Table]:
    """Read a file row group by row group, but those whose column's least and greatest value are not wanted."""
    opened = file(store, key)
    place = opened.schema_arrow.get_field_index(column)
    for group in range(opened.num_row_groups):
        told = opened.metadata.row_group(group).column(place).statistics
        if told is None or not told.has_min_max or wanted(told.min, told.max):
            yield opened.read_row_group(group, use_threads=False)


def metadata(store: Reads, key: str, name: bytes) -> bytes:
    """Read one entry of a file's own metadata."""
    found: bytes = (file(store, key).metadata.metadata or {}).get(name, b"{}")
    return found
