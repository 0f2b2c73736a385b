"""The store of a ledger as the ledger sees it: only keys that have exactly the form of a fact are listed.

Other objects below a state's URL are never read, counted or removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from nightbatch.ledger import keys
from nightbatch.ports import Entry, Store, Upload


class FactsStore:
    """A store that lists facts and nothing else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def open(self, key: str) -> BinaryIO:
        return self._store.open(key)

    def list(self, prefix: str) -> Iterator[Entry]:
        return (entry for entry in self._store.list(prefix) if keys.is_fact(entry.key))

    def children(self, folder: str) -> Iterator[Entry]:
        return (
            entry for entry in self._store.children(folder) if keys.is_fact(entry.key)
        )

    def create(self, key: str, body: bytes) -> bool:
        return self._store.create(key, body)

    def upload(self, key: str) -> Upload:
        return self._store.upload(key)

    def remove(self, keys: Iterable[str]) -> None:
        self._store.remove(keys)
