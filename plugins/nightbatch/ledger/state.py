"""Where a run keeps its state, and that no state lies in another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nightbatch.errors import Absent, SettingsError, StoreDenied
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import MARK, Ledger, is_mark
from nightbatch.ports import Reads, Store
from nightbatch.spec import locations
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import Location, parse

OpenStore = Callable[[str], Store]


def with_state(settings: Enrichment, open_store: OpenStore) -> Enrichment:
    """Settle where the state is. Raises SettingsError for a new state that would lie in another, or around one.

    A target in a folder whose state version 0.1 has kept at `_nightbatch/x/y/` goes on with that: nothing that it has
    bought is bought again.
    """
    url = settings.state_url
    store = open_store(url)
    if Ledger(store).is_there:
        return replace(settings, state=url)
    nested = None if settings.state else locations.nested_state_url(settings.target)
    if nested and nested != url and Ledger(open_store(nested)).is_there:
        return replace(settings, state=nested)
    _refuse_inside(parse(url, "state"), open_store)
    if settings.state:  # a target's own state can lie around those of version 0.1 only, whose keys are never mixed up
        _refuse_around(store)
    return replace(settings, state=url)


def mark(state: Store) -> None:
    """Mark a folder as a state. Raises SettingsError where another program has a file of that name there."""
    if not state.create(keys.MARK, MARK) and not is_mark(state.get(keys.MARK)):
        raise SettingsError(
            f"state: {state.url}{keys.MARK} was not written by nightbatch. Choose another folder for the state."
        )


def _refuse_inside(state: Location, open_store: OpenStore) -> None:
    """Look for a state in the folders above."""
    bucket = open_store(Location(state.bucket, "").url)
    for depth in range(1, len(state.segments)):
        above = Location(state.bucket, "/".join(state.segments[:depth]) + "/")
        if _is_marked(bucket, above.prefix):
            raise SettingsError(
                f"state: {state} lies in {above}, which is the state of another target."
            )


def _refuse_around(state: Store) -> None:
    """Look for a state in the folders below. All is listed, once: nothing of a ledger is there yet."""
    for entry in state.list(""):
        folder, _, name = entry.key.rpartition("/")
        if name == keys.MARK and folder and _is_marked(state, f"{folder}/"):
            raise SettingsError(
                f"state: {state.url} lies around {state.url}{folder}/, which is another state."
            )


def _is_marked(store: Reads, folder: str) -> bool:
    """Tell whether a folder is a state.

    One that this run may not read is none that it could harm or be harmed by: its own credentials do not reach there.
    Many stores also answer "denied" for an object that is not there.
    """
    try:
        return is_mark(store.get(folder + keys.MARK))
    except (Absent, StoreDenied):
        return False
