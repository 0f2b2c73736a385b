"""A store whose writes stay in memory: only the process that writes them can read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from nightbatch.errors import Absent
from nightbatch.io.memory import MemoryBucket, MemoryStore, MemoryUpload, directly_in
from nightbatch.ports import Entry, Reads


class Overlay:
    """Objects in memory over those of another store, which is only read; with None, there are no objects below."""

    def __init__(self, url: str, below: Reads | None) -> None:
        self._above = MemoryStore(url, MemoryBucket())
        self._below = below
        self.url = self._above.url

    def get(self, key: str) -> bytes:
        return self._holder(key).get(key)

    def open(self, key: str) -> BinaryIO:
        return self._holder(key).open(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        entries = {entry.key: entry for entry in self._listed_below(prefix)}
        for entry in self._above.list(prefix):
            entries[entry.key] = entry
        return iter([entries[key] for key in sorted(entries)])

    def children(self, folder: str) -> Iterator[Entry]:
        return directly_in(folder, self.list(folder))

    def create(self, key: str, body: bytes) -> bool:
        return self._above.create(key, body)

    def upload(self, key: str) -> MemoryUpload:
        return self._above.upload(key)

    def remove(self, keys: Iterable[str]) -> None:
        self._above.remove(keys)

    def _holder(self, key: str) -> Reads:
        """Return the store that an object is to be read from."""
        if self._below is None:
            return self._above
        is_above = any(entry.key == key for entry in self._above.list(key))
        return self._above if is_above else self._below

    def _listed_below(self, prefix: str) -> Iterable[Entry]:
        if self._below is None:
            return ()
        try:
            return tuple(self._below.list(prefix))
        except Absent:  # the bucket does not exist yet
            return ()
