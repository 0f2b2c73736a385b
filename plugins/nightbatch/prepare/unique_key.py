"""Whether a key identifies rows: counts of nulls and duplicates over a stream, without keeping the values.

Keys that rise from row to row are all different, so none is kept. From the first key that does not rise, each
key is kept as a 64-bit hash (8 bytes a row), and the rows before it are read again. Equal keys have equal hashes; if
hashes repeat, the rows are read again and their keys compared, so two keys that only share a hash are no duplicates.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.utf8 import raw
from nightbatch.errors import SourceError

MOST_COMPARED = 1_000_000
"""Above this many rows with repeated hashes, chance is ruled out and no keys are compared."""
_ORDERED = (
    pa.types.is_integer,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_date,
    pa.types.is_timestamp,
)
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode


@dataclass
class KeyCheck:
    """Counts what is wrong with the key columns of all rows added."""

    columns: list[str]
    rows: int = 0
    nulls: int = 0
    _rising: int = 0
    """The first N rows have rising keys."""
    _last_key: pa.Scalar | None = None
    _hashes: array[int] = field(default_factory=lambda: array("q"))

    def add(self, rows: pa.RecordBatch) -> None:
        """Check a batch of rows."""
        if not self.columns:
            return
        row_count = rows.num_rows
        if not row_count:
            return
        null_count = _null_keys(rows, self.columns)
        self.nulls += null_count
        all_have_risen = self._rising == self.rows
        if all_have_risen and self._rises(rows):
            self._rising += row_count
        else:
            self._hash(rows)
        self.rows += row_count

    def _rises(self, rows: pa.RecordBatch) -> bool:
        """Return whether keys rise from the last row before these to the last row of these."""
        if len(self.columns) > 1:
            return False
        keys = rows.column(self.columns[0])
        if keys.null_count or not _is_ordered(keys.type):
            return False
        if self._last_key is not None:
            first_rises = pc.less(self._last_key, keys[0])
            if not first_rises.as_py():
                return False
        self._last_key = keys[-1]
        next_rises = pc.less(keys[:-1], keys[1:])
        all_rise = pc.all(next_rises)
        return all_rise.as_py() is not False

    def _hash(self, rows: pa.RecordBatch) -> None:
        key_hashes = _hashes(rows, self.columns)
        self._hashes.frombytes(key_hashes.tobytes())

    def check(self, read_again: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Raise SourceError if a key is null or repeats; give the count, show no key. `read_again` reads the rows."""
        column_names = ", ".join(self.columns)
        if self.nulls:
            raise SourceError(
                f"key ({column_names}): {self.nulls} of {self.rows} rows have a null in it; a key has none."
            )
        repeat_count = self._repeats(read_again)
        if repeat_count:
            raise SourceError(
                f"key ({column_names}): {repeat_count} of {self.rows} rows repeat another row's key; "
                "name more columns, or remove the duplicates from the source."
            )

    def _repeats(self, read_again: Callable[[], Iterable[pa.RecordBatch]]) -> int:
        """Count the rows whose key is that of an earlier row. Sorts the hashes in place."""
        if self._rising == self.rows:
            return 0
        for rising_rows in _first_rows(read_again(), self._rising):
            self._hash(rising_rows)
        key_hashes = np.frombuffer(self._hashes, dtype=np.int64)
        key_hashes.sort()
        is_repeat = key_hashes[1:] == key_hashes[:-1]
        repeat_count = int(is_repeat.sum())
        if not repeat_count or repeat_count > MOST_COMPARED:
            return repeat_count
        repeated_hashes = np.unique(key_hashes[1:][is_repeat])
        suspects = set(repeated_hashes.tolist())
        suspect_keys = [
            key
            for rows in read_again()
            for key, key_hash in self._keys_with_hashes(rows)
            if key_hash in suspects
        ]
        return len(suspect_keys) - len(set(suspect_keys))

    def _keys_with_hashes(self, rows: pa.RecordBatch) -> Iterator[tuple[bytes, int]]:
        row_keys = _keys(rows, self.columns)
        row_hashes = _hashes(rows, self.columns).tolist()
        return zip(row_keys, row_hashes, strict=True)


def _is_ordered(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _ORDERED)


def _first_rows(
    batches: Iterable[pa.RecordBatch], row_count: int
) -> Iterator[pa.RecordBatch]:
    """Yield the first N rows."""
    rows_left = row_count
    for rows in batches:
        if rows_left <= 0:
            return
        yield rows.slice(0, rows_left)
        rows_left -= rows.num_rows


def _hashes(rows: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """Hash the keys of rows; a key that is one whole number is its own hash."""
    first_column = rows.column(columns[0])
    if len(columns) == 1 and pa.types.is_integer(first_column.type):
        whole_numbers = np.asarray(pc.fill_null(first_column, 0))
        return whole_numbers.astype(np.int64)
    row_keys = _keys(rows, columns)
    key_hashes = map(hash, row_keys)
    return np.fromiter(key_hashes, np.int64, rows.num_rows)


def _keys(rows: pa.RecordBatch, columns: Sequence[str]) -> Iterator[bytes]:
    key_columns = [raw(rows.column(name)).to_pylist() for name in columns]
    return map(_encode, zip(*key_columns, strict=True))


def _null_keys(rows: pa.RecordBatch, columns: Sequence[str]) -> int:
    key_columns = [rows.column(name) for name in columns]
    if not any(column.null_count for column in key_columns):
        return 0
    has_null = np.zeros(rows.num_rows, dtype=bool)
    for column in key_columns:
        column_nulls = pc.is_null(column)
        has_null |= np.asarray(column_nulls)
    return int(has_null.sum())
