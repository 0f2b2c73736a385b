"""A store whose writes stay in memory: what would be written is seen by the reader, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from nightbatch.errors import Absent
from nightbatch.io.memory import MemoryBucket, MemoryStore, MemoryUpload
from nightbatch.ports import Entry, Reads


class Overlay:
    """Objects in memory over those of another store, which is only read; None: over nothing."""

    def __init__(self, url: str, below: Reads | None) -> None:
        self._above, self._below = MemoryStore(url, MemoryBucket()), below
        self.url = self._above.url

    def get(self, key: str) -> bytes:
        return self._holder(key).get(key)

    def open(self, key: str) -> BinaryIO:
        return self._holder(key).open(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        found = {
            entry.key: entry
            for entry in [*self._listed_below(prefix), *self._above.list(prefix)]
        }
        return iter([found[key] for key in sorted(found)])

    def children(self, folder: str) -> Iterator[Entry]:
        return (
            entry
            for entry in self.list(folder)
            if "/" not in entry.key.removeprefix(folder)
        )

    def create(self, key: str, body: bytes) -> bool:
        return self._above.create(key, body)

    def upload(self, key: str) -> MemoryUpload:
        return self._above.upload(key)

    def remove(self, keys: Iterable[str]) -> None:
        self._above.remove(keys)

    def _holder(self, key: str) -> Reads:
        held = any(entry.key == key for entry in self._above.list(key))
        return self._above if held or self._below is None else self._below

    def _listed_below(self, prefix: str) -> Iterable[Entry]:
        try:
            return () if self._below is None else tuple(self._below.list(prefix))
        except Absent:  # the bucket is still to be made
            return ()
