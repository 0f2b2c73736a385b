"""An object store in memory, with the same guarantees as the one on S3: for tests and experiments."""

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
    """The objects of one bucket, which any number of stores may share."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.written: dict[str, datetime] = {}
        self.lock = threading.Lock()

    def urls_below(self, prefix: str) -> list[str]:
        """List the URLs that start with a prefix, in order."""
        all_urls = list(self.objects)
        return sorted(url for url in all_urls if url.startswith(prefix))


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
        for object_url in self._bucket.urls_below(self.url + prefix):
            key = object_url.removeprefix(self.url)
            body = self._bucket.objects[object_url]
            yield Entry(key, len(body), _etag(body))

    def children(self, folder: str) -> Iterator[Entry]:
        return directly_in(folder, self.list(folder))

    def create(self, key: str, body: bytes) -> bool:
        object_url = self.url + key
        with self._bucket.lock:
            self._bucket.written.setdefault(object_url, datetime.now(UTC))
            present_body = self._bucket.objects.setdefault(object_url, body)
            return present_body == body

    def upload(self, key: str) -> MemoryUpload:
        return MemoryUpload(self, key)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            object_url = self.url + key
            self._bucket.objects.pop(object_url, None)
            self._bucket.written.pop(object_url, None)

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        for entry in self.list(prefix):
            yield entry.key, self._bucket.written[self.url + entry.key]

    def replace(self, key: str, body: bytes) -> None:
        object_url = self.url + key
        self._bucket.objects[object_url] = body
        self._bucket.written[object_url] = datetime.now(UTC)


class MemoryUpload:
    """An object being written."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key
        self._buffer = io.BytesIO()

    def write(self, data: bytes) -> int:
        return self._buffer.write(data)

    def commit(self) -> bool:
        return self._store.create(self._key, self._buffer.getvalue())

    def abort(self) -> None:
        self._buffer.close()


def directly_in(folder: str, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Keep the entries that are in a folder itself, not in a folder below it."""
    for entry in entries:
        path = entry.key.removeprefix(folder)
        if "/" not in path:
            yield entry


def _etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
