"""Reading the objects that a column of addresses names, many at a time.

An address that cannot be read is its row's problem. Trouble that is not the address's own (network, credentials) stops
the run. Neither says an address or a part of one.
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
from nightbatch.spec.media_roots import HTTPS, MediaRoots, Place
from nightbatch.template.media import Fetch, Read

T = TypeVar("T")

AT_ONCE = 16
OBJECT_BYTES = 32 * 1024 * 1024
"""The API takes requests of 32 MB and images of less: no larger object can be part of one."""
ROW_BYTES = 192_000_000
"""What all objects of one row may take: as base64 text, 256 MB, which is the API's limit for a whole batch."""
BYTES_AT_ONCE = 64 * 1024 * 1024
"""Rows are read together while their objects take no more than this, or one row by itself."""

ABSENT = "names no object"
DENIED = "names an object that the connection may not read"
NOT_READ = "names an object that the store does not return"
TOO_LARGE = f"names an object of more than {OBJECT_BYTES // 1024**2} MB"
TOO_MANY_BYTES = (
    f"is one of a row whose objects take more than {ROW_BYTES // 10**6} MB together"
)
TROUBLE: dict[type[StoreError], str] = {
    StoreUnavailable: "the store did not answer, or asked to be tried later.",
    BadCredentials: "the store does not accept the credentials of the aws connection.",
}


def fetcher(open_folder: Callable[[str], Measures], roots: MediaRoots) -> Fetch:
    """Return what reads the objects that rows name, row after row; a page (https://) is left to the API.

    `open_folder` opens a store, once for each folder of `roots` that a row names. The fetch raises
    StoreUnavailable and BadCredentials.
    """
    stores: dict[Location, Measures] = {}

    def fetch(rows: Sequence[Sequence[str]]) -> Iterator[Read]:
        found = {address: _found(roots, address) for row in rows for address in row}
        places = {
            address: place
            for address, place in found.items()
            if isinstance(place, Place)
        }
        for root in {place.root for place in places.values()} - stores.keys():
            stores[root] = open_folder(root.url)
        with ThreadPoolExecutor(AT_ONCE, "fetch") as threads:
            objects = _Objects(stores, places, threads)
            sizes = objects.sizes()
            known = {**found, **sizes}.items()
            unread = {
                name: problem
                for name, problem in known
                if not isinstance(problem, int | Place)
            }
            byte_counts = {
                name: size for name, size in sizes.items() if isinstance(size, int)
            }
            for group in _groups(rows, byte_counts):
                bodies = objects.bodies(group.addresses)
                for row in group.rows:
                    too_large = _total(row, byte_counts) > ROW_BYTES
                    yield (
                        dict.fromkeys(row, TOO_MANY_BYTES)
                        if too_large
                        else {**unread, **bodies}
                    )

    return fetch


class _Objects:
    """The objects that some rows name, each read at most once by every method."""

    def __init__(
        self,
        stores: Mapping[Location, Measures],
        places: Mapping[str, Place],
        threads: ThreadPoolExecutor,
    ) -> None:
        self._stores = stores
        self._places = places
        self._threads = threads

    def sizes(self) -> dict[str, int | str]:
        """Return the size in bytes of each object, or what is wrong with its address."""
        return self._each(self._size, self._places)

    def bodies(self, addresses: Iterable[str]) -> dict[str, bytes | str]:
        """Return the bytes of some objects, or what is wrong with an address."""
        return self._each(self._body, addresses)

    def _each(
        self, read: Callable[[Measures, str], T | str], addresses: Iterable[str]
    ) -> dict[str, T | str]:
        names = sorted(addresses)
        return dict(
            zip(
                names,
                self._threads.map(
                    lambda name: self._tried(read, self._places[name]), names
                ),
                strict=True,
            )
        )

    def _tried(self, read: Callable[[Measures, str], T | str], place: Place) -> T | str:
        """Read, or say what is wrong: in words of ours, since those of the store hold the address."""
        trouble: type[StoreError]
        try:
            return read(self._stores[place.root], place.key)
        except Absent:
            return ABSENT
        except (StoreUnavailable, BadCredentials) as error:
            trouble = type(error)
        except StoreDenied:
            return DENIED
        except StoreError:
            return NOT_READ
        raise trouble(
            f"{place.root}: an image or document could not be read: {TROUBLE[trouble]}"
        )

    @staticmethod
    def _size(store: Measures, key: str) -> int | str:
        size = store.size(key)
        return size if size <= OBJECT_BYTES else TOO_LARGE

    @staticmethod
    def _body(store: Measures, key: str) -> bytes | str:
        body = store.get(key)
        return body if len(body) <= OBJECT_BYTES else TOO_LARGE


@dataclass
class _Group:
    """Rows whose objects are held at once."""

    rows: list[Sequence[str]] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    size: int = 0


def _found(roots: MediaRoots, address: str) -> Place | str | None:
    return (
        roots.page_problem(address)
        if address.startswith(HTTPS)
        else roots.find(address)
    )


def _total(row: Sequence[str], sizes: Mapping[str, int]) -> int:
    return sum(sizes.get(address, 0) for address in row)


def _groups(
    rows: Sequence[Sequence[str]], sizes: Mapping[str, int]
) -> Iterator[_Group]:
    """Cut rows into groups whose objects take at most BYTES_AT_ONCE; a row that takes more stands by itself."""
    group = _Group()
    for row in rows:
        wanted = (
            {address for address in row if address in sizes}
            if _total(row, sizes) <= ROW_BYTES
            else set()
        )
        if (
            group.rows
            and group.size + _total([*(wanted - group.addresses)], sizes)
            > BYTES_AT_ONCE
        ):
            yield group
            group = _Group()
        group.size += _total([*(wanted - group.addresses)], sizes)
        group.rows.append(row)
        group.addresses |= wanted
    if group.rows:
        yield group
