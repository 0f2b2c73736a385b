"""An object store in a folder: the promises of the one on S3, at the speed of the disk and without a server's CPU."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast
from uuid import uuid4

import pyarrow as pa

from nightbatch.errors import Absent
from nightbatch.ports import Entry


class FolderStore:
    """A store below one folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.url = root, f"file://{root}/"

    def get(self, key: str) -> bytes:
        try:
            return (self.root / key).read_bytes()
        except FileNotFoundError:
            raise Absent(f"{self.url}{key} is not there.") from None

    def open(self, key: str) -> BinaryIO:
        try:
            return cast("BinaryIO", pa.OSFile(str(self.root / key)))
        except FileNotFoundError:
            raise Absent(f"{self.url}{key} is not there.") from None

    def list(self, prefix: str) -> Iterator[Entry]:
        folder = self.root / prefix.rpartition("/")[0]
        found = (
            (str(path.relative_to(self.root)), path)
            for path in folder.rglob("*")
            if path.is_file()
        )
        for key, path in sorted(found):
            if key.startswith(prefix) and not path.name.startswith(".making-"):
                status = path.stat()
                yield Entry(key, status.st_size, str(status.st_mtime_ns))

    def children(self, folder: str) -> Iterator[Entry]:
        return (
            entry
            for entry in self.list(folder)
            if "/" not in entry.key.removeprefix(folder)
        )

    def create(self, key: str, body: bytes) -> bool:
        upload = self.upload(key)
        upload.write(body)
        return upload.commit() or self.get(key) == body

    def upload(self, key: str) -> FolderUpload:
        return FolderUpload(self.root / key)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            (self.root / key).unlink(missing_ok=True)


class FolderUpload:
    """A file in the making, under a name of its own until it is linked to its key."""

    def __init__(self, path: Path) -> None:
        self._path, self._making = path, path.with_name(f".making-{uuid4().hex}")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._making.open("wb")

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def commit(self) -> bool:
        self._file.close()
        try:
            os.link(self._making, self._path)
        except FileExistsError:
            return False
        finally:
            self.abort()
        return True

    def abort(self) -> None:
        self._file.close()
        self._making.unlink(missing_ok=True)
