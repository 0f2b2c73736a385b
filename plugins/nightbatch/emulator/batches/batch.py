"""One batch: the facts of its making, its answers once they are worked out, and how it looks on the wire."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

from nightbatch.emulator.answers.bill import Bill
from nightbatch.emulator.batches.timeline import BatchId, Status, Timeline
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.settings import TimestampStyle

SUCCEEDED, ERRORED, CANCELED, EXPIRED = b"secx"
KINDS = {
    SUCCEEDED: "succeeded",
    ERRORED: "errored",
    CANCELED: "canceled",
    EXPIRED: "expired",
}


@dataclass(slots=True)
class Answers:
    """What every request of a batch will get, in the order in which they are answered.

    `ends` are byte positions in the file of result lines, `contents` name the params by content; all are of one length.
    `bill` is that of them all.
    """

    ends: array[int]
    kinds: bytearray
    contents: array[int]
    bill: Bill = field(default_factory=Bill)


@dataclass(slots=True)
class Batch:
    """A batch. `number` counts from 1 and seeds whatever is left to chance in it.

    `faults` may strike its requests; `credit_until` is the share of them that the account's credit is good for.
    """

    id: BatchId
    number: int
    count: int
    size: int
    timeline: Timeline
    betas: frozenset[str] = frozenset()
    faults: tuple[Fault, ...] = ()
    credit_until: float = 1.0
    answers: Answers | None = None
    deleted: bool = False

    def status(self, now: float) -> Status:
        """Return the state at `now`; a batch whose answers are still being worked out has not ended."""
        status = self.timeline.status(now)
        if status == "ended" and self.answers is None:
            return "canceling" if self.timeline.cancelled(now) else "in_progress"
        return status

    def counts(self, now: float) -> dict[str, int]:
        """Return `request_counts`: everything is `processing` until the end; at the end they sum to the total."""
        empty = {
            "processing": 0,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        }
        if self.status(now) != "ended" or self.answers is None:
            return empty | {"processing": self.count}
        answered = self.timeline.answered(self.count)
        tally = empty | {
            name: self.answers.kinds.count(kind, 0, answered)
            for kind, name in KINDS.items()
        }
        tally[self.timeline.left_over()] += self.count - answered
        return tally

    def archived(self, now: float, results_for: float) -> bool:
        """Tell whether the results are no longer kept."""
        return now >= self.timeline.created_at + results_for


@dataclass(frozen=True)
class View:
    """From where a batch is looked at: the API's own address, the form of its timestamps, how long it keeps results."""

    base_url: str
    style: TimestampStyle
    results_for: float

    def wire(self, batch: Batch, now: float) -> dict[str, Any]:
        """Return the batch as the API sends it, nulls and all."""
        times = batch.timeline
        ended = batch.status(now) == "ended"
        archived = batch.archived(now, self.results_for)
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": batch.status(now),
            "request_counts": batch.counts(now),
            "ended_at": timestamp(times.ends_at(), self.style) if ended else None,
            "created_at": timestamp(times.created_at, self.style),
            "expires_at": timestamp(times.expires_at, self.style),
            "archived_at": timestamp(times.created_at + self.results_for, self.style)
            if archived
            else None,
            "cancel_initiated_at": timestamp(times.cancel_at or 0, self.style)
            if times.cancelled(now)
            else None,
            "results_url": f"{self.base_url}/v1/messages/batches/{batch.id}/results"
            if ended and not archived
            else None,
        }
