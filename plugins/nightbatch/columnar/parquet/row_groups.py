"""Single row groups of a file: those that hold some rows, or whose statistics are of interest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.columnar.parquet.reading import file
from nightbatch.ports import Reads

KEPT_BYTES = 16 * 1024 * 1024
_GroupPlace: TypeAlias = tuple[str, int]
"""A file's key, and the number of a row group in it."""


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
        self._opened: _OpenedFile | None = None
        self._kept = dict[_GroupPlace, _KeptGroup]()
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
        opened = self._opened
        if opened is None or opened.key != key:
            opened_file = file(self._store, key, self._repeating, together=True)
            opened = _OpenedFile(key, opened_file)
            self._opened = opened
        return opened.file


class _OpenedFile(NamedTuple):
    """The file that was read last."""

    key: str
    file: pq.ParquetFile


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
        if _may_be_wanted(statistics, wanted):
            yield opened.read_row_group(group_number, use_threads=False)


def _may_be_wanted(statistics: Any, wanted: Callable[[Any, Any], bool]) -> bool:
    """Tell whether a row group may have wanted values; one without statistics may."""
    if statistics is None or not statistics.has_min_max:
        return True
    return wanted(statistics.min, statistics.max)
