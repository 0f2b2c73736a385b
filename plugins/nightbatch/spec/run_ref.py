"""What one task of a run passes to the next: where things are, and by which rules to buy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

import msgspec

from nightbatch.deadlines import has_passed
from nightbatch.ids import Snapshot


@dataclass(frozen=True)
class RunRef:
    """What one task of a run passes to the next: where things are, and by which rules to buy. No row, no prompt."""

    state: str
    target: str
    partition: str
    snapshot: Snapshot
    buyer: str
    rows: int
    requests: int
    reuse: bool = True
    attempts: int = 3
    canary: str = "new"
    min_answered: float = 0.95
    allow_empty: bool = False
    checks: dict[str, Any] = field(default_factory=dict)
    max_cost_usd: float | None = None
    max_monthly_cost_usd: float | None = None
    approve_above_usd: float | None = None
    approve_within_hours: float = 12
    max_batch_requests: int = 100_000
    max_batch_bytes: int = 256_000_000
    max_in_flight_requests: int | None = None
    poll_seconds: float = 60
    cancel_on_fail: bool = False
    deadline: str = ""
    anthropic_conn_id: str = "anthropic_default"
    aws_conn_id: str = "aws_default"
    table: str | None = None
    iceberg_conn_id: str = "iceberg_default"

    @property
    def scope(self) -> str:
        """Whose answers settle a request: everybody's (empty), or only this run's own."""
        return "" if self.reuse else self.buyer

    def late(self, now: datetime) -> bool:
        """Tell whether the run's deadline has passed: nothing more is bought then."""
        return has_passed(self.deadline, now)

    def to_dict(self) -> dict[str, Any]:
        """Return what XCom carries."""
        return asdict(self)

    @classmethod
    def from_xcom(cls, reference: str | Mapping[str, Any]) -> RunRef:
        """Read what XCom carried, as it was or rendered as JSON; fields that a later version added are skipped."""
        values = _decoded(reference)
        field_names = {field.name for field in fields(cls)}
        known_values = {
            name: value for name, value in values.items() if name in field_names
        }
        return msgspec.convert(known_values, cls)


def _decoded(reference: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(reference, str):
        values: dict[str, Any] = msgspec.json.decode(reference)
        return values
    return reference
