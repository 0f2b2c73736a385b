"""Parquet in and out of a store: files are read by column, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.errors import Unreadable
from nightbatch.ports import Creates, Reads, Upload

BATCH_BYTES, SAMPLED = 16 * 1024 * 1024, 32
GROUP_BYTES, GROUP_ROWS = 16 * 1024 * 1024, 131_072
STEP_ROWS = 128
"""Rows of others that are decoded before their size is looked at: fewer cost time, more cost memory."""
KEPT_BYTES = 16 * 1024 * 1024


class Layout(NamedTuple):
    """How a file is written: `unique` names columns whose values are all different, which get no dictionary.

    `plain` is for files of which that is true throughout: no dictionaries and no statistics, but of the one column by
    which the rows are `ordered`. A row group is written once its rows take `group` bytes.
    """

    unique: Sequence[str] = ()
    plain: bool = False
    ordered: str | None = None
    group: int = GROUP_BYTES


USUAL, PLAIN = Layout(), Layout(plain=True)


class Sheet:
    """A Parquet file in the making. `commit` publishes it; leaving its block without that forgets it."""

    def __init__(
        self, store: Creates, key: str, schema: pa.Schema, layout: Layout = USUAL
    ) -> None:
        self.key, self.schema, self.rows = key, schema, 0
        self._group = layout.group
        self._committed, self._held = False, list[pa.Table]()
        self._upload = store.upload(key)
        self._sink = _Sink(self._upload)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            use_dictionary=False
            if layout.plain
            else [name for name in schema.names if name not in layout.unique],
            write_statistics=[layout.ordered] if layout.ordered else not layout.plain,
        )

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows; they are held until there are enough for a row group."""
        self.rows += rows.num_rows
        self._held.append(
            pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        )
        size, count = (
            sum(getattr(one, name) for one in self._held)
            for name in ("nbytes", "num_rows")
        )
        if size >= self._group or count >= GROUP_ROWS:
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
        """Forget the file, and what the writer still has to say when it goes."""
        self._sink.forgotten = True
        self._upload.abort()

    def __enter__(self) -> Sheet:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or not self._committed:
            self.abort()


class _Sink:
    """An upload as the file that pyarrow writes to; closing it publishes nothing."""

    closed = forgotten = False

    def __init__(self, upload: Upload) -> None:
        self._upload, self._at = upload, 0

    def write(self, data: Any) -> int:
        size = len(data) if self.forgotten else self._upload.write(bytes(data))
        self._at += size
        return size

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Nothing to do: the upload keeps what it was given."""

    def close(self) -> None:
        self.closed = True


def file(store: Reads, key: str, repeating: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file, or say that it is not one. Columns that are `repeating` are read as dictionaries."""
    try:
        return pq.ParquetFile(
            store.open(key),
            pre_buffer=False,
            read_dictionary=list(repeating),
            page_checksum_verification=True,
        )
    except (pa.ArrowException, OSError) as error:
        told = f"{getattr(store, 'url', '')}{key} is not a readable Parquet file ({type(error).__name__})."
        raise Unreadable(told) from None


