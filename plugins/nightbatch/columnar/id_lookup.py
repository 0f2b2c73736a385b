"""Finds ids among many: in a table of slots, one id each, and by all 20 bytes where a slot is taken.

An id is the head of a SHA-256, so any 4 bytes of it are as good as random: they are the slot, and nothing is hashed or
sorted. An id whose slot another has taken goes on to a smaller table, by its next 4 bytes, and so on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.ids import ID_BYTES

Ids: TypeAlias = "pa.Array | pa.ChunkedArray"
SPARSE = 2
"""There are at least so many slots for each id."""
_HEAD = 2
"""Words of 4 bytes in a head."""


def words(ids: Ids) -> np.ndarray:
    """View ids (binary(20), none null) as rows of five 4-byte words."""
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    raw = np.frombuffer(whole.buffers()[1] or b"", np.uint32)[
        : (whole.offset + len(whole)) * ID_BYTES // 4
    ]
    return raw.reshape(-1, ID_BYTES // 4)[whole.offset :]


def heads(of: np.ndarray) -> np.ndarray:
    """Read the first 8 bytes of each id as one number, so that heads are in the order of their ids."""
    return np.ascontiguousarray(of[:, :_HEAD]).view(">u8")[:, 0].astype(np.uint64)


class Span(NamedTuple):
    """The ids whose heads are from `first` to `last`."""

    first: int
    last: int

    def holds(self, found: np.ndarray) -> np.ndarray:
        """Tell which heads are in it."""
        return (found >= np.uint64(self.first)) & (found <= np.uint64(self.last))

    def places(self, ids: Ids) -> np.ndarray:
        """Return the positions of the ids that are in it."""
        return (
            np.arange(len(ids))
            if self == ALL
            else np.flatnonzero(self.holds(heads(words(ids))))
        )

    def meets(self, first: bytes, last: bytes) -> bool:
        """Tell whether it has something in common with all that is between two ids."""
        return (
            int.from_bytes(first[:8]) <= self.last
            and int.from_bytes(last[:8]) >= self.first
        )


def spans(count: int, most: int) -> list[Span]:
    """Cut all ids into spans so that of `count` ids about `most` fall into each: ids are as good as random."""
    number = max(1, -(-count // most))
    edges = [at * 2**64 // number for at in range(number + 1)]
    return [Span(first, last - 1) for first, last in pairwise(edges)]


ALL = Span(0, 2**64 - 1)


class Finder:
    """The ids that are looked for. 10 to 18 bytes each, beside the ids themselves.

    twice: an id stands more than once among them; then nothing can be found.
    """

    def __init__(self, ids: Ids) -> None:
        self._tables = list[_Table]()
        found, left = (
            words(ids),
            np.arange(len(ids), dtype=np.int32 if len(ids) < 2**31 else np.int64),
        )
        self.twice = False
        while len(left) and not self.twice:
            table = _Table(found, left, len(self._tables) + 1)
            self._tables.append(table)
            left = table.left
            self.twice = table.twice

    def find(self, ids: Ids) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these ids (by position) are looked for, and as which."""
        given, rows = words(ids), None
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        for table in self._tables:
            asked = given if rows is None else given.take(rows, axis=0)
            there, places = table.find(asked)
            here = _alike(table.ids.take(places, axis=0), asked.take(there, axis=0))
            row = there if rows is None else rows[there]
            found.append((row[here], places[here].astype(np.int64)))
            rows = row[~here]
        return np.concatenate([row for row, _ in found]), np.concatenate(
            [place for _, place in found]
        )


class _Table:
    """Some of the ids, by place, each in a slot of its own; those that found theirs taken are left."""

    def __init__(self, ids: np.ndarray, places: np.ndarray, level: int) -> None:
        self.ids, self._word = ids, level % (ID_BYTES // 4)
        self._mask = np.uint32((SPARSE << len(places).bit_length()) - 1)
        self._places = np.full(int(self._mask) + 1, -1, dtype=places.dtype)
        slots = self._slots(
            ids if len(places) == len(ids) else ids.take(places, axis=0)
        )
        self._places[slots] = places
        holders = self._places.take(slots)
        lost = np.flatnonzero(holders != places)
        self.left = places[lost]
        self.twice = bool(
            _alike(ids.take(self.left, axis=0), ids.take(holders[lost], axis=0)).any()
        )

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these ids have a slot that is taken, and the place of the id that it holds."""
        places = self._places.take(self._slots(ids))
        taken = np.flatnonzero(places >= 0)
        return taken, places[taken]

    def _slots(self, ids: np.ndarray) -> np.ndarray:
        slots: np.ndarray = ids[:, self._word] & self._mask
        return slots


def _alike(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compare ids row by row."""
    same = some == others
    alike: np.ndarray = np.logical_and.reduce(
        [same[:, word] for word in range(ID_BYTES // 4)]
    )
    return alike


def repeats(ids: Ids) -> np.ndarray:
    """Return the positions at which an id stands that stood before."""
    found = heads(words(ids))
    doubtful = doubles(found.copy())
    if not len(doubtful):
        return np.empty(0, np.int64)
    places = np.flatnonzero(np.isin(found, doubtful))
    some = ids.take(pa.array(places))
    some = some.combine_chunks() if isinstance(some, pa.ChunkedArray) else some
    firsts = np.asarray(pc.index_in(some, value_set=pc.unique(some)))
    _, first = np.unique(firsts, return_index=True)
    again = np.ones(len(places), dtype=bool)
    again[first] = False
    return places[again]


def doubles(found: np.ndarray) -> np.ndarray:
    """Return the heads that stand more than once; sorts in place."""
    found.sort()
    again: np.ndarray = np.unique(found[1:][found[1:] == found[:-1]])
    return again


ID = pa.binary(ID_BYTES)
