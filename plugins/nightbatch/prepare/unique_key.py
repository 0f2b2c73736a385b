"""Whether a key identifies rows: counts of nulls and duplicates over a stream, without keeping the values.

Keys that rise from row to row are all different, and nothing of them is kept. From the first that does not rise, each
is kept as a 64-bit hash, 8 bytes a row, and those before it are read again. Equal keys have equal hashes; where hashes
repeat, the rows are read again and their keys compared, so that two keys that only share a hash are no duplicates.
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
"""Rows with repeated hashes beyond which chance is ruled out, and none is compared."""
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
    """So many rows from the first on have rising keys."""
    _last: pa.Scalar | None = None
    _hashes: array[int] = field(default_factory=lambda: array("q"))

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in a batch of rows."""
        if self.columns and rows.num_rows:
            self.nulls += _null_keys(rows, self.columns)
            if self._rising == self.rows and self._rises(rows):
                self._rising += rows.num_rows
            else:
                self._hash(rows)
            self.rows += rows.num_rows

    def _rises(self, rows: pa.RecordBatch) -> bool:
        """Tell whether keys rise from the last row before these to the last of these."""
        keys = rows.column(self.columns[0])
        if (
            len(self.columns) > 1
            or keys.null_count
            or not any(is_kind(keys.type) for is_kind in _ORDERED)
        ):
            return False
        if self._last is not None and not pc.less(self._last, keys[0]).as_py():
            return False
        self._last = keys[-1]
        return pc.all(pc.less(keys[:-1], keys[1:])).as_py() is not False

    def _hash(self, rows: pa.RecordBatch) -> None:
        self._hashes.frombytes(_hashes(rows, self.columns).tobytes())

    def check(self, again: Callable[[], Iterable[pa.RecordBatch]]) -> None:
        """Raise SourceError if some key is null or stands twice; say how many, show none. `again` reads the rows."""
        rows, named = self.rows, ", ".join(self.columns)
        if self.nulls:
            raise SourceError(
                f"key ({named}): {self.nulls} of {rows} rows have a null in it; a key has none."
            )
        if repeats := self._repeats(again):
            raise SourceError(
                f"key ({named}): {repeats} of {rows} rows repeat another row's key; "
                "name more columns, or remove the duplicates from the source."
            )

    def _repeats(self, again: Callable[[], Iterable[pa.RecordBatch]]) -> int:
        """Count the rows whose key stands in an earlier row. Sorts the hashes in place."""
        if self._rising == self.rows:
            return 0
        for some in _first(again(), self._rising):
            self._hash(some)
        hashes = np.frombuffer(self._hashes, dtype=np.int64)
        hashes.sort()
        same = hashes[1:] == hashes[:-1]
        repeats = int(same.sum())
        if not repeats or repeats > MOST_COMPARED:
            return repeats
        suspect = set(np.unique(hashes[1:][same]).tolist())
        keys = [
            key
            for rows in again()
            for key, hashed in zip(
                _keys(rows, self.columns),
                _hashes(rows, self.columns).tolist(),
                strict=True,
            )
            if hashed in suspect
        ]
        return len(keys) - len(set(keys))


def _first(batches: Iterable[pa.RecordBatch], count: int) -> Iterator[pa.RecordBatch]:
    """Yield so many rows, and no more."""
    for rows in batches:
        if count <= 0:
            return
        yield rows.slice(0, count)
        count -= rows.num_rows


def _hashes(rows: pa.RecordBatch, columns: Sequence[str]) -> np.ndarray:
    """Hash the keys of rows; a key that is one whole number is its own hash."""
    first = rows.column(columns[0])
    if len(columns) == 1 and pa.types.is_integer(first.type):
        return np.asarray(pc.fill_null(first, 0)).astype(np.int64)
    return np.fromiter(map(hash, _keys(rows, columns)), np.int64, rows.num_rows)


def _keys(rows: pa.RecordBatch, columns: Sequence[str]) -> Iterator[bytes]:
    return map(
        _encode,
        zip(*(raw(rows.column(name)).to_pylist() for name in columns), strict=True),
    )


def _null_keys(rows: pa.RecordBatch, columns: Sequence[str]) -> int:
    if not any(rows.column(name).null_count for name in columns):
        return 0
    null = np.zeros(rows.num_rows, dtype=bool)
    for name in columns:
        null |= np.asarray(pc.is_null(rows.column(name)))
    return int(null.sum())
