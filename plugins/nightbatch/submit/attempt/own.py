"""The shards that a run has claimed itself, and in which of its attempts: also those that an earlier try has begun."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nightbatch.ids import Shard
from nightbatch.ledger.facts import Awaited
from nightbatch.ledger.ledger import Ledger
from nightbatch.spec.run_ref import RunRef


@dataclass(frozen=True)
class LastAttempt:
    """The last attempt that a run has begun, and whether all that it claimed since has landed."""

    number: int
    is_landed: bool


def in_flight(ref: RunRef, ledger: Ledger) -> Awaited:
    """Name the shards that the run has claimed and that have not landed."""
    all_in_flight = ledger.view().in_flight
    attempts = _attempts(ref, ledger, all_in_flight)
    last_attempt = max(attempts.values(), default=0)
    shards = sorted(attempts)
    return Awaited(
        snapshot=ref.snapshot,
        buyer=ref.buyer,
        attempt=last_attempt,
        own=shards,
        joined=[],
    )


def last_attempt(ref: RunRef, ledger: Ledger, attempt: Awaited) -> LastAttempt:
    """Return the last attempt that the run has begun since it planned this one.

    An earlier try of the task may have begun others: those count, and the run continues one that has not landed.
    """
    view = ledger.view()
    last_shard = max(attempt.shards)
    later_shards = [shard for shard in view.claimed if shard > last_shard]
    later_attempts = _attempts(ref, ledger, later_shards)
    last_later = max(later_attempts.values(), default=0)
    number = max(attempt.attempt, last_later)
    is_landed = later_attempts.keys().isdisjoint(view.in_flight)
    return LastAttempt(number, is_landed)


def _attempts(ref: RunRef, ledger: Ledger, shards: Iterable[Shard]) -> dict[Shard, int]:
    """Return the attempt of each shard that the run itself has claimed."""
    attempts: dict[Shard, int] = {}
    for shard in shards:
        claim = ledger.claim(shard)
        if claim.buyer == ref.buyer:
            attempts[shard] = claim.attempt
    return attempts
