"""The settings that later tasks of a run need: how it buys, waits and publishes, and through which connections.

An `Enrichment` has the same attributes, and takes their defaults from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

MAX_REQUESTS = 100_000
MAX_BYTES = 256_000_000
SHAPES_SNAPSHOT = "shapes_snapshot"
"""Marks a rule that changes which rows and requests a snapshot holds, or how they are cut into files."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How a run buys, waits and publishes; `Enrichment` says what each attribute means. No row, no prompt."""

    attempts: int = 3
    canary: str = "new"
    reuse: bool = True
    max_cost_usd: float | None = None
    max_monthly_cost_usd: float | None = None
    approve_above_usd: float | None = None
    approve_within_hours: float = 12
    min_answered: float = 0.95
    allow_empty: bool = False
    checks: Mapping[str, Any] = field(default_factory=dict)
    max_batch_requests: int = MAX_REQUESTS
    max_batch_bytes: int = field(default=MAX_BYTES, metadata={SHAPES_SNAPSHOT: True})
    max_in_flight_requests: int | None = None
    poll_seconds: float = 60
    give_up_minutes: float = 30
    cancel_on_fail: bool = False
    anthropic_conn_id: str = "anthropic_default"
    aws_conn_id: str = "aws_default"
    table: str | None = None
    iceberg_conn_id: str = "iceberg_default"

    @property
    def rules(self) -> Rules:
        """The rules alone, of an `Enrichment` that has more attributes."""
        names = [rule.name for rule in fields(Rules)]
        return Rules(**{name: getattr(self, name) for name in names})

    @property
    def has_cap(self) -> bool:
        """Tell whether the cost of a run or of a month is limited."""
        return self.max_cost_usd is not None or self.max_monthly_cost_usd is not None

    def shaping_snapshot(self) -> dict[str, Any]:
        """Return the rules that shape a snapshot, by name."""
        names = [
            rule.name for rule in fields(Rules) if rule.metadata.get(SHAPES_SNAPSHOT)
        ]
        return {name: getattr(self, name) for name in names}
