"""A view of the ledger: which shards are claimed and which have landed, as they were when it was listed."""

from __future__ import annotations

from dataclasses import dataclass

from nightbatch.ids import Shard
from nightbatch.ledger import keys


@dataclass(frozen=True)
class LedgerView:
    """Which shards are claimed, and which of them have landed."""

    claimed: list[Shard]
    landed: list[Shard]

    @property
    def in_flight(self) -> list[Shard]:
        """Claimed and not landed."""
        landed_shards = set(self.landed)
        return [shard for shard in self.claimed if shard not in landed_shards]

    @property
    def next(self) -> Shard:
        """The number that a new claim must take."""
        last_number = int(self.claimed[-1]) if self.claimed else 0
        return keys.shard(last_number + 1)
