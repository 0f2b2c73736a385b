"""One look at many batches: a page of the listing covers a thousand; a batch that it does not reach is read alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nightbatch.errors import ApiUnavailable, BatchGone
from nightbatch.ids import BatchId
from nightbatch.ports import AsyncBatches, Batch
from nightbatch.submit.room.queue import LIFETIME
from nightbatch.wait.pace import Missing, StateSeen, Unread, Watched

SMALLEST = 20
LARGEST = 1000
"""Batches on one page of the listing."""
STRAGGLERS = 3
"""Up to this many batches are cheaper to read alone than to find on another page."""
MOST_ALONE = 20
"""Batches that one look reads alone; the others are due in the next look."""


@dataclass
class PollResult:
    """What one look has read so far; it is filled while requests are made, so that a failure loses nothing."""

    listed: dict[BatchId, Batch] = field(default_factory=dict)
    alone: dict[BatchId, StateSeen | Missing | Unread] = field(default_factory=dict)
    calls: int = 0
    whole: bool = False
    """Whether the listing covers every batch that can be running."""


@dataclass(frozen=True)
class PollTargets:
    """What a look must read: the batches that are due or, with `everything`, all batches that can be running.

    `reach`: how far down the listing the oldest of them may be, by what is known now.
    """

    due: Sequence[Watched]
    reach: int
    now: datetime
    everything: bool = False


def poll_targets(
    watched: Collection[Watched], now: datetime, *, everything: bool
) -> PollTargets:
    """Choose what a look must read now; the longest overdue first."""
    due_now = [target for target in watched if target.due <= now]
    due_now.sort(key=lambda target: target.due)
    oldest = _oldest_creation(due_now, now)
    reach = sum(1 for target in watched if _may_be_since(target, oldest))
    return PollTargets(due_now, reach, now, everything)


def _oldest_creation(due_now: Iterable[Watched], now: datetime) -> datetime:
    """Return when the oldest batch was created that the listing is expected to reach."""
    creation_times = [
        target.created_at
        for target in due_now
        if target.created_at and not target.straggler
    ]
    return min(creation_times, default=now)


def _may_be_since(target: Watched, oldest: datetime) -> bool:
    return target.created_at is None or target.created_at >= oldest


async def poll_once(
    reads: AsyncBatches, targets: PollTargets, result: PollResult
) -> None:
    """Look once. Raises ApiUnavailable or AccountStopped; what was read until then stays in `result`."""
    wanted = {
        target.batch: target
        for target in targets.due
        if targets.everything or not target.straggler
    }
    if wanted or targets.everything:
        await _list(reads, wanted, targets, result)
    unlisted = [target for target in targets.due if target.batch not in result.listed]
    read_alone = unlisted[:MOST_ALONE]
    await _read_alone(reads, read_alone, result)


async def _read_alone(
    reads: AsyncBatches, unlisted: Sequence[Watched], result: PollResult
) -> None:
    """Read batches by their ids; a few failures are noted, more than that end the look."""
    failure_count = 0
    for target in unlisted:
        batch_id = target.batch
        result.calls += 1
        try:
            status = await reads.batch(batch_id)
            seen = StateSeen(status.batch, status.hint, alone=True)
            result.alone[batch_id] = seen
        except BatchGone:
            result.alone[batch_id] = Missing()
        except ApiUnavailable as error:
            failure_count += 1
            if error.retry_after is not None or failure_count >= STRAGGLERS:
                raise
            result.alone[batch_id] = Unread()


async def _list(
    reads: AsyncBatches,
    wanted: Mapping[BatchId, Watched],
    targets: PollTargets,
    result: PollResult,
) -> None:
    """Page through the listing, newest first, while the next page can show what is wanted.

    If the first page is not enough, an unknown number of other batches is in the listing: the next pages are large.
    """
    page_limit = _first_page_limit(targets)
    after: BatchId | None = None
    while True:
        result.calls += 1
        page = await reads.page(after, page_limit)
        page_limit = LARGEST
        after = page.next
        result.listed.update((batch.id, batch) for batch in page.batches)
        creation_times = (batch.created_at for batch in page.batches)
        oldest = min(creation_times, default=targets.now)
        covers_lifetime = oldest < targets.now - LIFETIME
        is_last_page = after is None or covers_lifetime
        result.whole = result.whole or is_last_page
        if is_last_page:
            return
        if targets.everything:
            continue
        older_count = _unlisted_since(wanted, result, oldest)
        if older_count <= STRAGGLERS:
            return


def _first_page_limit(targets: PollTargets) -> int:
    if targets.everything:
        return LARGEST
    room_for_others = 2 * targets.reach
    return min(LARGEST, max(SMALLEST, room_for_others))


def _unlisted_since(
    wanted: Mapping[BatchId, Watched], result: PollResult, oldest: datetime
) -> int:
    """Count the wanted batches that are not listed yet and may be older than the oldest one listed."""
    unlisted = [target for name, target in wanted.items() if name not in result.listed]
    older = [
        target
        for target in unlisted
        if not target.created_at or target.created_at <= oldest
    ]
    return len(older)
