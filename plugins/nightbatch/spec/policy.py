"""What a deployment allows its runs: where they may read and write, by which connections, and what they may cost.

A policy binds every run, whether an author wrote its settings or a person typed them. Nothing in a run widens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nightbatch.environment import CONNECTIONS, ROOTS, amount_of
from nightbatch.environment import MAX_COST_USD as MAX_COST
from nightbatch.errors import SettingsError
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.locations import Location, parse
from nightbatch.spec.media_roots import MediaRoots


@dataclass(frozen=True)
class Policy:
    """The limits of a deployment; None: there is none of that kind.

    `roots`: folders below which a run reads and writes, and https:// prefixes below which images and documents may lie.
    """

    roots: MediaRoots | None = None
    connections: frozenset[str] | None = None
    max_cost_usd: float | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Policy:
        """Read the three variables; empty ones do not count. Raises SettingsError for what cannot be read."""
        root_urls = _listed(environment, ROOTS)
        conn_ids = _listed(environment, CONNECTIONS)
        roots = None
        if root_urls is not None:
            roots = MediaRoots.of(root_urls, ROOTS)
        connections = None
        if conn_ids is not None:
            connections = frozenset(conn_ids)
        max_cost_text = environment.get(MAX_COST)
        max_cost_usd = _amount(max_cost_text)
        return cls(roots, connections, max_cost_usd)

    def check_place(self, location: Location, name: str) -> None:
        """Raise SettingsError for a place that lies below none of the roots. `name`: the parameter."""
        if self.roots is None:
            return
        if not self.roots.contains_folder(location):
            raise SettingsError(
                f"{name}: {location} lies below none of the places that {ROOTS} allows here."
            )

    def check_connection(self, conn_id: str, name: str) -> None:
        """Raise SettingsError for a connection that a run may not name. `name`: the parameter."""
        if self.connections is not None and conn_id not in self.connections:
            raise SettingsError(
                f"{name}: connection {conn_id!r} is none of those that {CONNECTIONS} allows here."
            )

    def check(self, settings: Enrichment) -> None:
        """Raise SettingsError for settings that name a place or a connection that is not allowed."""
        self._check_places(settings)
        self.check_connection(settings.anthropic_conn_id, "anthropic_conn_id")
        self.check_connection(settings.aws_conn_id, "aws_conn_id")
        if settings.table:
            self.check_connection(settings.iceberg_conn_id, "iceberg_conn_id")

    def _check_places(self, settings: Enrichment) -> None:
        places = {"source": settings.source_root, "state": settings.state_url}
        if not settings.table:
            places["target"] = settings.output_name
        for name, url in places.items():
            location = parse(url, name)
            self.check_place(location, name)
        for url in settings.media_roots or ():
            self._check_media_root(url)

    def _check_media_root(self, url: str) -> None:
        if self.roots is None:
            return
        media_root = MediaRoots.of([url], "media_roots")
        if not self.roots.contains(media_root):
            raise SettingsError(
                f"media_roots: {url} lies below none of the places that {ROOTS} allows here."
            )

    def narrowed(self, settings: Enrichment) -> Enrichment:
        """Return settings whose images and documents lie below the roots, also where they name no media_roots."""
        if self.roots is None:
            return settings
        media = MediaRoots.read(settings.media_roots, settings.source)
        return replace(settings, media_roots=media.within(self.roots).urls)

    def cap(self, max_cost_usd: float | None) -> float | None:
        """Return the lower of a run's own cap and the deployment's."""
        caps = [cap for cap in (max_cost_usd, self.max_cost_usd) if cap is not None]
        return min(caps, default=None)


def _listed(environment: Mapping[str, str], name: str) -> list[str] | None:
    """Read a list; None where the variable is empty. Commas with nothing between them are not an empty variable."""
    value = environment.get(name, "")
    text = value.strip()
    if not text:
        return None
    parts = text.split(",")
    stripped_parts = [part.strip() for part in parts]
    entries = [part for part in stripped_parts if part]
    if not entries:
        raise SettingsError(
            f"{name}: holds commas alone; list what is allowed, or leave the variable empty."
        )
    return entries


def _amount(text: str | None) -> float | None:
    if text is None or not text.strip():
        return None
    amount = amount_of(text)
    if amount is None:
        raise SettingsError(
            f"{MAX_COST}: must be an amount in US dollars, such as 250."
        )
    return amount
