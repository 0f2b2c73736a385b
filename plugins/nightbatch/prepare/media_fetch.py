"""Reading the objects that a column of addresses names, many at a time.

An address that cannot be read is a problem of its row. A failure of the network or the credentials stops the run.
No message contains an address or a part of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeVar

from nightbatch.columnar.threads import lent_threads
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
OpenFolder = Callable[[str], Measures]
ReadObject = Callable[[Measures, str], T | str]
"""Reads something of the object of a key, or says what is wrong with it."""
Addresses = Sequence[str]
"""What one row names."""
Places = Mapping[str, MediaPlace]
"""Where the object of each address is."""
Located = Mapping[str, MediaPlace | str | None]
"""Where the object of each address is, or what is wrong with it; None: a page."""
LocatedOrSize = Mapping[str, int | MediaPlace | str | None]
"""The same, or how large the object of an address is."""
Problems = dict[str, str | None]
"""What is wrong with each address; None: a page."""
ByAddress = dict[str, T | str]
"""What was read from each address, or what is wrong with it."""
ByteCounts = Mapping[str, int]
"""How large the object of each address is."""

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


def fetcher(open_folder: OpenFolder, roots: MediaRoots) -> Fetch:
    """Return a function that reads the objects that rows name, row by row; a page (https://) is left to the API.

    `open_folder` opens a store, once for each folder of `roots` that a row names. The fetch raises
    StoreUnavailable and BadCredentials.
    """
    return _Fetcher(open_folder, roots).fetch


class _Fetcher:
    """Reads what rows name, from stores that it opens when the first row names something in them."""

    def __init__(self, open_folder: OpenFolder, roots: MediaRoots) -> None:
        self._open_folder = open_folder
        self._roots = roots
        self._stores = dict[Location, Measures]()

    def fetch(self, rows: Sequence[Addresses]) -> Iterator[Read]:
        addresses = chain.from_iterable(rows)
        located = {address: self._locate(address) for address in addresses}
        places = _media_places(located)
        self._open_stores(places)
        with lent_threads("fetch", READ_THREADS) as threads:
            objects = _Objects(self._stores, places, threads)
            yield from _read_rows(rows, located, objects)

    def _locate(self, address: str) -> MediaPlace | str | None:
        if address.startswith(HTTPS):
            return self._roots.page_problem(address)
        return self._roots.find(address)

    def _open_stores(self, places: Places) -> None:
        used_roots = {place.root for place in places.values()}
        new_roots = used_roots - self._stores.keys()
        for root in new_roots:
            self._stores[root] = self._open_folder(root.url)


def _media_places(located: Located) -> Places:
    """Keep the addresses of objects; the others are pages, or have a problem."""
    return {
        address: place
        for address, place in located.items()
        if isinstance(place, MediaPlace)
    }


def _read_rows(
    rows: Sequence[Addresses], located: Located, objects: _Objects
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
            row_bytes = _total(row, byte_counts)
            if row_bytes > ROW_BYTES:
                yield dict.fromkeys(row, TOO_MANY_BYTES)
            else:
                yield {**problems, **bodies}


def _problems(located_or_size: LocatedOrSize) -> Problems:
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
        places: Places,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._stores = stores
        self._places = places
        self._threads = threads

    def sizes(self) -> ByAddress[int]:
        """Return the size in bytes of each object, or the problem of its address."""
        return self._read_all(self._size, self._places)

    def bodies(self, addresses: Iterable[str]) -> ByAddress[bytes]:
        """Return the bytes of these objects, or the problem of an address."""
        return self._read_all(self._body, addresses)

    def _read_all(self, read: ReadObject[T], addresses: Iterable[str]) -> ByAddress[T]:
        sorted_addresses = sorted(addresses)
        places = [self._places[address] for address in sorted_addresses]
        values = self._threads.map(partial(self._read, read), places)
        return dict(zip(sorted_addresses, values, strict=True))

    def _read(self, read: ReadObject[T], place: MediaPlace) -> T | str:
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

    rows: list[Addresses] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    size: int = 0


def _total(addresses: Iterable[str], sizes: ByteCounts) -> int:
    return sum(sizes.get(address, 0) for address in addresses)


def _groups(rows: Sequence[Addresses], sizes: ByteCounts) -> Iterator[_Group]:
    """Cut rows into groups whose objects take at most BYTES_AT_ONCE; a row that takes more is a group of its own."""
    group = _Group()
    for row in rows:
        row_addresses = _readable_addresses(row, sizes)
        new_addresses = row_addresses - group.addresses
        added_bytes = _total(new_addresses, sizes)
        if group.rows and group.size + added_bytes > BYTES_AT_ONCE:
            yield group
            group = _Group()
            added_bytes = _total(row_addresses, sizes)
        group.size += added_bytes
        group.rows.append(row)
        group.addresses |= row_addresses
    if group.rows:
        yield group


def _readable_addresses(row: Addresses, sizes: ByteCounts) -> set[str]:
    """Return the addresses of a row that are worth reading: none where the row is too large."""
    if _total(row, sizes) > ROW_BYTES:
        return set()
    return {address for address in row if address in sizes}
