"""The line of shards that wait for room in the account's queue: served in order, from the poller's own listing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from nightbatch.ports import Batch
from nightbatch.submit.queue import Held, Place, admit, queued, still_held
from nightbatch.wait.pace import Pace, interval


class Line:
    """Who waits for room, and what is held for those that were let through but are not seen yet."""

    def __init__(self, pace: Pace) -> None:
        self.due: datetime | None = None
        """When the queue should be looked at next; None: nobody waits."""
        self._pace = pace
        self._ceiling = pace.most
        self._places: dict[str, Place] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._learned: dict[str, int] = {}
        self._held: list[Held] = []

    def __len__(self) -> int:
        return len(self._places)

    def join(self, place: Place, ceiling: float) -> asyncio.Future[None]:
        """Take a place; what is returned is done when the shard may send. The room is held until its batch turns up.

        Two runs may wait for one claim: they have one place.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held = [one for one in self._held if one.order != place.order]
        self._places[place.order] = place
        self._waiting.setdefault(place.order, []).append(future)
        self._ceiling, self.due = ceiling, datetime.min.replace(tzinfo=UTC)
        return future

    def leave(self, place: Place, future: asyncio.Future[None]) -> None:
        """Give up a wait, if it is still on."""
        waits = self._waiting.get(place.order, [])
        if future in waits:
            waits.remove(future)
        if not waits:
            self._drop(place.order)

    def settle(self, batches: Collection[Batch], now: datetime) -> None:
        """Let through whoever has room, by a listing of all batches that can be running."""
        self._held = still_held(self._held, batches, now)
        used = queued(batches) + sum(one.total for one in self._held)
        known, until = (
            frozenset(batch.id for batch in batches),
            now + timedelta(seconds=self._pace.held),
        )
        for place in admit(
            [self._learn(one, used) for one in self._places.values()], used, now
        ):
            self._held.append(Held(place.order, place.total, known, until))
            for future in self._drop(place.order):
                if not future.done():
                    future.set_result(None)
        if self._places:
            running = (one for one in batches if not one.ended)
            pauses = [
                interval(one, now, self._pace, hint=None, ceiling=self._ceiling)
                for one in running
            ]
            self.due = now + timedelta(seconds=min(pauses, default=self._pace.soonest))

    def fail(self, error: Exception) -> None:
        """End all waits with an error."""
        for order in list(self._places):
            for future in self._drop(order):
                if not future.done():
                    future.set_exception(error)

    def _learn(self, place: Place, used: int) -> Place:
        """Fill in how long the queue was when the API said that it was full: so much it takes, at least."""
        if place.full_until is None:
            return place
        learned = self._learned.setdefault(place.order, used)
        return replace(place, cap=min(place.cap, learned))

    def _drop(self, order: str) -> list[asyncio.Future[None]]:
        """Remove a place, and return who waited there."""
        self._places.pop(order, None)
        self._learned.pop(order, None)
        if not self._places:
            self.due = None
        return self._waiting.pop(order, [])
