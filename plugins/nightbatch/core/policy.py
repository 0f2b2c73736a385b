"""What a deployment allows its runs: where they may read and write, by which connections, and what they may cost.

A policy binds every run, whether an author wrote its settings or a person typed them. Nothing in a run widens it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nightbatch.core.enrichment import Enrichment
from nightbatch.core.errors import SettingsError
from nightbatch.core.locations import SCHEME, Location, parse

ROOTS, CONNECTIONS, MAX_COST = "NIGHTBATCH_ROOTS", "NIGHTBATCH_CONNECTIONS", "NIGHTBATCH_MAX_COST_USD"


@dataclass(frozen=True)
class Policy:
    """The limits of a deployment; None: there is none of that kind."""

    roots: tuple[Location, ...] | None = None
    connections: frozenset[str] | None = None
    max_cost_usd: float | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Policy:
        """Read the three variables; empty ones do not count. Raises SettingsError for what cannot be read."""
        roots = _listed(environment.get(ROOTS))
        connections = _listed(environment.get(CONNECTIONS))
        return cls(
            roots=tuple(parse(url, ROOTS, root=True) for url in roots) if roots else None,
            connections=frozenset(connections) if connections else None,
            max_cost_usd=_amount(environment.get(MAX_COST)),
        )

    def check_place(self, location: Location, name: str) -> None:
        """Raise SettingsError for a place that lies below none of the roots. `name`: the parameter."""
        if self.roots is None or any(root.contains(location) for root in self.roots):
            return
        raise SettingsError(f"{name}: {location} lies below none of the places that {ROOTS} allows here.")

    def check_connection(self, conn_id: str, name: str) -> None:
        """Raise SettingsError for a connection that a run may not name. `name`: the parameter."""
        if self.connections is not None and conn_id not in self.connections:
            raise SettingsError(f"{name}: connection {conn_id!r} is none of those that {CONNECTIONS} allows here.")

    def check(self, settings: Enrichment) -> None:
        """Raise SettingsError for settings that name a place or a connection that is not allowed."""
        places = {"source": settings.source_root, "state": settings.state_url}
        if not settings.table:
            places["target"] = settings.place
        for name, url in places.items():
            self.check_place(parse(url, name), name)
        for url in settings.media_roots or ():
            if url.startswith(SCHEME):
                self.check_place(parse(url, "media_roots", root=True), "media_roots")
        for name in ("anthropic_conn_id", "aws_conn_id", *(["iceberg_conn_id"] if settings.table else [])):
            self.check_connection(getattr(settings, name), name)

    def cap(self, max_cost_usd: float | None) -> float | None:
        """Return the lower of a run's own cap and the deployment's."""
        caps = [cap for cap in (max_cost_usd, self.max_cost_usd) if cap is not None]
        return min(caps, default=None)


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _amount(text: str | None) -> float | None:
    if not (text or "").strip():
        return None
    try:
        amount = float(text or "")
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise SettingsError(f"{MAX_COST}: must be an amount in US dollars, such as 250.")
    return amount
