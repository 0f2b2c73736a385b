"""Where a run keeps its state, and that no state lies in another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nightbatch.core import keys
from nightbatch.core.enrichment import Enrichment
from nightbatch.core.errors import Absent, SettingsError, StoreDenied
from nightbatch.core.locations import Location, parse
from nightbatch.core.ports import Store
from nightbatch.steps.ledger import Ledger

OpenStore = Callable[[str], Store]
FORMAT = b'{"format":1}'
"""What a state's mark holds: it never changes, so that creating it again is no conflict."""


def with_state(settings: Enrichment, open_store: OpenStore) -> Enrichment:
    """Settle where the state is. Raises SettingsError for a new state that would lie in another.

    A target in a folder whose state version 0.1 has kept at `_nightbatch/x/y/` goes on with that: nothing that it has
    bought is bought again.
    """
    url = settings.state_url
    if Ledger(open_store(url)).is_there:
        return replace(settings, state=url)
    nested = None if settings.state else keys.nested_state_url(settings.target)
    if nested and nested != url and Ledger(open_store(nested)).is_there:
        return replace(settings, state=nested)
    _refuse_nesting(parse(url, "state"), open_store)
    return replace(settings, state=url)


def mark(state: Store) -> None:
    """Mark a folder as a state, if it is not."""
    state.create(keys.MARK, FORMAT)


def _refuse_nesting(state: Location, open_store: OpenStore) -> None:
    """Look for a state in the folders above."""
    for depth in range(1, len(state.segments)):
        above = Location(state.bucket, "/".join(state.segments[:depth]) + "/")
        if _is_marked(above, open_store):
            raise SettingsError(f"state: {state} lies in {above}, which is the state of another target.")


def _is_marked(folder: Location, open_store: OpenStore) -> bool:
    """Tell whether a folder is a state; one that this run may not read was written by none of its kind."""
    try:
        open_store(folder.url).get(keys.MARK)
    except (Absent, StoreDenied, SettingsError):
        return False
    return True
