"""Who waits for which batch, and when each is due; what a look shows ends waits, or says when to look again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from nightbatch.errors import BatchGone
from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.wait.look import Look
from nightbatch.wait.pace import (
    Ended,
    Gone,
    Missing,
    Pace,
    Shown,
    Unread,
    Watched,
    on_state,
)

JITTER = 0.15
"""Looks come up to this share sooner than they are due, so that many triggerers do not look at once."""
BREATH = 250
"""Batches that are thought about before the event loop has its turn."""


class Waits:
    """The awaited batches of a connection; several may wait for one."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._watched: dict[BatchId, Watched] = {}
        self._futures: dict[BatchId, dict[asyncio.Future[Batch], float]] = {}

    def __len__(self) -> int:
        return len(self._watched)

    @property
    def watched(self) -> Collection[Watched]:
        """Return all that are waited for."""
        return self._watched.values()

    @property
    def due(self) -> datetime | None:
        """Return when the first of them should be looked at; None: nobody waits."""
        return min((one.due for one in self._watched.values()), default=None)

    def join(
        self, name: BatchId, ceiling: float, now: datetime
    ) -> asyncio.Future[Batch]:
        """Begin to wait; what is returned is done when the batch has ended, or raises BatchGone or what `fail` says."""
        future: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(name, {})[future] = ceiling
        known = self._watched.get(name, Watched(name, ceiling, now))
        self._watched[name] = replace(known, ceiling=min(known.ceiling, ceiling))
        return future

    def leave(self, name: BatchId, future: asyncio.Future[Batch]) -> None:
        """Give up a wait, if it is still on."""
        ceilings = self._futures.get(name, {})
        ceilings.pop(future, None)
        if ceilings:
            self._watched[name] = replace(
                self._watched[name], ceiling=min(ceilings.values())
            )
        else:
            self._futures.pop(name, None)
            self._watched.pop(name, None)

    async def absorb(self, found: Look, now: Callable[[], datetime]) -> None:
        """Take in what a look has found."""
        states: dict[BatchId, Shown | Missing | Unread] = {**found.alone}
        states |= {
            name: Shown(found.listed[name])
            for name in self._watched.keys() & found.listed.keys()
        }
        spread = 1 - JITTER * random.random()  # noqa: S311
        for number, (name, state) in enumerate(states.items()):
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            if name in self._watched:
                self._learn(self._watched[name], state, now(), spread)

    def fail(self, error: Exception) -> None:
        """End all waits with an error."""
        for name in list(self._watched):
            self._settle(name, error)

    def _learn(
        self,
        watched: Watched,
        state: Shown | Missing | Unread,
        now: datetime,
        spread: float,
    ) -> None:
        match on_state(watched, state, now, self._pace):
            case Ended(batch):
                self._settle(watched.batch, batch)
            case Gone():
                self._settle(
                    watched.batch,
                    BatchGone(f"the API no longer knows batch {watched.batch}."),
                )
            case Watched(due=due) as still:
                self._watched[watched.batch] = replace(
                    still, due=now + (due - now) * spread
                )

    def _settle(self, name: BatchId, outcome: Batch | Exception) -> None:
        self._watched.pop(name, None)
        for future in self._futures.pop(name, {}):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
