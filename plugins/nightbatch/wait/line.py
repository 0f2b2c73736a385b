"""The line of shards that wait for room in the account's queue, served in order by the poller's own listing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from nightbatch.ports import Batch
from nightbatch.submit.room.queue import (
    HeldRoom,
    QueuePosition,
    admit,
    held_room,
    queued,
)
from nightbatch.wait.pace import PollTiming, interval

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Waiting:
    """A place in the line, and the futures of those who wait for it.

    `learned_cap`: how many requests were in the queue when the API said that it was full.
    """

    place: QueuePosition
    futures: list[asyncio.Future[None]] = field(default_factory=list)
    learned_cap: int | None = None

    def capped_place(self, used: int) -> QueuePosition:
        """Lower the cap to the queue's length when the API said that it was full: it holds at least that many."""
        place = self.place
        if place.full_until is None:
            return place
        if self.learned_cap is None:
            self.learned_cap = used
        lower_cap = min(place.cap, self.learned_cap)
        return replace(place, cap=lower_cap)


class WaitingLine:
    """The shards that wait for room, and the room held for admitted shards whose batches are not listed yet."""

    def __init__(self, pace: PollTiming) -> None:
        self.due: datetime | None = None
        """When the queue should be looked at next; None if nobody waits."""
        self._pace = pace
        self._ceiling = pace.most
        self._waiting: dict[str, _Waiting] = {}
        self._held: list[HeldRoom] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def is_due(self, now: datetime) -> bool:
        """Tell whether the queue should be looked at now."""
        return self.due is not None and self.due <= now

    def join(self, place: QueuePosition, ceiling: float) -> asyncio.Future[None]:
        """Take a place; the future is done when the shard may send. Its room is held until its batch is listed.

        Two runs may wait for the same claim: they share a place.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._release_held(place.order)
        waiting = self._waiting.setdefault(place.order, _Waiting(place))
        waiting.place = place
        waiting.futures.append(future)
        self._ceiling = ceiling
        self.due = LONG_AGO
        return future

    def _release_held(self, order: str) -> None:
        self._held = [held for held in self._held if held.order != order]

    def leave(self, place: QueuePosition, future: asyncio.Future[None]) -> None:
        """Stop a wait, if it has not ended yet."""
        waiting = self._waiting.get(place.order)
        if waiting is None:
            return
        futures = waiting.futures
        if future in futures:
            futures.remove(future)
        if not futures:
            self._drop(place.order)

    def settle(self, batches: Collection[Batch], now: datetime) -> None:
        """Admit every shard that has room, by a listing of all batches that can be running."""
        self._held = held_room(self._held, batches, now)
        used = self._used(batches)
        listed_ids = frozenset(batch.id for batch in batches)
        places = [waiting.capped_place(used) for waiting in self._waiting.values()]
        for place in admit(places, used, now):
            self._hold_room(place, listed_ids, now)
            self._let_through(place.order)
        if self._waiting:
            self.due = self._next_due(batches, now)

    def _used(self, batches: Iterable[Batch]) -> int:
        """Count the requests in the queue and those that are about to be sent."""
        held_requests = sum(held.total for held in self._held)
        return queued(batches) + held_requests

    def _hold_room(
        self, place: QueuePosition, listed_ids: frozenset[str], now: datetime
    ) -> None:
        """Hold the room of an admitted shard until its batch is listed."""
        held_until = now + timedelta(seconds=self._pace.held)
        held = HeldRoom(place.order, place.total, listed_ids, held_until)
        self._held.append(held)

    def _let_through(self, order: str) -> None:
        for future in self._drop(order):
            if not future.done():
                future.set_result(None)

    def _next_due(self, batches: Collection[Batch], now: datetime) -> datetime:
        """Return when the first running batch is worth another look."""
        pauses_seconds = [
            interval(batch, now, self._pace, hint=None, ceiling=self._ceiling)
            for batch in batches
            if not batch.ended
        ]
        shortest_seconds = min(pauses_seconds, default=self._pace.soonest)
        return now + timedelta(seconds=shortest_seconds)

    def fail(self, error: Exception) -> None:
        """End all waits with an error."""
        for order in list(self._waiting):
            for future in self._drop(order):
                if not future.done():
                    future.set_exception(error)

    def _drop(self, order: str) -> list[asyncio.Future[None]]:
        """Remove a place, and return the futures that waited for it."""
        waiting = self._waiting.pop(order, None)
        if not self._waiting:
            self.due = None
        return waiting.futures if waiting else []
