"""An object store in memory, with the same promises as the one on S3: for tests, and for trying things out."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from nightbatch.errors import Absent
from nightbatch.ports import Entry
from nightbatch.spec.locations import parse


class MemoryBucket:
    """The objects of one bucket; any number of stores look into it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.written: dict[str, datetime] = {}
        self.lock = threading.Lock()


class MemoryStore:
    """A store below one root of a bucket in memory."""

    def __init__(self, url: str, bucket: MemoryBucket) -> None:
        self.url = parse(url, "URL", root=True).url
        self._bucket = bucket

    def get(self, key: str) -> bytes:
        try:
            return self._bucket.objects[self.url + key]
        except KeyError:
            raise Absent(f"{self.url}{key} is not there.") from None

    def size(self, key: str) -> int:
        return len(self.get(key))

    def open(self, key: str) -> BinaryIO:
        return io.BytesIO(self.get(key))

    def list(self, prefix: str) -> Iterator[Entry]:
        start = self.url + prefix
        for name in sorted(
            name for name in list(self._bucket.objects) if name.startswith(start)
        ):
            body = self._bucket.objects[name]
            yield Entry(
                name.removeprefix(self.url),
                len(body),
                hashlib.md5(body, usedforsecurity=False).hexdigest(),
            )

    def children(self, folder: str) -> Iterator[Entry]:
        return (
            entry
            for entry in self.list(folder)
            if "/" not in entry.key.removeprefix(folder)
        )

    def create(self, key: str, body: bytes) -> bool:
        with self._bucket.lock:
            self._bucket.written.setdefault(self.url + key, datetime.now(UTC))
            return self._bucket.objects.setdefault(self.url + key, body) == body

    def upload(self, key: str) -> MemoryUpload:
        return MemoryUpload(self, key)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._bucket.objects.pop(self.url + key, None)
            self._bucket.written.pop(self.url + key, None)

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        for entry in self.list(prefix):
            yield entry.key, self._bucket.written[self.url + entry.key]

    def replace(self, key: str, body: bytes) -> None:
        self._bucket.objects[self.url + key] = body
        self._bucket.written[self.url + key] = datetime.now(UTC)


class MemoryUpload:
    """An object in the making."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store, self._key, self._buffer = store, key, io.BytesIO()

    def write(self, data: bytes) -> int:
        return self._buffer.write(data)

    def commit(self) -> bool:
        return self._store.create(self._key, self._buffer.getvalue())

    def abort(self) -> None:
        self._buffer.close()
