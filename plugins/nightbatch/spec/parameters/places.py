"""Checks where a run reads and writes: each place by itself, and that none lies in another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightbatch.errors import SettingsError
from nightbatch.spec.locations import RESERVED, Location, parse, partition_path
from nightbatch.spec.media_roots import MediaRoots

if TYPE_CHECKING:
    from nightbatch.spec.enrichment import Enrichment

PLACEHOLDER = "{partition_key}"
_BRACES = re.compile(r"\{\{.*?\}\}|\{[^}]*\}?|\}")


def check(settings: Enrichment) -> None:
    """Raise SettingsError for places that cannot be used. One that is still empty is not looked at."""
    _check_partition(settings.partition)
    _check_table(settings)
    data_places = _data_places(settings)
    for name, location in data_places.items():
        if location.is_reserved:
            raise SettingsError(
                f"{name}: {location} lies in {RESERVED}/, where nightbatch keeps its state."
            )
    _check_overlap(data_places)
    if settings.state or settings.target:
        _check_state(parse(settings.state_url, "state"), data_places)
    if settings.media_roots is not None:
        MediaRoots.of(settings.media_roots, "media_roots")


def _data_places(settings: Enrichment) -> dict[str, Location]:
    """Return source and target by name, as far as they are set."""
    urls = {"source": settings.source, "target": settings.target}
    return {name: parse(url, name) for name, url in urls.items() if url}


def _check_partition(partition: str) -> None:
    """Refuse a path that cannot be used, and placeholders that nothing fills in."""
    fixed_path = partition.replace(PLACEHOLDER, "x")
    unknown = _BRACES.search(fixed_path)
    if unknown:
        raise SettingsError(
            f"partition: {unknown[0]!r} in {partition[:100]!r} is not filled in; only {PLACEHOLDER} is."
        )
    partition_path(partition)


def _check_table(settings: Enrichment) -> None:
    if not settings.table:
        return
    if settings.target:
        raise SettingsError("table: stands in the place of target; give one of them.")
    if "." not in settings.table.strip("."):
        raise SettingsError(
            f"table: {settings.table!r} must be a name such as lake.ticket_triage."
        )


def _check_overlap(data_places: dict[str, Location]) -> None:
    source = data_places.get("source")
    target = data_places.get("target")
    if source is None or target is None:
        return
    if target.overlaps(source):
        raise SettingsError(
            f"target: {target} and source: {source} lie inside each other; use separate folders."
        )


def _check_state(state: Location, data_places: dict[str, Location]) -> None:
    if state.segments[-1] == RESERVED:
        raise SettingsError(
            f"state: {state} holds the states of all targets; name a folder in it."
        )
    for name, location in data_places.items():
        if location.overlaps(state):
            raise SettingsError(
                f"state: {state} and {name}: {location} lie inside each other; separate them."
            )
