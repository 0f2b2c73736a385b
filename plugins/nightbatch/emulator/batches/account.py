"""The organisation behind the API: its batches and what may be done to them. Knows no clock: `now` is given."""

import math
import secrets
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.limits import queue_full
from nightbatch.emulator.batches.timeline import BatchId, Timeline
from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.settings import Settings

EXAMPLE = (
    "message_batch_id"  # the id of the SDK's own tests: always there, never changed
)
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
    betas: frozenset[str] = frozenset()
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
        self._example = Batch(
            BatchId(EXAMPLE),
            0,
            1,
            0,
            Timeline(0.0, math.inf, settings.limits.expires_after),
        )
        self._live: list[Batch] = []

    def create(self, order: Order, now: float) -> Batch:
        """Make a batch, or raise the 429 when the queue has no room for it."""
        limit = self._settings.limits.queue
        waiting = self.waiting(now)
        if waiting + order.count > limit:
            raise queue_full(limit)
        batch = Batch(
            new_id("msgbatch_01"),
            len(self.batches) + 1,
            order.count,
            order.size,
            self._timeline(order, now),
        )
        batch.betas, batch.faults, batch.credit_until = (
            order.betas,
            order.faults,
            order.credit_until,
        )
        self.add(batch)
        self.queue_peak = max(self.queue_peak, waiting + order.count)
        return batch

    def add(self, batch: Batch) -> None:
        """Take in a batch, new or from an earlier life."""
        self.batches.append(batch)
        self._by_id[batch.id] = batch
        self._live.append(batch)

    def find(self, batch_id: str) -> Batch:
        """Return a batch, or raise the 404."""
        batch = self._example if batch_id == EXAMPLE else self._by_id.get(batch_id)
        if batch is None or batch.deleted:
            raise ApiError(
                "not_found_error", f"Message batch with id {batch_id} not found."
            )
        return batch

    def list(self, page: Page) -> tuple[Sequence[Batch], bool]:
        """Return a page, newest first, and whether there is more in the same direction.

        `after_id` asks for older ones, `before_id` for the newer ones next to it, both for what lies between; beside
        an id that nobody knows there is nothing.
        """
        shown = [batch for batch in self.batches if not batch.deleted]
        after, before = (
            self._by_id.get(page.after_id or ""),
            self._by_id.get(page.before_id or ""),
        )
        if (page.after_id and after is None) or (page.before_id and before is None):
            return [], False
        newest = (
            len(shown)
            if after is None
            else bisect_left(shown, after.number, key=_number)
        )
        oldest = (
            0 if before is None else bisect_left(shown, before.number + 1, key=_number)
        )
        between = shown[oldest:newest]
        if page.before_id is not None and page.after_id is None:
            return between[: page.limit][::-1], len(between) > page.limit
        return between[-page.limit :][::-1], len(between) > page.limit

    def cancel(self, batch_id: str, now: float) -> Batch:
        """Begin to cancel a batch; once more is as good as once. An ended one is refused as the settings say."""
        batch = self.find(batch_id)
        if batch is self._example:
            return batch
        if batch.status(now) == "ended":
            if self._settings.cancel_ended == 200:
                return batch
            kind = (
                "conflict_error"
                if self._settings.cancel_ended == 409
                else "invalid_request_error"
            )
            raise ApiError(
                kind,
                f"Batch {batch_id} cannot be canceled because it has already ended.",
            )
        times = batch.timeline
        if not times.cancelled(now):
            times.cancel_takes = (
                min(self._settings.pace.seconds, max(times.ends_at() - now, 0.0)) / 2
            )
            times.cancel_at = now
        return batch

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
            message = f"Batch {batch_id} has no available results: it has not finished processing."
            raise ApiError(
                "not_found_error", message, headers={"x-should-retry": "false"}
            )
        if batch.archived(now, self._settings.limits.results_for):
            message = f"The results of batch {batch_id} are no longer available."
            raise ApiError(
                "not_found_error", message, headers={"x-should-retry": "false"}
            )
        return batch

    def look_again(self) -> None:
        """Take every batch for a running one until it is next looked at: the clock was turned, perhaps back."""
        self._live = list(self.batches)

    def waiting(self, now: float) -> int:
        """Return how many requests are in the queue: all those of batches that have not ended."""
        self._live = [batch for batch in self._live if batch.status(now) != "ended"]
        return sum(batch.count for batch in self._live)

    def _timeline(self, order: Order, now: float) -> Timeline:
        times = Timeline(
            now,
            order.duration,
            now + self._settings.limits.expires_after,
            order.answers_until,
        )
        if order.cancel_after is not None:
            times.cancel_at = now + order.cancel_after
            times.cancel_takes = self._settings.pace.seconds / 2
        return times


def _number(batch: Batch) -> int:
    return batch.number


def new_id(prefix: str) -> BatchId:
    """Return an id that nobody has: `prefix` and 22 letters."""
    return BatchId(prefix + "".join(secrets.choice(_LETTERS) for _ in range(22)))
