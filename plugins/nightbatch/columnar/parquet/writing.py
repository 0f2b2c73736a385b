"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.ports import Creates, Upload

GROUP_BYTES = 16 * 1024 * 1024
GROUP_ROWS = 131_072
FileMetadata = dict[bytes, bytes]
"""What a file says of itself, by name."""


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
        group_size = max(1, row_count)
        self._writer.write_table(row_group, row_group_size=group_size)

    def close(self, metadata: FileMetadata | None = None) -> None:
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
