"""Who waits for which batch, and when each batch is due for a look.

A look at the batches either ends waits or sets the time of the next look.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from nightbatch.errors import BatchGone
from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.wait.pace import (
    Ended,
    GoneForGood,
    Missing,
    PollTiming,
    StateSeen,
    Unread,
    Watched,
    on_state,
)
from nightbatch.wait.poll_once import PollResult

JITTER = 0.15
"""Looks come up to this share sooner than they are due, so that many triggerers do not look at once."""
BATCHES_PER_TURN = 250
"""Batches that are processed before other tasks of the event loop get a turn."""


class AwaitedBatches:
    """The awaited batches of a connection; several callers may wait for the same batch."""

    def __init__(self, pace: PollTiming) -> None:
        self._pace = pace
        self._watched: dict[BatchId, Watched] = {}
        self._futures: dict[BatchId, dict[asyncio.Future[Batch], float]] = {}

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def watched(self) -> Collection[Watched]:
        """Return all batches that are waited for."""
        return self._watched.values()

    @property
    def due(self) -> datetime | None:
        """Return when the first batch is due for a look; None if nobody waits."""
        due_times = (watched.due for watched in self._watched.values())
        return min(due_times, default=None)

    def join(
        self, batch_id: BatchId, ceiling: float, now: datetime
    ) -> asyncio.Future[Batch]:
        """Start to wait for a batch.

        The future is done when the batch has ended. It raises BatchGone, or the error that is passed to `fail`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Batch] = loop.create_future()
        ceilings = self._futures.setdefault(batch_id, {})
        ceilings[future] = ceiling
        new_watch = Watched(batch_id, ceiling, now)
        watched = self._watched.setdefault(batch_id, new_watch)
        lowest_ceiling = min(watched.ceiling, ceiling)
        self._set_ceiling(batch_id, lowest_ceiling)
        return future

    def leave(self, batch_id: BatchId, future: asyncio.Future[Batch]) -> None:
        """Stop a wait, if it has not ended yet."""
        ceilings = self._futures.get(batch_id, {})
        ceilings.pop(future, None)
        if not ceilings:
            self._futures.pop(batch_id, None)
            self._watched.pop(batch_id, None)
            return
        lowest_ceiling = min(ceilings.values())
        self._set_ceiling(batch_id, lowest_ceiling)

    def _set_ceiling(self, batch_id: BatchId, ceiling: float) -> None:
        watched = self._watched[batch_id]
        self._watched[batch_id] = replace(watched, ceiling=ceiling)

    async def absorb(
        self, poll_result: PollResult, now: Callable[[], datetime]
    ) -> None:
        """Apply the result of a look to every batch that is waited for."""
        states = self._states(poll_result)
        due_share = 1 - JITTER * random.random()  # noqa: S311
        for number, (batch_id, state) in enumerate(states.items()):
            ends_turn = number % BATCHES_PER_TURN == BATCHES_PER_TURN - 1
            if ends_turn:
                await asyncio.sleep(0)
            watched = self._watched.get(batch_id)
            if watched is not None:
                self._apply(watched, state, now(), due_share)

    def _states(
        self, poll_result: PollResult
    ) -> dict[BatchId, StateSeen | Missing | Unread]:
        """Collect the states of a look; the listing takes precedence over batches that were read alone."""
        listed = poll_result.listed
        listed_ids = self._watched.keys() & listed.keys()
        states = dict(poll_result.alone)
        for batch_id in listed_ids:
            states[batch_id] = StateSeen(listed[batch_id])
        return states

    def fail(self, error: Exception) -> None:
        """End all waits with an error."""
        for batch_id in list(self._watched):
            self._settle(batch_id, error)

    def _apply(
        self,
        watched: Watched,
        state: StateSeen | Missing | Unread,
        now: datetime,
        due_share: float,
    ) -> None:
        batch_id = watched.batch
        match on_state(watched, state, now, self._pace):
            case Ended(batch):
                self._settle(batch_id, batch)
            case GoneForGood():
                gone_error = BatchGone(f"the API no longer knows batch {batch_id}.")
                self._settle(batch_id, gone_error)
            case Watched(due=due) as still_watched:
                jittered_due = now + (due - now) * due_share
                self._watched[batch_id] = replace(still_watched, due=jittered_due)

    def _settle(self, batch_id: BatchId, outcome: Batch | Exception) -> None:
        self._watched.pop(batch_id, None)
        futures = self._futures.pop(batch_id, {})
        for future in futures:
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
