"""Planning an attempt: claims for what is pending, and the fact that says which shards the attempt waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.ledger.facts import Awaited, PlannedShard
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import Plan, plan
from nightbatch.plan.quote import TokenCounter
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import Clock


@dataclass(frozen=True)
class AttemptPlanner:
    """Plans the attempts of a run."""

    ref: RunRef
    ledger: Ledger
    now: Clock
    counts: TokenCounter | None
    info: Callable[[str], None]
    warning: Callable[[str], None]

    def plan(self, number: int) -> Awaited:
        """Claim what is pending, and store which shards the attempt waits for. Raises LeaseTaken."""
        planned = plan(self.ref, number, self.ledger, self.now, self.counts)
        attempt = self._attempt(number, planned.shards)
        self._report(planned, attempt)
        if attempt.shards:
            self.ledger.write_awaited(attempt)
            reach("wait noted")
        return attempt

    def _attempt(self, number: int, planned: Iterable[PlannedShard]) -> Awaited:
        own_shards = list[Shard]()
        joined_shards = list[Shard]()
        for planned_shard in planned:
            shards = joined_shards if planned_shard.joined else own_shards
            shards.append(planned_shard.shard)
        return Awaited(
            snapshot=self.ref.snapshot,
            buyer=self.ref.buyer,
            attempt=number,
            own=own_shards,
            joined=joined_shards,
        )

    def _report(self, planned: Plan, attempt: Awaited) -> None:
        # Without shards, an attempt after the first has nothing left to do.
        if attempt.attempt == 1 or attempt.shards:
            self.info(planned.words(attempt.attempt))
        for note in planned.notes:
            self.warning(note)
