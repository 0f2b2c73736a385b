"""Parquet in and out of a store: files are read by column, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.errors import Unreadable
from nightbatch.ports import Creates, Reads, Upload

BATCH_BYTES = 16 * 1024 * 1024
SAMPLED = 32
"""Row groups from which the size of a file's rows is estimated."""
GROUP_BYTES = 16 * 1024 * 1024
GROUP_ROWS = 131_072
STEP_ROWS = 128
"""Rows of a foreign file that are decoded before their size is checked: fewer cost time, more cost memory."""
KEPT_BYTES = 16 * 1024 * 1024


class GroupLayout(NamedTuple):
    """How a file is written: `unique` names columns whose values are all different, which get no dictionary.

    `plain` is for files of which that is true throughout: no dictionaries and no statistics, but of the one column by
    which the rows are `ordered`. A row group is written once its rows take `group` bytes.
    """

    unique: Sequence[str] = ()
    plain: bool = False
    ordered: str | None = None
    group: int = GROUP_BYTES


USUAL = GroupLayout()
PLAIN = GroupLayout(plain=True)


class ParquetUpload:
    """A Parquet file that is being written. `commit` publishes it; leaving its block without that discards it."""

    def __init__(
        self, store: Creates, key: str, schema: pa.Schema, layout: GroupLayout = USUAL
    ) -> None:
        self.key = key
        self.schema = schema
        self.rows = 0
        self._group_bytes = layout.group
        self._committed = False
        self._pending = list[pa.Table]()
        self._pending_bytes = 0
        self._pending_rows = 0
        self._upload = store.upload(key)
        self._sink = _Sink(self._upload)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            use_dictionary=_dictionary_columns(schema, layout),
            write_statistics=[layout.ordered] if layout.ordered else not layout.plain,
        )

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows; they are held until there are enough for a row group."""
        self.rows += rows.num_rows
        is_batch = isinstance(rows, pa.RecordBatch)
        table = pa.Table.from_batches([rows]) if is_batch else rows
        self._pending.append(table)
        # Counted as they come: to add up all that is pending each time took minutes for thousands of small files.
        self._pending_bytes += table.nbytes
        self._pending_rows += table.num_rows
        is_full_in_bytes = self._pending_bytes >= self._group_bytes
        if is_full_in_bytes or self._pending_rows >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        row_group = pa.concat_tables(self._pending)
        self._pending = []
        self._pending_bytes = 0
        self._pending_rows = 0
        row_count = row_group.num_rows
        self._writer.write_table(row_group, row_group_size=max(1, row_count))

    def close(self, metadata: dict[bytes, bytes] | None = None) -> None:
        """Finish the file without publishing it."""
        if self._pending:
            self._write_group()
        if metadata:
            self._writer.add_key_value_metadata(metadata)
        self._writer.close()

    def commit(self) -> bool:
        """Publish the closed file; False if the key was taken."""
        self._committed = True
        return self._upload.commit()

    def abort(self) -> None:
        """Discard the file, and what the writer still writes when it is destroyed."""
        self._sink.discarded = True
        self._upload.abort()

    def __enter__(self) -> ParquetUpload:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or not self._committed:
            self.abort()


def _dictionary_columns(schema: pa.Schema, layout: GroupLayout) -> list[str] | bool:
    """Name the columns that are written with a dictionary; False: none."""
    if layout.plain:
        return False
    return [name for name in schema.names if name not in layout.unique]


class _Sink:
    """An upload as the file that pyarrow writes to; closing it publishes nothing."""

    closed = False
    discarded = False

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._position = 0

    def write(self, data: Any) -> int:
        size = len(data) if self.discarded else self._upload.write(bytes(data))
        self._position += size
        return size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing to do: the upload keeps what was written."""

    def close(self) -> None:
        self.closed = True


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


def rows_within(
    opened: pq.ParquetFile,
    columns: Sequence[str] | None,
    most: int,
    most_bytes: int = BATCH_BYTES,
) -> int:
    """Return how many rows to read at a time, at most `most`: fewer where the rows are large."""
    sample_count = min(opened.num_row_groups, SAMPLED)
    row_groups = [opened.metadata.row_group(number) for number in range(sample_count)]
    sampled_rows: int = sum(row_group.num_rows for row_group in row_groups)
    if not sampled_rows:
        return most
    sampled_bytes = sum(_group_bytes(row_group, columns) for row_group in row_groups)
    rows_that_fit: int = most_bytes * sampled_rows // max(1, sampled_bytes)
    return max(1, min(most, rows_that_fit))


def _group_bytes(row_group: Any, columns: Sequence[str] | None) -> int:
    """Sum the uncompressed bytes of some columns of a row group, by its metadata; None: of all columns."""
    total_bytes = 0
    for number in range(row_group.num_columns):
        chunk = row_group.column(number)
        column_name = chunk.path_in_schema.split(".")[0]
        if columns is None or column_name in columns:
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
        if pending and (exceeds_bytes or exceeds_rows):
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


