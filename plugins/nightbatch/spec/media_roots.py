"""Which images and documents the rows of a run may name: an address comes from a row, and is not trusted.

No message of this module holds an address: only what is wrong with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from nightbatch.errors import SettingsError
from nightbatch.spec.locations import SCHEME, Location, parse

Place = TypeVar("Place", Location, str)
HTTPS = "https://"
Pages = tuple[str, ...] | None
"""Prefixes of https:// addresses; None: any such address."""
MALFORMED = "is not a plain URL of an object"
OUTSIDE = "lies outside media_roots"


@dataclass(frozen=True)
class MediaPlace:
    """An object that may be read: the folder of `media_roots` that it lies in, and its key below that."""

    root: Location
    key: str


@dataclass(frozen=True)
class MediaRoots:
    """The folders and pages below which addresses of rows must lie."""

    folders: tuple[Location, ...]
    pages: Pages = None

    @classmethod
    def read(cls, urls: Sequence[str] | None, source: str) -> MediaRoots:
        """Read the parameter `media_roots`; None stands for the whole bucket of the source, and for any https:// page.

        Raises SettingsError for what is neither a folder in a bucket nor an https:// prefix.
        """
        if urls is None:
            source_bucket = parse(source, "source", root=True).bucket
            return cls((Location(source_bucket, ""),))
        return cls.of(urls, "media_roots")

    @classmethod
    def of(cls, urls: Sequence[str], name: str) -> MediaRoots:
        """Read a list of URLs. `name`: the parameter, for the error."""
        if isinstance(urls, str):
            raise SettingsError(
                f"{name}: must be a list of URLs such as s3://bucket/folder/."
            )
        pages = tuple(filter(_is_https, urls))
        for page in pages:
            _check_prefix(page, name)
        folder_urls = [url for url in urls if url not in pages]
        folders = tuple(parse(url, name, root=True) for url in folder_urls)
        return cls(folders, pages)

    @property
    def urls(self) -> list[str]:
        """The same as a parameter."""
        folder_urls = [folder.url for folder in self.folders]
        return [*folder_urls, *(self.pages or ())]

    def contains(self, other: MediaRoots) -> bool:
        """Tell whether whatever lies below the other's roots lies below these too."""
        are_folders_inside = all(map(self.contains_folder, other.folders))
        if not are_folders_inside:
            return False
        if self.pages is None:
            return True
        if other.pages is None:
            return False
        return all(_is_covered(page, self.pages) for page in other.pages)

    def contains_folder(self, folder: Location) -> bool:
        """Tell whether a folder is one of these or lies below one."""
        return any(root.contains(folder) for root in self.folders)

    def within(self, outer: MediaRoots) -> MediaRoots:
        """Return what lies both below these roots and below those of `outer`."""
        folders = _without_repeats(self._shared_folders(outer))
        pages = _shared_pages(self.pages, outer.pages)
        return MediaRoots(folders, pages)

    def _shared_folders(self, outer: MediaRoots) -> Iterator[Location]:
        for folder in self.folders:
            yield from outer.folders_below(folder)

    def folders_below(self, folder: Location) -> list[Location]:
        """Return a folder where it lies below one of these roots, else those of these roots that lie below it."""
        if self.contains_folder(folder):
            return [folder]
        return [root for root in self.folders if folder.contains(root)]

    def find(self, address: str) -> MediaPlace | str:
        """Return where the object of an `s3://` address is, or what is wrong with the address."""
        try:
            location = parse(address, "address", root=True)
        except SettingsError:
            return MALFORMED
        bucket_url = f"{SCHEME}{location.bucket}/"
        key = address.removeprefix(bucket_url)
        if not location.prefix or key.endswith("/"):
            return MALFORMED
        for root in self.folders:
            is_below = root.contains(location) and root != location
            if is_below:
                key_below = key.removeprefix(root.prefix)
                return MediaPlace(root, key_below)
        return OUTSIDE

    def page_problem(self, address: str) -> str | None:
        """Say what is wrong with an `https://` address, which the API reads, or None."""
        if self.pages is None:
            return None
        if _page(address) is None:
            return MALFORMED
        return None if _is_covered(address, self.pages) else OUTSIDE


def _check_prefix(page: str, name: str) -> None:
    if _page(page) is None or not page.endswith("/"):
        raise SettingsError(
            f"{name}: {page!r} must be a prefix such as https://example.com/scans/."
        )


def _is_https(url: object) -> bool:
    return isinstance(url, str) and url.startswith(HTTPS)


def _without_repeats(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(places))


def _shared_pages(first: Pages, second: Pages) -> Pages:
    """Return the prefixes of both that lie below one of the other's."""
    if first is None:
        return second
    if second is None:
        return first
    below_second = _pages_below(second, first)
    below_first = _pages_below(first, second)
    shared_pages = [*below_second, *below_first]
    return _without_repeats(shared_pages)


def _pages_below(roots: Sequence[str], pages: Sequence[str]) -> list[str]:
    return [page for page in pages if _is_covered(page, roots)]


def _is_covered(address: str, roots: Sequence[str]) -> bool:
    return any(_covers(root, address) for root in roots)


def _covers(root: str, address: str) -> bool:
    """Tell whether an `https://` address begins with a prefix of the same host. Both must be such as `_page` reads."""
    root_url = urlsplit(root)
    address_url = urlsplit(address)
    is_same_host = root_url.netloc.lower() == address_url.netloc.lower()
    return is_same_host and address_url.path.startswith(root_url.path)


def _page(url: str) -> SplitResult | None:
    """Split an https:// URL that all programs read alike; None for any other."""
    if "\\" in url or any(map(_is_invisible, url)):
        return None
    try:
        page = urlsplit(url)
    except ValueError:
        return None
    path = unquote(page.path)
    segments = path.replace("\\", "/").split("/")
    has_dot_segment = "." in segments or ".." in segments
    has_user_info = "@" in page.netloc
    if has_dot_segment or has_user_info:
        return None
    if not page.hostname or page.fragment:
        return None
    return page


def _is_invisible(character: str) -> bool:
    """Tell whether a character is white space or a control character."""
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}
