"""The first step of a run: settings, source and target are checked, and rows and requests are staged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from nightbatch.ledger.state.state import with_state
from nightbatch.ports import MeasuredStore
from nightbatch.prepare.media_fetch import fetcher
from nightbatch.prepare.prepare import check_target, prepare
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.media_roots import MediaRoots
from nightbatch.spec.run import reference
from nightbatch.spec.run_ref import RunRef
from nightbatch.template.media import Fetch
from nightbatch.wording import counted

OpenMeasured = Callable[[str], MeasuredStore]
"""Opens the store of a URL."""


def stage(
    settings: Enrichment,
    open_store: OpenMeasured,
    run_id: str,
    started: datetime,
    info: Callable[[str], None],
) -> RunRef:
    """Stage a partition, and return what the later steps need to know: ids and rules, no rows and no prompts.

    `started`: when the run began; its deadline counts from there. Raises InputError for settings, a source or a target
    that cannot be used, before anything is bought.
    """
    settings.check()
    settings = with_state(settings, open_store)
    check_target(settings, open_store)
    fetch = _fetch(settings, open_store)
    source = open_store(settings.source_root)
    state = open_store(settings.state_url)
    run = prepare(settings, source, state, fetch)
    rows = counted(run.rows, "row")
    requests = counted(run.requests, "different request")
    summary = f"Snapshot {run.snapshot}: {rows}, {requests}."
    info(summary)
    ref = reference(settings, run, run_id)
    return _with_deadline(ref, started, settings.deadline_hours)


def _fetch(settings: Enrichment, open_store: OpenMeasured) -> Fetch:
    """Return what reads the images and documents that rows name."""
    media_roots = MediaRoots.read(settings.media_roots, settings.source)
    return fetcher(open_store, media_roots)


def _with_deadline(ref: RunRef, started: datetime, hours: float | None) -> RunRef:
    if hours is None:
        return ref
    deadline = started + timedelta(hours=hours)
    return replace(ref, deadline=deadline.isoformat())
