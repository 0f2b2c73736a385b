"""Which images and documents the rows of a run may name: an address is a row's word, and is not trusted.

No message of this module holds an address: only what is wrong with it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from nightbatch.errors import SettingsError
from nightbatch.spec.locations import SCHEME, Location, parse

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
        return cls.of(urls, "media_roots")

    @classmethod
    def of(cls, urls: Sequence[str], name: str) -> MediaRoots:
        """Read a list of URLs. `name`: the parameter, for the error."""
        if isinstance(urls, str):
            raise SettingsError(
                f"{name}: must be a list of URLs such as s3://bucket/folder/."
            )
        pages = tuple(
            url for url in urls if isinstance(url, str) and url.startswith(HTTPS)
        )
        for page in pages:
            if _page(page) is None or not page.endswith("/"):
                raise SettingsError(
                    f"{name}: {page!r} must be a prefix such as https://example.com/scans/."
                )
        folders = tuple(parse(url, name, root=True) for url in urls if url not in pages)
        return cls(folders, pages)

    @property
    def urls(self) -> list[str]:
        """The same as a parameter."""
        return [*(folder.url for folder in self.folders), *(self.pages or ())]

    def contains(self, other: MediaRoots) -> bool:
        """Tell whether whatever lies below the other's roots lies below these too."""
        if not all(
            any(root.contains(folder) for root in self.folders)
            for folder in other.folders
        ):
            return False
        if self.pages is None:
            return True
        return other.pages is not None and all(
            any(_covers(root, page) for root in self.pages) for page in other.pages
        )

    def within(self, outer: MediaRoots) -> MediaRoots:
        """Return what lies both below these roots and below those of `outer`."""
        shared = (folder for own in self.folders for folder in outer.folders_below(own))
        folders = tuple(dict.fromkeys(shared))
        if self.pages is None or outer.pages is None:
            return MediaRoots(
                folders, outer.pages if self.pages is None else self.pages
            )
        below_outer = [
            page
            for page in self.pages
            if any(_covers(root, page) for root in outer.pages)
        ]
        below_own = [
            page
            for page in outer.pages
            if any(_covers(root, page) for root in self.pages)
        ]
        return MediaRoots(folders, tuple(dict.fromkeys([*below_outer, *below_own])))

    def folders_below(self, folder: Location) -> list[Location]:
        """Return a folder where it lies below one of these roots, else those of these roots that lie below it."""
        if any(root.contains(folder) for root in self.folders):
            return [folder]
        return [root for root in self.folders if folder.contains(root)]

    def find(self, address: str) -> Place | str:
        """Return where the object of an `s3://` address is, or what is wrong with the address."""
        try:
            location = parse(address, "address", root=True)
        except SettingsError:
            return MALFORMED
        key = address.removeprefix(f"{SCHEME}{location.bucket}/")
        if not location.prefix or key.endswith("/"):
            return MALFORMED
        root = next(
            (
                folder
                for folder in self.folders
                if folder.contains(location) and folder != location
            ),
            None,
        )
        return OUTSIDE if root is None else Place(root, key.removeprefix(root.prefix))

    def page_problem(self, address: str) -> str | None:
        """Say what is wrong with an `https://` address, which the API reads, or None."""
        if self.pages is None:
            return None
        page = _page(address)
        if page is None:
            return MALFORMED
        return None if any(_covers(root, address) for root in self.pages) else OUTSIDE


def _covers(root: str, address: str) -> bool:
    """Tell whether an `https://` address begins with a prefix of the same host. Both must be such as `_page` reads."""
    outer, inner = urlsplit(root), urlsplit(address)
    return outer.netloc.lower() == inner.netloc.lower() and inner.path.startswith(
        outer.path
    )


def _page(url: str) -> SplitResult | None:
    """Part an https:// URL that all programs read alike; None for any other."""
    if "\\" in url or any(
        character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}
        for character in url
    ):
        return None
    try:
        page = urlsplit(url)
    except ValueError:
        return None
    segments = unquote(page.path).replace("\\", "/").split("/")
    if (
        not page.hostname
        or "@" in page.netloc
        or page.fragment
        or {".", ".."} & set(segments)
    ):
        return None
    return page
