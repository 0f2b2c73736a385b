"""A store in memory that notes what an S3 store would ask its server for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.support.nights.memory import MemoryWorld

from nightbatch.io.memory import MemoryStore, MemoryUpload
from nightbatch.ports import Entry, Store

Note = Callable[[str, str], None]


class CountedStore(MemoryStore):
    """Notes every request: a verb of S3, and the key or prefix. To open a file is a HEAD, and each read of it a GET."""

    note: Note

    def get(self, key: str) -> bytes:
        self.note("GET", key)
        return super().get(key)

    def open(self, key: str) -> BinaryIO:
        self.note("HEAD", key)
        body = super().get(key)
        return _CountedFile(body, lambda: self.note("GET", key))

    def list(self, prefix: str) -> Iterator[Entry]:
        self.note("LIST", prefix)
        return super().list(prefix)

    def create(self, key: str, body: bytes) -> bool:
        self.note("PUT", key)
        return super().create(key, body)

    def upload(self, key: str) -> MemoryUpload:
        return MemoryUpload(self, key)


class _CountedFile(io.BytesIO):
    def __init__(self, body: bytes, on_read: Callable[[], None]) -> None:
        super().__init__(body)
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        self._on_read()
        return super().read(size)


@dataclass
class CountedWorld(MemoryWorld):
    """A world in memory whose stores note their requests."""

    requests: list[str] = field(default_factory=list)

    def store(self, url: str) -> Store:
        store = CountedStore(url, self.bucket)
        store.note = self._note
        return store

    def _note(self, verb: str, key: str) -> None:
        self.requests.append(f"{verb} {key}")

    @contextmanager
    def counting(self) -> Iterator[list[str]]:
        """Give the list that the requests of a block are noted in."""
        self.requests = []
        yield self.requests
