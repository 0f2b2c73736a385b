"""What one task of a run passes to the next: where things are, and by which rules to buy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from nightbatch.deadlines import has_passed
from nightbatch.ids import Snapshot
from nightbatch.spec.rules import Rules


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
    rules: Rules = field(default_factory=Rules)
    deadline: str = ""
    """When nothing more is bought; see `nightbatch.deadlines`."""

    @property
    def scope(self) -> str:
        """Whose answers settle a request: everybody's (empty), or only this run's own."""
        return "" if self.rules.reuse else self.buyer

    def late(self, now: datetime) -> bool:
        """Tell whether the run's deadline has passed: nothing more is bought then."""
        return has_passed(self.deadline, now)

    def to_dict(self) -> dict[str, Any]:
        """Return what XCom carries."""
        return asdict(self)

    @classmethod
    def from_xcom(cls, reference: str | Mapping[str, Any]) -> RunRef:
        """Read what XCom carried, as it was or rendered as JSON; fields that a later version added are skipped.

        Rules that stand beside the other fields are read as well: an earlier version wrote them there.
        """
        values = _decoded(reference)
        if "rules" not in values:
            values = {**values, "rules": values}
        return msgspec.convert(values, cls)


# Learned now: two threads that make msgspec learn a class at the same time may end the process.
msgspec.json.Decoder(RunRef)


def _decoded(reference: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(reference, str):
        values: dict[str, Any] = msgspec.json.decode(reference)
        return values
    return reference
