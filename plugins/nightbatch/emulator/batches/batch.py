"""One batch: how it was created, its answers once they are worked out, and its JSON on the wire."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from nightbatch.emulator.answers.bill import Bill
from nightbatch.emulator.batches.timeline import BatchId, Status, Timeline
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.settings import TimestampStyle
from nightbatch.emulator.wire import Betas, Json

SUCCEEDED, ERRORED, CANCELED, EXPIRED = b"secx"
KINDS = {
    SUCCEEDED: "succeeded",
    ERRORED: "errored",
    CANCELED: "canceled",
    EXPIRED: "expired",
}


@dataclass(slots=True)
class BatchAnswers:
    """What every request of a batch will get, in the order in which they are answered.

    `ends` are byte positions in the file of result lines, `contents` are hashes of the params; all are of one length.
    `bill` is that of all answers.
    """

    ends: array[int]
    kinds: bytearray
    contents: array[int]
    bill: Bill = field(default_factory=Bill)


@dataclass(slots=True)
class Batch:
    """A batch. `number` counts from 1 and seeds its random choices.

    `faults` may strike its requests; `credit_until` is the share of them that the account's credit pays for.
    """

    id: BatchId
    number: int
    count: int
    size: int
    timeline: Timeline
    betas: Betas = frozenset()
    faults: tuple[Fault, ...] = ()
    credit_until: float = 1.0
    answers: BatchAnswers | None = None
    deleted: bool = False

    def status(self, now: float) -> Status:
        """Return the state at `now`; a batch whose answers are still being worked out has not ended."""
        status = self.timeline.status(now)
        if status == "ended" and self.answers is None:
            return "canceling" if self.timeline.canceled(now) else "in_progress"
        return status

    def counts(self, now: float) -> dict[str, int]:
        """Return `request_counts`: everything is `processing` until the end; at the end they sum to the total."""
        counts = dict.fromkeys(("processing", *KINDS.values()), 0)
        answers = self.answers
        if answers is None or self.status(now) != "ended":
            counts["processing"] = self.count
            return counts
        answered_count = self.timeline.answered(self.count)
        for kind, name in KINDS.items():
            counts[name] = answers.kinds.count(kind, 0, answered_count)
        unanswered_kind = self.timeline.left_over()
        unanswered_count = self.count - answered_count
        counts[unanswered_kind] += unanswered_count
        return counts

    def archived(self, now: float, results_for: float) -> bool:
        """Tell whether the results are no longer kept."""
        archived_at = self.timeline.created_at + results_for
        return now >= archived_at


@dataclass(frozen=True)
class BatchView:
    """What a batch's JSON depends on: the API's own address, the form of its timestamps, how long it keeps results."""

    base_url: str
    style: TimestampStyle
    results_for: float

    def wire(self, batch: Batch, now: float) -> Json:
        """Return the batch as the API sends it, nulls and all."""
        times = batch.timeline
        ended = batch.status(now) == "ended"
        archived = batch.archived(now, self.results_for)
        ended_at = times.ends_at() if ended else None
        archived_at = times.created_at + self.results_for if archived else None
        canceled_at = times.cancel_at if times.canceled(now) else None
        results_url = f"{self.base_url}/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": batch.status(now),
            "request_counts": batch.counts(now),
            "ended_at": self._timestamp(ended_at),
            "created_at": self._timestamp(times.created_at),
            "expires_at": self._timestamp(times.expires_at),
            "archived_at": self._timestamp(archived_at),
            "cancel_initiated_at": self._timestamp(canceled_at),
            "results_url": results_url if ended and not archived else None,
        }

    def _timestamp(self, moment: float | None) -> str | None:
        return None if moment is None else timestamp(moment, self.style)
