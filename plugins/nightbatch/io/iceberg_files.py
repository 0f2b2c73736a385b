"""PyIceberg's file IO over a store, so that table metadata is written as everything else is."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any
from uuid import uuid4

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from nightbatch.ports import Store

OPENER = "nightbatch.opener"
_openers: dict[str, Callable[[str], Store]] = {}


def properties(opener: Callable[[str], Store]) -> dict[str, str]:
    """Return the catalog properties that make PyIceberg use stores; `opener` opens one below a folder's URL."""
    name = uuid4().hex
    _openers[name] = opener
    return {"py-io-impl": f"{__name__}.StoreIO", OPENER: name}


class StoreIO(FileIO):
    """Reads and creates objects through stores, one a folder: each folder is checked by what opens it."""

    def __init__(self, properties: dict[str, str] | None = None) -> None:
        super().__init__(properties or {})
        self._stores: dict[str, Store] = {}

    def new_input(self, location: str) -> StoreInput:
        return StoreInput(location, *self._place(location))

    def new_output(self, location: str) -> StoreOutput:
        return StoreOutput(location, *self._place(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        store, key = self._place(
            location if isinstance(location, str) else location.location
        )
        store.remove([key])

    def _place(self, location: str) -> tuple[Store, str]:
        _, _, path = location.partition("://")
        folder, _, name = path.rpartition("/")
        if folder not in self._stores:
            self._stores[folder] = _openers[str(self.properties[OPENER])](
                f"s3://{folder}/"
            )
        return self._stores[folder], name


class _Placed:
    """An object of a store."""

    _store: Store
    _key: str

    def _size(self) -> int | None:
        return next(
            (
                entry.size
                for entry in self._store.list(self._key)
                if entry.key == self._key
            ),
            None,
        )

    def __len__(self) -> int:
        size = self._size()
        if size is None:
            raise FileNotFoundError(self._key)
        return size

    def exists(self) -> bool:
        """Whether the object is there."""
        return self._size() is not None


class StoreInput(_Placed, InputFile):
    """An object to read."""

    def __init__(self, location: str, store: Store, key: str) -> None:
        super().__init__(location)
        self._store, self._key = store, key

    def open(self, seekable: bool = True) -> InputStream:
        found: Any = self._store.open(self._key)
        return found  # type: ignore[no-any-return]


class StoreOutput(_Placed, OutputFile):
    """An object to create."""

    def __init__(self, location: str, store: Store, key: str) -> None:
        super().__init__(location)
        self._store, self._key = store, key

    def to_input_file(self) -> StoreInput:
        return StoreInput(self.location, self._store, self._key)

    def create(self, overwrite: bool = False) -> OutputStream:
        return Creation(self._store, self._key)


class Creation:
    """An object in the making: published when it is closed, forgotten when its block ends by an exception."""

    def __init__(self, store: Store, key: str) -> None:
        self._upload, self._key, self._at, self._open = store.upload(key), key, 0, True

    def write(self, b: bytes) -> int:
        self._at += self._upload.write(bytes(b))
        return len(b)

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        if self._open:
            self._open = False
            if not self._upload.commit():
                raise FileExistsError(self._key)

    def __enter__(self) -> Creation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._open:
            self._open = False
            self._upload.abort()
