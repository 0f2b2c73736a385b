"""Reading the objects that a column of addresses names, many at a time.

An address that cannot be read is a problem of its row. A failure of the network or the credentials stops the run.
No message contains an address or a part of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from nightbatch.errors import (
    Absent,
    BadCredentials,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from nightbatch.ports import Measures
from nightbatch.spec.locations import Location
from nightbatch.spec.media_roots import HTTPS, MediaPlace, MediaRoots
from nightbatch.template.media import Fetch, Read

T = TypeVar("T")

READ_THREADS = 16
OBJECT_BYTES = 32 * 1024 * 1024
"""The API takes requests of 32 MB and images of less: no larger object can be part of one."""
ROW_BYTES = 192_000_000
"""Most bytes of all objects of one row: 256 MB as base64 text, which is the API's limit for a whole batch."""
BYTES_AT_ONCE = 64 * 1024 * 1024
"""Rows are read together while their objects take no more than this; a larger row is read alone."""

ABSENT = "names no object"
DENIED = "names an object that the connection may not read"
NOT_READ = "names an object that the store does not return"
TOO_LARGE = f"names an object of more than {OBJECT_BYTES // 1024**2} MB"
TOO_MANY_BYTES = (
    f"is one of a row whose objects take more than {ROW_BYTES // 10**6} MB together"
)
STORE_PROBLEMS: dict[type[StoreError], str] = {
    StoreUnavailable: "the store did not answer, or asked to be tried later.",
    BadCredentials: "the store does not accept the credentials of the aws connection.",
}


def fetcher(open_folder: Callable[[str], Measures], roots: MediaRoots) -> Fetch:
    """Return a function that reads the objects that rows name, row by row; a page (https://) is left to the API.

    `open_folder` opens a store, once for each folder of `roots` that a row names. The fetch raises
    StoreUnavailable and BadCredentials.
    """
    stores: dict[Location, Measures] = {}

    def fetch(rows: Sequence[Sequence[str]]) -> Iterator[Read]:
        located = {address: _locate(roots, address) for row in rows for address in row}
        places = _media_places(located)
        used_roots = {place.root for place in places.values()}
        new_roots = used_roots - stores.keys()
        for root in new_roots:
            stores[root] = open_folder(root.url)
        with ThreadPoolExecutor(READ_THREADS, "fetch") as threads:
            objects = _Objects(stores, places, threads)
            yield from _read_rows(rows, located, objects)

    return fetch


def _media_places(
    located: Mapping[str, MediaPlace | str | None],
) -> dict[str, MediaPlace]:
    """Keep the addresses of objects; the others are pages, or have a problem."""
    return {
        address: place
        for address, place in located.items()
        if isinstance(place, MediaPlace)
    }


def _read_rows(
    rows: Sequence[Sequence[str]],
    located: Mapping[str, MediaPlace | str | None],
    objects: _Objects,
) -> Iterator[Read]:
    """Read the objects of each row, group after group."""
    sizes = objects.sizes()
    problems = _problems({**located, **sizes})
    byte_counts = {
        address: size for address, size in sizes.items() if isinstance(size, int)
    }
    for group in _groups(rows, byte_counts):
        bodies = objects.bodies(group.addresses)
        for row in group.rows:
            if _total(row, byte_counts) > ROW_BYTES:
                yield dict.fromkeys(row, TOO_MANY_BYTES)
            else:
                yield {**problems, **bodies}


def _problems(
    located_or_size: Mapping[str, int | MediaPlace | str | None],
) -> dict[str, str | None]:
    """Keep the addresses that have neither a size nor a place, each with its problem; None for a page."""
    return {
        address: problem
        for address, problem in located_or_size.items()
        if not isinstance(problem, int | MediaPlace)
    }


class _Objects:
    """The objects that rows name; each method reads each object at most once."""

    def __init__(
        self,
        stores: Mapping[Location, Measures],
        places: Mapping[str, MediaPlace],
        threads: ThreadPoolExecutor,
    ) -> None:
        self._stores = stores
        self._places = places
        self._threads = threads

    def sizes(self) -> dict[str, int | str]:
        """Return the size in bytes of each object, or the problem of its address."""
        return self._read_all(self._size, self._places)

    def bodies(self, addresses: Iterable[str]) -> dict[str, bytes | str]:
        """Return the bytes of these objects, or the problem of an address."""
        return self._read_all(self._body, addresses)

    def _read_all(
        self, read: Callable[[Measures, str], T | str], addresses: Iterable[str]
    ) -> dict[str, T | str]:
        sorted_addresses = sorted(addresses)

        def read_address(address: str) -> T | str:
            return self._read(read, self._places[address])

        values = self._threads.map(read_address, sorted_addresses)
        return dict(zip(sorted_addresses, values, strict=True))

    def _read(
        self, read: Callable[[Measures, str], T | str], place: MediaPlace
    ) -> T | str:
        """Read, or return the problem in our own words, since the store's words contain the address."""
        error_type: type[StoreError]
        try:
            return read(self._stores[place.root], place.key)
        except Absent:
            return ABSENT
        except (StoreUnavailable, BadCredentials) as error:
            error_type = type(error)
        except StoreDenied:
            return DENIED
        except StoreError:
            return NOT_READ
        raise error_type(
            f"{place.root}: an image or document could not be read: {STORE_PROBLEMS[error_type]}"
        )

    @staticmethod
    def _size(store: Measures, key: str) -> int | str:
        byte_count = store.size(key)
        return byte_count if byte_count <= OBJECT_BYTES else TOO_LARGE

    @staticmethod
    def _body(store: Measures, key: str) -> bytes | str:
        body = store.get(key)
        return body if len(body) <= OBJECT_BYTES else TOO_LARGE


@dataclass
class _Group:
    """Rows whose objects are held in memory together."""

    rows: list[Sequence[str]] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    size: int = 0


def _locate(roots: MediaRoots, address: str) -> MediaPlace | str | None:
    if address.startswith(HTTPS):
        return roots.page_problem(address)
    return roots.find(address)


def _total(addresses: Iterable[str], sizes: Mapping[str, int]) -> int:
    return sum(sizes.get(address, 0) for address in addresses)


def _groups(
    rows: Sequence[Sequence[str]], sizes: Mapping[str, int]
) -> Iterator[_Group]:
    """Cut rows into groups whose objects take at most BYTES_AT_ONCE; a row that takes more is a group of its own."""
    group = _Group()
    for row in rows:
        row_addresses = _readable_addresses(row, sizes)
        added_bytes = _total(row_addresses - group.addresses, sizes)
        if group.rows and group.size + added_bytes > BYTES_AT_ONCE:
            yield group
            group = _Group()
            added_bytes = _total(row_addresses, sizes)
        group.size += added_bytes
        group.rows.append(row)
        group.addresses |= row_addresses
    if group.rows:
        yield group


def _readable_addresses(row: Sequence[str], sizes: Mapping[str, int]) -> set[str]:
    """Return the addresses of a row that are worth reading: none where the row is too large."""
    if _total(row, sizes) > ROW_BYTES:
        return set()
    return {address for address in row if address in sizes}
