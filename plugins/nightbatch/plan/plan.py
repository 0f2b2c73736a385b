"""Plan: claim shards of what is pending; wait for what other runs have in flight instead of buying it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from nightbatch.failpoints import reach
from nightbatch.ledger import lease
from nightbatch.ledger.facts import PlannedShard
from nightbatch.ledger.ledger import Ledger
from nightbatch.money import caps, cost_table
from nightbatch.money.estimate import Estimate
from nightbatch.plan import canary, claims
from nightbatch.plan.attempt import Attempt, Prospect, choose
from nightbatch.plan.canary import first_batch
from nightbatch.plan.difference import Asker, take_difference
from nightbatch.plan.quote import TokenCounter, quote_for
from nightbatch.spec.run_ref import RunRef
from nightbatch.wording import counted

PATIENCE = 10.0
"""Seconds for which a planner waits for another before it releases its worker."""


@dataclass(frozen=True)
class Plan:
    """The shards of one attempt, what the new ones will cost, and notes for a reader of the log."""

    shards: list[PlannedShard]
    asked: int
    pending: int
    estimate: Estimate
    notes: tuple[str, ...] = ()

    def words(self, attempt: int) -> str:
        """Say in one line what an attempt buys and joins."""
        requests = counted(self.asked, "request")
        if not self.shards and not self.pending:
            return f"Attempt {attempt}: {requests} asked, 0 to buy: all have a result."
        buys = f"Attempt {attempt}: {requests} asked, {self.pending:,} to buy"
        if attempt == canary.ATTEMPT:
            buys = f"Canary: {self.pending:,} of {requests}, sent before the others"
        costs = self.estimate.summary
        return f"{buys}; {self._counted_batches}; {costs}."

    @property
    def _joined_count(self) -> int:
        return sum(shard.joined for shard in self.shards)

    @property
    def _counted_batches(self) -> str:
        """Count the batches of this run, and those of other runs that it waits for."""
        joined_count = self._joined_count
        own_count = len(self.shards) - joined_count
        own_batches = _batches(own_count)
        buys = f"{own_batches} of this run"
        if not joined_count:
            return buys
        joined_batches = _batches(joined_count)
        joins = f"{joined_batches} of other runs to wait for"
        return f"{buys}, and {joins}"


def _batches(count: int) -> str:
    return counted(count, "batch", "batches")


def plan(
    ref: RunRef,
    attempt: int,
    ledger: Ledger,
    now: Callable[[], datetime],
    count_tokens: TokenCounter | None = None,
) -> Plan:
    """Claim what is pending for a run, and name every shard that it must wait for.

    Doing it again finds the claims of the first time in flight, and names the same shards. Raises CapExceeded before
    anything is claimed. Once a run has bought something, a cap stops its buying instead, and publish decides.
    """
    run = ledger.run(ref.snapshot)
    asker = Asker(ref, run, ledger)
    ahead = first_batch(asker) if attempt == canary.ATTEMPT else None
    has_nothing_ahead = ahead is not None and not ahead
    if attempt > ref.rules.attempts or has_nothing_ahead:
        return Plan([], 0, 0, Estimate())
    with lease.hold(
        ledger.store,
        now,
        holder=ref.buyer,
        seconds=ledger.lease_seconds,
        patience=PATIENCE,
    ):
        reach("lease taken")
        cost_table.complete(ledger, ledger.view().landed)
        cost_rows = caps.read(ref, run.question, ledger, now())
        this_attempt = Attempt(asker, attempt, cost_rows, ahead, now)
        counts_if_first = count_tokens if attempt <= 1 else None
        while True:
            claimed_plan = _claim_pending(this_attempt, counts_if_first)
            if claimed_plan is not None:
                return claimed_plan


def _claim_pending(attempt: Attempt, count_tokens: TokenCounter | None) -> Plan | None:
    """Claim what is pending now; None if another planner has claimed something since it was read."""
    asker = attempt.asker
    ledger = asker.ledger
    difference = take_difference(asker)
    pending = difference.pending
    quote = quote_for(asker.run, pending, attempt.cost_rows, count_tokens)
    prospect = Prospect(attempt, difference, quote)
    choice = choose(prospect)
    requests = choice.requests
    new_claims = list(claims.new_claims(prospect, requests))
    first_shard = difference.view.next
    new_shards = claims.write(ledger, first_shard, new_claims)
    if new_shards is None:
        return None
    reach("claims complete")
    joined_shards = claims.joined(asker, choice.joined)
    planned_shards = [*joined_shards, *new_shards]
    planned_shards.sort(key=attrgetter("shard"))
    estimate = quote.estimate(requests)
    return Plan(
        shards=planned_shards,
        asked=difference.asked,
        pending=len(requests),
        estimate=estimate,
        notes=choice.notes,
    )
