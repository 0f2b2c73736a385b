"""Room in the account's queue: which shards may send next.

All shards ahead count as if they were sent already. So no shard loses the room that it waits for to a later one, and a
shard with a larger cap does not wait for one with a smaller cap. A shard larger than its cap is sent when the queue is
empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.ports import Batch

LIFETIME = timedelta(hours=25)
"""A batch ends 24 hours after its creation at the latest; an hour for clocks that differ."""


@dataclass(frozen=True)
class QueuePosition:
    """A shard's place in the line: its order, its requests (`total`), and the most requests in the queue (`cap`).

    `full_until`: the API reported a full queue. Then there is room once the queue has shrunk by the size of this shard
    (`cap` is the length that it had); at that time the first shard in line tries in any case.
    """

    order: str
    total: int
    cap: int
    full_until: datetime | None = None


def admit(
    line: Iterable[QueuePosition], used: int, now: datetime
) -> list[QueuePosition]:
    """Return the places that may send, if `used` requests are in the queue or about to be sent."""
    admitted = []
    used_ahead = used
    is_first = True
    places_in_order = sorted(line, key=lambda place: place.order)
    for place in places_in_order:
        retries_now = place.full_until is not None and now >= place.full_until
        if (is_first and retries_now) or fits(place, used_ahead):
            admitted.append(place)
        used_ahead += place.total
        is_first = False
    return admitted


def fits(place: QueuePosition, used: int) -> bool:
    """Return whether a shard fits into the queue beside `used` requests."""
    has_empty_queue = used == 0 and place.full_until is None
    return has_empty_queue or used + place.total <= place.cap


def queued(batches: Iterable[Batch]) -> int:
    """Count the requests of all batches that have not ended: what the API counts as its queue."""
    running_batches = (batch for batch in batches if not batch.ended)
    return sum(batch.counts.get("processing", 0) for batch in running_batches)


@dataclass(frozen=True)
class HeldRoom:
    """Room held for a shard that may send but whose batch is not listed yet; `known`: the batches listed before."""

    order: str
    total: int
    known: frozenset[str]
    until: datetime


def held_room(
    held: Sequence[HeldRoom], batches: Iterable[Batch], now: datetime
) -> list[HeldRoom]:
    """Drop the room of shards whose batch is listed now (matched by its total), and room that has expired."""
    still_held = [room for room in held if room.until > now]
    for batch in batches:
        room_of_batch = _room_of(batch, still_held)
        if room_of_batch:
            still_held.remove(room_of_batch)
    return still_held


def _room_of(batch: Batch, held: Iterable[HeldRoom]) -> HeldRoom | None:
    """Find the room that was held for a batch: of its total, and held before it was listed."""
    for room in held:
        if room.total == batch.total and batch.id not in room.known:
            return room
    return None