def table(store: Reads, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read some columns of a whole file."""
    return file(store, key).read(columns=columns, use_threads=False)


def batches(
    store: Reads, key: str, columns: Sequence[str] | None, size: int
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file of ours, at most `size` rows at a time; one without rows gives one empty batch.

    Row groups are read one by one: each was bounded by what its rows take in memory, which the file's size is not.
    """
    yield from batches_of(file(store, key), columns, size)


def batches_of(
    opened: pq.ParquetFile, columns: Sequence[str] | None, size: int
) -> Iterator[pa.RecordBatch]:
    """Do the same for a file that is open already."""
    if not opened.metadata.num_rows:
        empty_table = opened.read(columns=columns)
        yield pa.RecordBatch.from_pylist([], schema=empty_table.schema)
        return
    batch_rows = rows_within(opened, columns, size)
    for number in range(opened.num_row_groups):
        yield from opened.iter_batches(
            batch_rows, row_groups=[number], columns=columns, use_threads=False
        )


class RowGroups:
    """Some columns of files, read by row group; those that are `repeating` as dictionaries.

    The groups that were read last are kept, as many as KEPT_BYTES hold.
    """

    def __init__(
        self, store: Reads, columns: Sequence[str], repeating: Sequence[str] = ()
    ) -> None:
        self._store = store
        self._columns = columns
        self._repeating = repeating
        self._opened: tuple[str, pq.ParquetFile | None] = ("", None)
        self._kept = dict[tuple[str, int], _KeptGroup]()
        """Row groups by file and number, the one that was used last at the end."""
        self._kept_bytes = 0

    def rows(self, key: str, row_numbers: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """Read some rows of a file, by their numbers; return them in any order, and the place of each."""
        group_starts = _group_starts(self._open(key).metadata)
        row_groups = np.searchsorted(group_starts, row_numbers, side="right") - 1
        used_groups = np.flatnonzero(np.bincount(row_groups))
        tables = list[pa.Table]()
        places = np.empty(len(row_numbers), dtype=np.int64)
        offset = 0
        for group in used_groups.tolist():
            group_rows = np.flatnonzero(row_groups == group)
            rows_in_group = row_numbers[group_rows] - group_starts[group]
            tables.append(self._group(key, group).take(pa.array(rows_in_group)))
            end_offset = offset + len(group_rows)
            places[group_rows] = np.arange(offset, end_offset)
            offset = end_offset
        return pa.concat_tables(tables), places

    def _group(self, key: str, number: int) -> pa.Table:
        kept_group = self._kept.pop((key, number), None)
        if kept_group is None:
            opened = self._open(key)
            table = opened.read_row_group(
                number, columns=self._columns, use_threads=False
            )
            kept_group = _KeptGroup(table, table.nbytes)
            self._kept_bytes += kept_group.size
        self._kept[key, number] = kept_group
        while self._kept_bytes > KEPT_BYTES:
            least_recent = next(iter(self._kept))
            self._kept_bytes -= self._kept.pop(least_recent).size
        return kept_group.table

    def _open(self, key: str) -> pq.ParquetFile:
        opened_key, opened_file = self._opened
        if opened_key != key or opened_file is None:
            opened_file = file(self._store, key, self._repeating, together=True)
            self._opened = (key, opened_file)
        return opened_file


class _KeptGroup(NamedTuple):
    """A row group in memory, and its size in bytes."""

    table: pa.Table
    size: int


def _group_starts(file_metadata: Any) -> np.ndarray:
    """Return the number of the first row of each row group, and at the end the count of all rows."""
    row_counts = [
        file_metadata.row_group(number).num_rows
        for number in range(file_metadata.num_row_groups)
    ]
    return np.cumsum([0, *row_counts])


def groups(
    store: Reads, key: str, column: str, wanted: Callable[[Any, Any], bool]
) -> Iterator[pa.Table]:
    """Read a file row group by row group, except those whose column's least and greatest value are not wanted."""
    opened = file(store, key)
    column_number = opened.schema_arrow.get_field_index(column)
    for group_number in range(opened.num_row_groups):
        row_group = opened.metadata.row_group(group_number)
        statistics = row_group.column(column_number).statistics
        if (
            statistics is None
            or not statistics.has_min_max
            or wanted(statistics.min, statistics.max)
        ):
            yield opened.read_row_group(group_number, use_threads=False)


def metadata(store: Reads, key: str, name: bytes) -> bytes:
    """Read one entry of a file's own metadata."""
    file_metadata = file(store, key).metadata
    key_values = file_metadata.metadata or {}
    entry: bytes = key_values.get(name, b"{}")
    return entry
