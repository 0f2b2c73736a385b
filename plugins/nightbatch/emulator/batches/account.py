"""The organization behind the API: its batches and what may be done to them. It has no clock: callers pass `now`."""

import math
import secrets
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.limits import queue_full
from nightbatch.emulator.batches.timeline import BatchId, Timeline
from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.settings import Settings
from nightbatch.emulator.wire import Betas

# The batch that the SDK's own tests ask for: it always exists and never changes.
EXAMPLE = "message_batch_id"
_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True)
class Page:
    """Which batches a list call wants."""

    limit: int = 20
    after_id: str | None = None
    before_id: str | None = None


@dataclass(frozen=True)
class Order:
    """A batch to be created: how many requests in how many bytes, and what is to happen to it."""

    count: int
    size: int
    duration: float
    betas: Betas = frozenset()
    answers_until: float = 1.0
    cancel_after: float | None = None
    faults: tuple[Fault, ...] = ()
    credit_until: float = 1.0


class Account:
    """All batches of the account, oldest first, and the length of its queue."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.batches: list[Batch] = []
        self.queue_peak = 0
        self._by_id: dict[str, Batch] = {}
        example_times = Timeline(0.0, math.inf, settings.limits.expires_after)
        self._example = Batch(
            id=BatchId(EXAMPLE), number=0, count=1, size=0, timeline=example_times
        )
        self._live: list[Batch] = []

    def create(self, order: Order, now: float) -> Batch:
        """Make a batch, or raise the 429 when the queue has no room for it."""
        limit = self._settings.limits.queue
        queue_length = self.waiting(now) + order.count
        if queue_length > limit:
            raise queue_full(limit)
        batch = Batch(
            id=new_id("msgbatch_01"),
            number=len(self.batches) + 1,
            count=order.count,
            size=order.size,
            timeline=self._timeline(order, now),
            betas=order.betas,
            faults=order.faults,
            credit_until=order.credit_until,
        )
        self.add(batch)
        self.queue_peak = max(self.queue_peak, queue_length)
        return batch

    def add(self, batch: Batch) -> None:
        """Add a batch: a new one, or one from an earlier process."""
        self.batches.append(batch)
        self._by_id[batch.id] = batch
        self._live.append(batch)

    def find(self, batch_id: str) -> Batch:
        """Return a batch, or raise the 404."""
        batch = self._by_id.get(batch_id)
        if batch_id == EXAMPLE:
            batch = self._example
        if batch is None or batch.deleted:
            raise ApiError(
                "not_found_error", f"Message batch with id {batch_id} not found."
            )
        return batch

    def list(self, page: Page) -> tuple[Sequence[Batch], bool]:
        """Return a page, newest first, and whether there is more in the same direction.

        `after_id` asks for older ones, `before_id` for the newer ones next to it, both for those in between; an
        unknown id gives an empty page.
        """
        for batch_id in (page.after_id, page.before_id):
            if batch_id and batch_id not in self._by_id:
                return [], False
        matching_batches = self._between(page)
        has_more = len(matching_batches) > page.limit
        reads_newer = page.before_id is not None and page.after_id is None
        oldest_first = matching_batches[-page.limit :]
        if reads_newer:
            oldest_first = matching_batches[: page.limit]
        return oldest_first[::-1], has_more

    def _between(self, page: Page) -> Sequence[Batch]:
        """Return all batches that are older than `after_id` and newer than `before_id`, oldest first."""
        visible_batches = [batch for batch in self.batches if not batch.deleted]
        start = 0
        end = len(visible_batches)
        if page.after_id:
            after_batch = self._by_id[page.after_id]
            end = bisect_left(visible_batches, after_batch.number, key=_number)
        if page.before_id:
            before_batch = self._by_id[page.before_id]
            start = bisect_right(visible_batches, before_batch.number, key=_number)
        return visible_batches[start:end]

    def cancel(self, batch_id: str, now: float) -> Batch:
        """Begin to cancel a batch; a second call changes nothing. An ended one is refused as the settings say."""
        batch = self.find(batch_id)
        if batch is self._example:
            return batch
        if batch.status(now) == "ended":
            self._refuse_cancel(batch_id)
            return batch
        if not batch.timeline.canceled(now):
            self._begin_cancel(batch.timeline, now)
        return batch

    def _begin_cancel(self, times: Timeline, now: float) -> None:
        """Let a cancellation take half of what is left, at most half of the usual seconds."""
        seconds_to_end = max(times.ends_at() - now, 0.0)
        most_seconds = min(self._settings.pace.seconds, seconds_to_end)
        times.cancel_takes = most_seconds / 2
        times.cancel_at = now

    def _refuse_cancel(self, batch_id: str) -> None:
        """Raise the error of canceling an ended batch, unless the settings allow it."""
        if self._settings.cancel_ended == 200:
            return
        error_type = "invalid_request_error"
        if self._settings.cancel_ended == 409:
            error_type = "conflict_error"
        raise ApiError(
            error_type,
            f"Batch {batch_id} cannot be canceled because it has already ended.",
        )

    def delete(self, batch_id: str, now: float) -> Batch:
        """Delete an ended batch; refuse one that runs."""
        batch = self.find(batch_id)
        if batch is self._example:
            return batch
        if batch.status(now) != "ended":
            raise invalid(
                f"Batch {batch_id} cannot be deleted because it is still processing. Cancel it first."
            )
        batch.deleted = True
        return batch

    def results(self, batch_id: str, now: float) -> Batch:
        """Return a batch whose results may be read, or raise the 404 that says why not."""
        batch = self.find(batch_id)
        if batch.status(now) != "ended":
            raise _no_results(
                f"Batch {batch_id} has no available results: it has not finished processing."
            )
        if batch.archived(now, self._settings.limits.results_for):
            raise _no_results(
                f"The results of batch {batch_id} are no longer available."
            )
        return batch

    def recheck_all(self) -> None:
        """Treat every batch as running until its status is next computed: the clock was turned, perhaps back."""
        self._live = list(self.batches)

    def waiting(self, now: float) -> int:
        """Return how many requests are in the queue: all those of batches that have not ended."""
        self._live = [batch for batch in self._live if batch.status(now) != "ended"]
        return sum(batch.count for batch in self._live)

    def _timeline(self, order: Order, now: float) -> Timeline:
        times = Timeline(
            created_at=now,
            duration=order.duration,
            expires_at=now + self._settings.limits.expires_after,
            answers_until=order.answers_until,
        )
        if order.cancel_after is not None:
            times.cancel_at = now + order.cancel_after
            times.cancel_takes = self._settings.pace.seconds / 2
        return times


def _no_results(message: str) -> ApiError:
    return ApiError("not_found_error", message, headers={"x-should-retry": "false"})


def _number(batch: Batch) -> int:
    return batch.number


def new_id(prefix: str) -> BatchId:
    """Return an unused id: `prefix` and 22 random letters."""
    random_letters = [secrets.choice(_LETTERS) for _ in range(22)]
    return BatchId(prefix + "".join(random_letters))
