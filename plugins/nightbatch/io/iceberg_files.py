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
    opener_name = uuid4().hex
    _openers[opener_name] = opener
    return {"py-io-impl": f"{__name__}.StoreIO", OPENER: opener_name}


class StoreIO(FileIO):
    """Read and create objects through stores, one for each folder: the opener checks each folder."""

    def __init__(self, properties: dict[str, str] | None = None) -> None:
        super().__init__(properties or {})
        self._stores: dict[str, Store] = {}

    def new_input(self, location: str) -> StoreInput:
        return StoreInput(location, *self._place(location))

    def new_output(self, location: str) -> StoreOutput:
        return StoreOutput(location, *self._place(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        url = location if isinstance(location, str) else location.location
        store, key = self._place(url)
        store.remove([key])

    def _place(self, location: str) -> tuple[Store, str]:
        _, _, path = location.partition("://")
        folder, _, object_name = path.rpartition("/")
        store = self._stores.get(folder)
        if store is None:
            store = self._open(f"s3://{folder}/")
            self._stores[folder] = store
        return store, object_name

    def _open(self, url: str) -> Store:
        opener_name = str(self.properties[OPENER])
        open_store = _openers[opener_name]
        return open_store(url)


class _Placed:
    """An object of a store."""

    _store: Store
    _key: str

    def _size(self) -> int | None:
        for entry in self._store.list(self._key):
            if entry.key == self._key:
                return entry.size
        return None

    def __len__(self) -> int:
        size = self._size()
        if size is None:
            raise FileNotFoundError(self._key)
        return size

    def exists(self) -> bool:
        """Tell whether the object exists."""
        return self._size() is not None


class StoreInput(_Placed, InputFile):
    """An object to read."""

    def __init__(self, location: str, store: Store, key: str) -> None:
        super().__init__(location)
        self._store = store
        self._key = key

    def open(self, seekable: bool = True) -> InputStream:
        object_file: Any = self._store.open(self._key)
        return object_file  # type: ignore[no-any-return]


class StoreOutput(_Placed, OutputFile):
    """An object to create."""

    def __init__(self, location: str, store: Store, key: str) -> None:
        super().__init__(location)
        self._store = store
        self._key = key

    def to_input_file(self) -> StoreInput:
        return StoreInput(self.location, self._store, self._key)

    def create(self, overwrite: bool = False) -> OutputStream:
        return Creation(self._store, self._key)


class Creation:
    """An object being written: published when it is closed, discarded when its block ends by an exception."""

    def __init__(self, store: Store, key: str) -> None:
        self._upload = store.upload(key)
        self._key = key
        self._written_bytes = 0
        self._is_open = True

    def write(self, b: bytes) -> int:
        self._written_bytes += self._upload.write(bytes(b))
        return len(b)

    def tell(self) -> int:
        return self._written_bytes

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        is_ours = self._upload.commit()
        if not is_ours:
            raise FileExistsError(self._key)

    def __enter__(self) -> Creation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        elif self._is_open:
            self._is_open = False
            self._upload.abort()
