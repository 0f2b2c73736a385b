"""Finds ids among many: by their sorted 8-byte heads, and by all 20 bytes where the heads agree.

An id is the head of a SHA-256, so its first 8 bytes are as good as random. Searching sorted heads for sorted heads
walks memory in order, which is what makes a hundred million ids a matter of seconds.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core.ids import ID_BYTES

Ids: TypeAlias = "pa.Array | pa.ChunkedArray"
_HEAD = 2
"""Words of 4 bytes in a head."""


def words(ids: Ids) -> np.ndarray:
    """View ids (binary(20), none null) as rows of five 4-byte words."""
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    raw = np.frombuffer(whole.buffers()[1] or b"", np.uint32)[: (whole.offset + len(whole)) * ID_BYTES // 4]
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

    def meets(self, first: bytes, last: bytes) -> bool:
        """Tell whether it has something in common with all that is between two ids."""
        return int.from_bytes(first[:8]) <= self.last and int.from_bytes(last[:8]) >= self.first


def spans(count: int, most: int) -> list[Span]:
    """Cut all ids into spans so that of `count` ids about `most` fall into each: ids are as good as random."""
    number = max(1, -(-count // most))
    edges = [at * 2**64 // number for at in range(number + 1)]
    return [Span(first, last - 1) for first, last in pairwise(edges)]


ALL = Span(0, 2**64 - 1)


class Finder:
    """The ids that are looked for; none stands twice among them."""

    def __init__(self, ids: Ids) -> None:
        self.ids, self._words = ids, words(ids)
        found = heads(self._words)
        self._order = np.argsort(found, kind="stable").astype(np.int32 if len(found) < 2**31 else np.int64)
        self._heads = found[self._order]

    def find(self, ids: Ids) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these ids (by position) are looked for, and as which."""
        if not len(ids) or not len(self._heads):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        if self._clash:
            return _by_hash(ids, self.ids)
        given = words(ids)
        order = np.argsort(heads(given), kind="stable")
        sought = heads(given)[order]
        at = np.searchsorted(self._heads, sought)
        at[at == len(self._heads)] = 0
        hit = np.flatnonzero(self._heads[at] == sought)
        rows, positions = order[hit], self._order[at[hit]].astype(np.int64)
        same = (given[rows, _HEAD:] == self._words[positions, _HEAD:]).all(axis=1)
        return rows[same], positions[same]

    @cached_property
    def _clash(self) -> bool:
        """Whether two different ids share a head; then all 20 bytes are compared from the start."""
        return bool((self._heads[1:] == self._heads[:-1]).any())


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


def _by_hash(ids: Ids, sought: Ids) -> tuple[np.ndarray, np.ndarray]:
    whole = sought.combine_chunks() if isinstance(sought, pa.ChunkedArray) else sought
    found = pc.index_in(ids, value_set=whole)
    return np.flatnonzero(np.asarray(pc.is_valid(found))), np.asarray(pc.drop_null(found)).astype(np.int64)