def rows_within(
    opened: pq.ParquetFile,
    columns: Sequence[str] | None,
    most: int,
    most_bytes: int = BATCH_BYTES,
) -> int:
    """Return how many rows to read at a time, at most so many: fewer where the rows are large."""
    groups = [
        opened.metadata.row_group(number)
        for number in range(min(opened.num_row_groups, SAMPLED))
    ]
    chunks = (
        group.column(place) for group in groups for place in range(group.num_columns)
    )
    size = sum(
        chunk.total_uncompressed_size
        for chunk in chunks
        if columns is None or chunk.path_in_schema.split(".")[0] in columns
    )
    rows = sum(group.num_rows for group in groups)
    return max(1, min(most, most_bytes * rows // max(1, size))) if rows else most


def in_steps(
    opened: pq.ParquetFile, columns: Sequence[str], most: int, most_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file that others have written: at most `most` rows and about `most_bytes` at a time.

    Neither a file's size nor its first rows say what the next rows take in memory: a dictionary, or compression, keeps
    rows of any size small. So no more than STEP_ROWS rows are decoded before their size is looked at.
    """
    rows = rows_within(opened, columns, most, most_bytes)
    step = rows if _all_fixed(opened, columns) else min(rows, STEP_ROWS)
    held = list[pa.RecordBatch]()
    size = count = 0
    for batch in opened.iter_batches(
        batch_size=step, columns=columns, use_threads=False
    ):
        added = batch.nbytes
        if held and (size + added > most_bytes or count + step > rows):
            yield pa.concat_batches(held)
            held.clear()
            size = count = 0
        held.append(batch)
        size += added
        count += step
    if held:
        yield pa.concat_batches(held)


def _all_fixed(opened: pq.ParquetFile, columns: Sequence[str]) -> bool:
    """Tell whether every value of these columns takes the same few bytes, so that no row can be large."""
    kinds = [opened.schema_arrow.field(name).type for name in columns]
    return all(pa.types.is_primitive(kind) for kind in kinds)


def table(store: Reads, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read some columns of a whole file."""
    return file(store, key).read(columns=columns, use_threads=False)


def batches(
    store: Reads, key: str, columns: Sequence[str] | None, size: int
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a file of ours, at most `size` rows at a time; one without rows gives one empty batch.

    Row groups are read one by one: each was bounded by what its rows take in memory, which the file's size is not.
    """
    opened = file(store, key)
    if opened.metadata.num_rows:
        rows = rows_within(opened, columns, size)
        for number in range(opened.num_row_groups):
            yield from opened.iter_batches(
                rows, row_groups=[number], columns=columns, use_threads=False
            )
    else:
        yield pa.RecordBatch.from_pylist([], schema=opened.read(columns=columns).schema)


class Groups:
    """Some columns of files, read by row group; those that are `repeating` as dictionaries.

    The groups that were read last are kept, as many as KEPT_BYTES hold.
    """

    def __init__(
        self, store: Reads, columns: Sequence[str], repeating: Sequence[str] = ()
    ) -> None:
        self._store, self._columns, self._repeating = store, columns, repeating
        self._opened: tuple[str, pq.ParquetFile | None] = ("", None)
        self._kept = dict[tuple[str, int], tuple[pa.Table, int]]()
        """Groups and their bytes, the one that was used last at the end."""
        self._size = 0

    def rows(self, key: str, wanted: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """Read some rows of a file, by their numbers; return them in any order, and the place of each."""
        told = self._open(key).metadata
        starts = np.cumsum(
            [
                0,
                *(
                    told.row_group(number).num_rows
                    for number in range(told.num_row_groups)
                ),
            ]
        )
        of = np.searchsorted(starts, wanted, side="right") - 1
        offset, tables, places = (
            0,
            list[pa.Table](),
            np.empty(len(wanted), dtype=np.int64),
        )
        for number in np.flatnonzero(np.bincount(of)).tolist():
            mine = np.flatnonzero(of == number)
            tables.append(
                self._group(key, number).take(pa.array(wanted[mine] - starts[number]))
            )
            places[mine] = np.arange(offset, offset + len(mine))
            offset += len(mine)
        return pa.concat_tables(tables), places

    def _group(self, key: str, number: int) -> pa.Table:
        kept = self._kept.pop((key, number), None)
        if kept is None:
            group = self._open(key).read_row_group(
                number, columns=self._columns, use_threads=False
            )
            kept = (group, group.nbytes)
            self._size += kept[1]
        self._kept[key, number] = kept
        while self._size > KEPT_BYTES:
            self._size -= self._kept.pop(next(iter(self._kept)))[1]
        return kept[0]

    def _open(self, key: str) -> pq.ParquetFile:
        if self._opened[0] != key or self._opened[1] is None:
            self._opened = (key, file(self._store, key, self._repeating))
        return self._opened[1]


def groups(
    store: Reads, key: str, column: str, wanted: Callable[[Any, Any], bool]
) -> Iterator[pa.Table]:
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
