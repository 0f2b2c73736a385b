"""The facts of one shard, each read from the store when it is first asked for, and only once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from nightbatch.ids import Shard
from nightbatch.ledger.facts import Bought, Claim, LandedFact, Sending

if TYPE_CHECKING:
    import pyarrow as pa

    from nightbatch.ledger.ledger import Ledger


@dataclass(frozen=True)
class ShardFacts:
    """The facts of one shard, as they were when each was first asked for.

    Facts are only ever added: one that was read stays true, one that was absent may exist by now. Code that acts
    because a fact is absent takes new facts first, or creates a fact that only one process can create.
    """

    ledger: Ledger = field(repr=False)
    shard: Shard

    @property
    def claim(self) -> Claim:
        """The claim, without its requests."""
        return self.ledger.claim(self.shard)

    @cached_property
    def sendings(self) -> list[Sending]:
        """Its POSTs and how each ended, in their order."""
        return self.ledger.posts(self.shard)

    @cached_property
    def bought(self) -> Bought | None:
        """The batch that the claim became, if that is known."""
        recorded = self.ledger.recorded_batch(self.shard)
        if recorded is not None or self.claim.batch is None:
            return recorded
        return Bought(
            batch=self.claim.batch,
            created_at=self.claim.created_at,
            total=self.claim.total,
            how="found late",
        )

    @cached_property
    def landed(self) -> LandedFact | None:
        """The fact of the landed shard; None before it has landed."""
        return self.ledger.landed(self.shard)

    def requests(self) -> pa.Table:
        """Read which requests the claim holds. They are not kept: a run may have many shards, of megabytes each."""
        return self.ledger.claimed(self.shard)
