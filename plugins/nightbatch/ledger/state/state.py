"""Where a run keeps its state, and that no state lies in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from nightbatch.errors import Absent, SettingsError, StoreDenied
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.state.mark import is_mark
from nightbatch.ports import Reads, Store
from nightbatch.spec import locations
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import Location, parse

OpenStore = Callable[[str], Store]


def find_state(settings: Enrichment, open_store: OpenStore) -> str | None:
    """Return the URL of the state that exists already; None: there is none yet.

    A target whose state was created by version 0.1 at `_nightbatch/x/y/` keeps using it, so that nothing is bought
    again.
    """
    url = settings.state_url
    if Ledger(open_store(url)).is_there:
        return url
    if settings.state:
        return None
    nested_url = locations.nested_state_url(settings.target)
    if _is_other_state(nested_url, url, open_store):
        return nested_url
    return None


def with_state(settings: Enrichment, open_store: OpenStore) -> Enrichment:
    """Find where the state is, or will be. Raises SettingsError for a new one inside another, or around one."""
    existing_url = find_state(settings, open_store)
    if existing_url is not None:
        return replace(settings, state=existing_url)
    url = settings.state_url
    location = parse(url, "state")
    _refuse_inside(location, open_store)
    if settings.state:  # a target's own state can only be around states of version 0.1, whose keys never collide
        _refuse_around(open_store(url))
    return replace(settings, state=url)


def _is_other_state(nested_url: str, url: str, open_store: OpenStore) -> bool:
    if not nested_url or nested_url == url:
        return False
    return Ledger(open_store(nested_url)).is_there


def _refuse_inside(state: Location, open_store: OpenStore) -> None:
    """Refuse a state in the folders above."""
    bucket_root = Location(state.bucket, "")
    bucket = open_store(bucket_root.url)
    for above in _folders_above(state):
        if _is_marked(bucket, above.prefix):
            raise SettingsError(
                f"state: {state} lies in {above}, which is the state of another target."
            )


def _folders_above(location: Location) -> Iterator[Location]:
    """Name the folders in which a location lies, the outermost first."""
    for depth in range(1, len(location.segments)):
        folder = "/".join(location.segments[:depth])
        yield Location(location.bucket, f"{folder}/")


def _refuse_around(state: Store) -> None:
    """Refuse a state in the folders below. All is listed, once: no ledger is there yet."""
    for folder in _folders_below(state):
        if _is_marked(state, folder):
            raise SettingsError(
                f"state: {state.url} lies around {state.url}{folder}, which is another state."
            )


def _folders_below(state: Store) -> Iterator[str]:
    """Name the folders that hold a file of the name of a mark."""
    for entry in state.list(""):
        folder, _, file_name = entry.key.rpartition("/")
        if file_name == keys.MARK and folder:
            yield f"{folder}/"


def _is_marked(store: Reads, folder: str) -> bool:
    """Tell whether a folder is a state.

    A state that this run may not read counts as none: its credentials do not reach there, so neither can harm the
    other. Many stores also answer "denied" for an object that does not exist.
    """
    try:
        return is_mark(store.get(folder + keys.MARK))
    except (Absent, StoreDenied):
        return False
