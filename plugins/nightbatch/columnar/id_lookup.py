"""Finds ids among many: in a table of slots, one id each, and by all 20 bytes where a slot is taken.

An id is the head of a SHA-256, so any 4 bytes of it are as good as random: they choose the slot, and nothing is hashed
or sorted. An id whose slot another has taken goes on to a smaller table, by its next 4 bytes, and so on.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.ids import ID_BYTES

Ids: TypeAlias = "pa.Array | pa.ChunkedArray"
RowsAndPlaces: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Positions among the ids that are asked for, and the place of each among the ids that are looked for."""
SPARSE = 2
"""There are at least this many slots for each id."""
_HEAD = 2
"""Words of 4 bytes in a head."""
_ID_WORDS = ID_BYTES // 4
"""Words of 4 bytes in an id."""


def words(ids: Ids) -> np.ndarray:
    """View ids (binary(20), none null) as rows of five 4-byte words."""
    whole_ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    _, data_buffer = whole_ids.buffers()
    all_words = np.frombuffer(data_buffer or b"", np.uint32)
    start_row = whole_ids.offset
    end_row = start_row + len(whole_ids)
    used_words = all_words[: end_row * _ID_WORDS]
    word_rows = used_words.reshape(-1, _ID_WORDS)
    return word_rows[start_row:]


def heads(id_words: np.ndarray) -> np.ndarray:
    """Read the first 8 bytes of each id as one number, so that heads are in the order of their ids."""
    head_words = np.ascontiguousarray(id_words[:, :_HEAD])
    big_endian_heads = head_words.view(">u8")[:, 0]
    return big_endian_heads.astype(np.uint64)


class IdRange(NamedTuple):
    """The ids whose heads are from `first` to `last`."""

    first: int
    last: int

    def contains(self, id_heads: np.ndarray) -> np.ndarray:
        """Tell which heads are in it."""
        is_after_first = id_heads >= np.uint64(self.first)
        is_before_last = id_heads <= np.uint64(self.last)
        return is_after_first & is_before_last

    def places(self, ids: Ids) -> np.ndarray:
        """Return the positions of the ids that are in it."""
        if self == ALL:
            return np.arange(len(ids))
        is_in_range = self.contains(heads(words(ids)))
        return np.flatnonzero(is_in_range)

    def overlaps(self, first: bytes, last: bytes) -> bool:
        """Tell whether an id between these two, both included, can be in it."""
        first_head = int.from_bytes(first[:8])
        last_head = int.from_bytes(last[:8])
        return first_head <= self.last and last_head >= self.first


def id_ranges(id_count: int, most: int) -> list[IdRange]:
    """Divide all ids into ranges of which each holds about `most` of `id_count` ids: ids are as good as random."""
    range_count = max(1, -(-id_count // most))
    bounds = range(range_count + 1)
    range_starts = [bound * 2**64 // range_count for bound in bounds]
    return [IdRange(start, end - 1) for start, end in pairwise(range_starts)]


ALL = IdRange(0, 2**64 - 1)


class IdLookup:
    """The ids to find. Takes 10 to 18 bytes for each, besides the ids themselves.

    has_duplicates: one of the ids occurs more than once; then nothing can be found.
    """

    def __init__(self, ids: Ids) -> None:
        self._tables = list[_Table]()
        self.has_duplicates = False
        id_words = words(ids)
        place_type = np.int32 if len(ids) < 2**31 else np.int64
        remaining_places = np.arange(len(ids), dtype=place_type)
        while len(remaining_places) and not self.has_duplicates:
            table_level = len(self._tables) + 1
            table = _Table(id_words, remaining_places, table_level)
            self._tables.append(table)
            remaining_places = table.displaced
            self.has_duplicates = table.has_duplicates

    def find(self, ids: Ids) -> RowsAndPlaces:
        """Return which of these ids (by position) are looked for, and as which."""
        id_words = words(ids)
        rows: np.ndarray | None = None  # None: all of them
        found_rows = [np.empty(0, np.int64)]
        found_places = [np.empty(0, np.int64)]
        for table in self._tables:
            table_words = id_words if rows is None else id_words.take(rows, axis=0)
            taken_rows, places = table.find(table_words)
            is_found = table.holds(places, table_words.take(taken_rows, axis=0))
            rows = taken_rows if rows is None else rows[taken_rows]
            found_rows.append(rows[is_found])
            found_places.append(places[is_found].astype(np.int64))
            rows = rows[~is_found]
        return np.concatenate(found_rows), np.concatenate(found_places)


class _Table:
    """Some of the ids, by place, each in a slot of its own; those whose slot was taken are `displaced`."""

    def __init__(self, ids: np.ndarray, places: np.ndarray, level: int) -> None:
        self._ids = ids
        self._word = level % _ID_WORDS
        slot_count = SPARSE << len(places).bit_length()
        self._mask = np.uint32(slot_count - 1)
        self._places = np.full(slot_count, -1, dtype=places.dtype)
        slots = self._slots_at(places)
        self._places[slots] = places
        holders = self._places.take(slots)
        displaced_rows = np.flatnonzero(holders != places)
        self.displaced = places[displaced_rows]
        displaced_ids = ids.take(self.displaced, axis=0)
        self.has_duplicates = bool(
            self.holds(holders[displaced_rows], displaced_ids).any()
        )

    def find(self, ids: np.ndarray) -> RowsAndPlaces:
        """Return which of these ids have a slot that is taken, and the place of the id that it holds."""
        places = self._places.take(self._slots(ids))
        taken_rows = np.flatnonzero(places >= 0)
        return taken_rows, places[taken_rows]

    def holds(self, places: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Tell of each of these ids whether it is the one at its place."""
        is_same_word = self._ids.take(places, axis=0) == ids
        word_columns = [is_same_word[:, word] for word in range(_ID_WORDS)]
        is_same_id: np.ndarray = np.logical_and.reduce(word_columns)
        return is_same_id

    def _slots_at(self, places: np.ndarray) -> np.ndarray:
        """Return the slots of the ids at these places, which are all ids in their order, or some of them."""
        if len(places) == len(self._ids):
            return self._slots(self._ids)
        return self._slots(self._ids.take(places, axis=0))

    def _slots(self, ids: np.ndarray) -> np.ndarray:
        slots: np.ndarray = ids[:, self._word] & self._mask
        return slots


def repeats(ids: Ids) -> np.ndarray:
    """Return the positions of ids that also occur at an earlier position."""
    id_heads = heads(words(ids))
    repeated_heads = duplicate_heads(id_heads.copy())
    if not len(repeated_heads):
        return np.empty(0, np.int64)
    places = np.flatnonzero(np.isin(id_heads, repeated_heads))
    candidates = ids.take(pa.array(places))
    if isinstance(candidates, pa.ChunkedArray):
        candidates = candidates.combine_chunks()
    id_numbers = pc.index_in(candidates, value_set=pc.unique(candidates))
    _, first_rows = np.unique(np.asarray(id_numbers), return_index=True)
    is_repeat = np.ones(len(places), dtype=bool)
    is_repeat[first_rows] = False
    return places[is_repeat]


def duplicate_heads(id_heads: np.ndarray) -> np.ndarray:
    """Return the heads that occur more than once. Sorts in place."""
    id_heads.sort()
    is_repeated = id_heads[1:] == id_heads[:-1]
    repeated_heads: np.ndarray = np.unique(id_heads[1:][is_repeated])
    return repeated_heads


ID = pa.binary(ID_BYTES)
