"""The roll of a shard: which of its requests results have spoken of, and what was said of each, as a hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from nightbatch.columnar.custom_ids import ids_of
from nightbatch.columnar.id_lookup import ID, Finder

UNKNOWN = -1


class Roll:
    """The requests of a shard, by their place in it. About 50 bytes each."""

    def __init__(self, ids: pa.Array | pa.ChunkedArray | Iterable[bytes]) -> None:
        whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
        self.ids = whole if isinstance(whole, pa.Array) else pa.array(whole, ID)
        self._finder = Finder(self.ids)
        self._told = np.zeros(len(self.ids), dtype=bool)
        self._now = np.zeros(len(self.ids), dtype=bool)
        self._said = np.zeros(len(self.ids), dtype=np.int64)
        self._line = np.zeros(len(self.ids), dtype=np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def told(self) -> int:
        """How many have been spoken of."""
        return int(self._told.sum())

    def begin(self) -> None:
        """Begin to read the results, for the first time or once more."""
        self._now[:] = False

    def places(self, names: pa.Array | Sequence[str]) -> np.ndarray:
        """Find the place of each custom_id; UNKNOWN for one that is none of the shard's."""
        places = np.full(len(names), UNKNOWN, dtype=np.int64)
        read, ids = ids_of(
            names if isinstance(names, pa.Array) else pa.array(names, pa.string())
        )
        rows, found = self._finder.find(ids)
        places[read[rows]] = found
        return places

    def call(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell which of these are spoken of for the first time, and which once more in the same reading.

        What an earlier reading told is neither, nor is what is unknown.
        """
        known = np.flatnonzero(places >= 0)
        here, lines = places[known], np.arange(len(known), dtype=np.int32)
        self._line[here] = len(lines)
        np.minimum.at(self._line, here, lines)
        first = self._line[here] == lines
        new = first & ~self._told[here]
        again = ~new & (self._now[here] | ~first)
        self._now[here] = True
        return known[new], known[again]

    def note(self, places: np.ndarray, said: np.ndarray) -> None:
        """Note what was said of requests."""
        self._told[places] = True
        self._said[places] = said

    def said(self, place: int) -> int:
        """Return what was said of a request."""
        return int(self._said[place])

    def silent(self) -> pa.Array:
        """Return the ids that nothing was said of, sorted."""
        return pa.array(sorted(self.ids.filter(pa.array(~self._told)).to_pylist()), ID)
