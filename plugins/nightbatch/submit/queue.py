"""Room in the account's queue, as a decision: who may send next.

Everybody ahead counts as if it were sent already: so nobody is overtaken into the room that he waits for, and nobody
with a wider cap waits for one with a narrower. A shard that is larger than its cap goes when the queue is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nightbatch.ports import Batch

LIFETIME = timedelta(hours=25)
"""A batch ends 24 hours after its creation at the latest; an hour for clocks that differ."""


@dataclass(frozen=True)
class Place:
    """A shard's place in the line: its order among all, its requests, and what the queue may hold with it.

    `full_until`: the API itself said that the queue is full; then there is room once the queue is shorter by this
    shard than it was (`cap`), and at that time the first of the line tries anyway.
    """

    order: str
    total: int
    cap: int
    full_until: datetime | None = None


def admit(line: Iterable[Place], used: int, now: datetime) -> list[Place]:
    """Say who may send, when so many requests are in the queue or on their way to it."""
    admitted, ahead, first = [], used, True
    for place in sorted(line, key=lambda one: one.order):
        probes = first and place.full_until is not None and now >= place.full_until
        if probes or fits(place, ahead):
            admitted.append(place)
        ahead, first = ahead + place.total, False
    return admitted


def fits(place: Place, used: int) -> bool:
    """Tell whether a shard fits beside what is used."""
    alone = used == 0 and place.full_until is None
    return alone or used + place.total <= place.cap


def queued(batches: Iterable[Batch]) -> int:
    """Count the requests of all batches that have not ended: what the API counts as its queue."""
    return sum(
        batch.counts.get("processing", 0) for batch in batches if not batch.ended
    )


@dataclass(frozen=True)
class Held:
    """Room held for a shard that may send but whose batch is not seen yet; `known`: the batches before it."""

    order: str
    total: int
    known: frozenset[str]
    until: datetime


def still_held(
    held: Sequence[Held], batches: Iterable[Batch], now: datetime
) -> list[Held]:
    """Drop what is held for batches that have turned up since, each told by its total, or that never came."""
    left = [one for one in held if one.until > now]
    for batch in batches:
        match = next(
            (
                one
                for one in left
                if one.total == batch.total and batch.id not in one.known
            ),
            None,
        )
        if match is not None:
            left.remove(match)
    return left
