"""One look at many batches: a page of the listing answers for a thousand, what it does not reach is read by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nightbatch.errors import ApiUnavailable, BatchGone
from nightbatch.ids import BatchId
from nightbatch.ports import AsyncBatches, Batch
from nightbatch.submit.queue import LIFETIME
from nightbatch.wait.pace import Missing, Shown, Unread, Watched

SMALLEST, LARGEST = 20, 1000
STRAGGLERS = 3
"""So few batches are cheaper read by themselves than found on another page."""
MOST_ALONE = 20
"""Batches read by themselves in one look; the others are due in the next."""


@dataclass
class Look:
    """What one look has found out so far; it is filled while requests are made, so that a failure loses nothing."""

    listed: dict[BatchId, Batch] = field(default_factory=dict)
    alone: dict[BatchId, Shown | Missing | Unread] = field(default_factory=dict)
    calls: int = 0
    whole: bool = False
    """Whether every batch that can be running was listed."""


@dataclass(frozen=True)
class Aim:
    """What a look is for: the batches that are due, or with `everything`, all that can be running, whoever sent them.

    `reach`: how far down the listing the oldest of them may be, as far as is known.
    """

    due: Sequence[Watched]
    reach: int
    now: datetime
    everything: bool = False


def aim(watched: Collection[Watched], now: datetime, *, everything: bool) -> Aim:
    """Choose what to look at now; the longest overdue first."""
    due = sorted((one for one in watched if one.due <= now), key=lambda one: one.due)
    known = [one.created_at for one in due if one.created_at and not one.straggler]
    oldest = min(known, default=now)
    reach = sum(
        1 for one in watched if one.created_at is None or one.created_at >= oldest
    )
    return Aim(due, reach, now, everything)


async def look(reads: AsyncBatches, at: Aim, into: Look) -> None:
    """Look once. Raises ApiUnavailable or AccountStopped; what was found until then stays in `into`."""
    wanted = {one.batch: one for one in at.due if at.everything or not one.straggler}
    if wanted or at.everything:
        await _list(reads, wanted, at, into)
    failures = 0
    for one in [one for one in at.due if one.batch not in into.listed][:MOST_ALONE]:
        into.calls += 1
        try:
            sight = await reads.batch(one.batch)
            into.alone[one.batch] = Shown(sight.batch, sight.hint, alone=True)
        except BatchGone:
            into.alone[one.batch] = Missing()
        except ApiUnavailable as error:
            failures += 1
            if error.retry_after is not None or failures >= STRAGGLERS:
                raise
            into.alone[one.batch] = Unread()


async def _list(
    reads: AsyncBatches, wanted: Mapping[BatchId, Watched], at: Aim, into: Look
) -> None:
    """Page through the listing, newest first, for as long as the next page can show what is wanted.

    Where the first page is not enough, others send batches too, who knows how many: the next ones are large.
    """
    limit = LARGEST if at.everything else min(LARGEST, max(SMALLEST, 2 * at.reach))
    after: BatchId | None = None
    while True:
        into.calls += 1
        page = await reads.page(after, limit)
        into.listed.update((batch.id, batch) for batch in page.batches)
        limit = LARGEST
        after, oldest = (
            page.next,
            min((batch.created_at for batch in page.batches), default=at.now),
        )
        ends = after is None or oldest < at.now - LIFETIME
        into.whole = into.whole or ends
        unseen = [one for name, one in wanted.items() if name not in into.listed]
        older = [
            one for one in unseen if not one.created_at or one.created_at <= oldest
        ]
        if ends or not (at.everything or len(older) > STRAGGLERS):
            return
