"""Which images and documents the rows of a run may name: an address is a row's word, and is not trusted.

No message of this module holds an address: only what is wrong with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from nightbatch.core.errors import SettingsError
from nightbatch.core.locations import SCHEME, Location, parse

HTTPS = "https://"
MALFORMED = "is not a plain URL of an object"
OUTSIDE = "lies outside media_roots"


@dataclass(frozen=True)
class Place:
    """An object that may be read: the folder of `media_roots` that it lies in, and its key below that."""

    root: Location
    key: str


@dataclass(frozen=True)
class MediaRoots:
    """The folders below which addresses of rows must lie. `pages` None: any https:// address may be sent."""

    folders: tuple[Location, ...]
    pages: tuple[str, ...] | None = None

    @classmethod
    def read(cls, urls: Sequence[str] | None, source: str) -> MediaRoots:
        """Read the parameter `media_roots`; None stands for the whole bucket of the source, and for any https:// page.

        Raises SettingsError for what is neither a folder in a bucket nor an https:// prefix.
        """
        if urls is None:
            return cls((Location(parse(source, "source", root=True).bucket, ""),))
        if isinstance(urls, str):
            raise SettingsError("media_roots: must be a list of URLs such as s3://bucket/folder/.")
        pages = tuple(url for url in urls if isinstance(url, str) and url.startswith(HTTPS))
        for page in pages:
            if _page(page) is None or not page.endswith("/"):
                raise SettingsError(f"media_roots: {page!r} must be a prefix such as https://example.com/scans/.")
        folders = tuple(parse(url, "media_roots", root=True) for url in urls if url not in pages)
        return cls(folders, pages)

    def find(self, address: str) -> Place | str:
        """Return where the object of an `s3://` address is, or what is wrong with the address."""
        try:
            location = parse(address, "address", root=True)
        except SettingsError:
            return MALFORMED
        key = address.removeprefix(f"{SCHEME}{location.bucket}/")
        if not location.prefix or key.endswith("/"):
            return MALFORMED
        root = next((folder for folder in self.folders if folder.contains(location) and folder != location), None)
        return OUTSIDE if root is None else Place(root, key.removeprefix(root.prefix))

    def page_problem(self, address: str) -> str | None:
        """Say what is wrong with an `https://` address, which the API reads, or None."""
        if self.pages is None:
            return None
        page = _page(address)
        if page is None:
            return MALFORMED
        roots = (urlsplit(root) for root in self.pages)
        allowed = any(page.netloc.lower() == root.netloc.lower() and page.path.startswith(root.path) for root in roots)
        return None if allowed else OUTSIDE


def _page(url: str) -> SplitResult | None:
    """Part an https:// URL that all programs read alike; None for any other."""
    if "\\" in url or any(character.isspace() or unicodedata.category(character) in {"Cc", "Cf"} for character in url):
        return None
    try:
        page = urlsplit(url)
    except ValueError:
        return None
    segments = unquote(page.path).replace("\\", "/").split("/")
    if not page.hostname or "@" in page.netloc or page.fragment or {".", ".."} & set(segments):
        return None
    return page
