"""Which of a shard's requests have a result, and the hash of each result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from nightbatch.columnar.custom_ids import ids_of
from nightbatch.columnar.id_lookup import ID, IdLookup

UNKNOWN = -1
"""The position of a custom_id that is not in the shard."""


class Received:
    """The requests of a shard, by their position in it. About 50 bytes each."""

    def __init__(self, ids: pa.Array | pa.ChunkedArray | Iterable[bytes]) -> None:
        self.ids = _one_array(ids)
        self._lookup = IdLookup(self.ids)
        self._is_received = self._zeros(np.bool_)
        self._in_this_reading = self._zeros(np.bool_)
        self._result_hashes = self._zeros(np.int64)
        # The first line of a block that names each request, while `first_and_repeated` compares them.
        self._first_lines = self._zeros(np.int32)

    def _zeros(self, kind: type[np.generic]) -> np.ndarray:
        return np.zeros(len(self.ids), dtype=kind)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def count(self) -> int:
        """How many requests have a result."""
        return int(self._is_received.sum())

    def begin(self) -> None:
        """Begin to read the results, for the first time or again."""
        self._in_this_reading[:] = False

    def places(self, names: pa.Array | Sequence[str]) -> np.ndarray:
        """Find the position of each custom_id in the shard; UNKNOWN for one that is not in it."""
        if not isinstance(names, pa.Array):
            names = pa.array(names, pa.string())
        places = np.full(len(names), UNKNOWN, dtype=np.int64)
        well_formed_rows, ids = ids_of(names)
        found_ids, found_places = self._lookup.find(ids)
        known_rows = well_formed_rows[found_ids]
        places[known_rows] = found_places
        return places

    def first_and_repeated(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of these lines are the first for their request, and which repeat one of the same reading.

        `places`: the position of each line's request. Lines of unknown requests are neither, and so are lines of
        requests that an earlier reading received.
        """
        known_lines = np.flatnonzero(places >= 0)
        known_places = places[known_lines]
        is_first = self._first_of_each(known_places)
        was_received = self._is_received[known_places]
        is_new = is_first & ~was_received
        was_in_reading = self._in_this_reading[known_places]
        is_repeat = ~is_new & (was_in_reading | ~is_first)
        self._in_this_reading[known_places] = True
        new_lines = known_lines[is_new]
        repeated_lines = known_lines[is_repeat]
        return new_lines, repeated_lines

    def _first_of_each(self, places: np.ndarray) -> np.ndarray:
        """Return which lines are the first to name their request."""
        line_count = len(places)
        line_numbers = np.arange(line_count, dtype=np.int32)
        self._first_lines[places] = line_count
        np.minimum.at(self._first_lines, places, line_numbers)
        return np.asarray(self._first_lines[places] == line_numbers)

    def record(self, places: np.ndarray, result_hashes: np.ndarray) -> None:
        """Store the hashes of the results of requests."""
        self._is_received[places] = True
        self._result_hashes[places] = result_hashes

    def content_hash(self, place: int) -> int:
        """Return the hash of a request's result."""
        return int(self._result_hashes[place])

    def missing_ids(self) -> pa.Array:
        """Return the ids of the requests without a result, sorted."""
        is_missing = pa.array(~self._is_received)
        missing_ids = self.ids.filter(is_missing).to_pylist()
        return pa.array(sorted(missing_ids), ID)


def _one_array(ids: pa.Array | pa.ChunkedArray | Iterable[bytes]) -> pa.Array:
    if isinstance(ids, pa.ChunkedArray):
        return ids.combine_chunks()
    if isinstance(ids, pa.Array):
        return ids
    return pa.array(ids, ID)
