"""The outcome of a step for a claim: its batch, what to wait for, or that nothing more is bought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nightbatch.ids import BatchId
from nightbatch.submit.room.queue import QueuePosition


@dataclass(frozen=True)
class Submitted:
    """The claim's batch; empty if the claim was given up, and there is nothing to wait for.

    `warning` reports a second purchase of the same claim.
    """

    batch: BatchId
    warning: str | None = None


@dataclass(frozen=True)
class Later:
    """Nothing can be done before `until`, or before one of these batches has ended.

    `place`: after `until`, there must also be room in the account's queue. `holds_all`: until then, no other batch
    can be sent either. `at_latest`: when to continue even if there is no room.
    """

    until: datetime
    why: str
    batches: tuple[BatchId, ...] = ()
    place: QueuePosition | None = None
    holds_all: bool = False
    at_latest: datetime | None = None


@dataclass(frozen=True)
class Late:
    """The run's deadline has passed: nothing more is bought. `owned`: the claim is the run's own."""

    owned: bool
    why: str = "the deadline had passed before it was sent."


Outcome = Submitted | Later | Late
