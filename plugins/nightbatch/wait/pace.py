"""When to look at a batch that is waited for, as a decision: young and small ones soon, big and old ones seldom.

A look costs one request for a thousand batches, so the delay that it adds is kept to a tenth of what the batch took.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightbatch.errors import SettingsError
from nightbatch.ids import BatchId
from nightbatch.ports import Batch

DAY = 86_400.0
DOUBLINGS = 30
"""More are never needed, and after a thousand a number has no room for them."""


@dataclass(frozen=True)
class Pace:
    """How long things may take; all in seconds."""

    soonest: float = 1.0
    """Between two looks; and the time that every request to the API must be worth: 60 a minute at most."""
    share: float = 0.1
    """Of a batch's age, until it is looked at again."""
    per_request: float = 0.0001
    """More for every request of a batch: 10 s for the largest."""
    gone: float = 120.0
    """That a batch may be unknown to the API before it is taken for gone: a 404 on a living batch does occur."""
    refused: float = 300.0
    """That the account may be refused before the waits fail."""
    connection: float = 300.0
    """Until the connection is read again, in case it was changed."""
    linger: float = 15.0
    """Until the client is closed when nobody waits any more."""
    held: float = 600.0
    """That room in the queue is held for a shard that was let through."""
    most: float = 60.0
    """Between two tries while the API cannot be read, unless it asks for more."""


@dataclass(frozen=True)
class Watched:
    """A batch that is waited for, and when it is due to be looked at.

    `straggler`: the listing did not reach it the last time, so it is read by itself.
    """

    batch: BatchId
    ceiling: float
    due: datetime
    created_at: datetime | None = None
    straggler: bool = False
    missing_since: datetime | None = None


@dataclass(frozen=True)
class Shown:
    """What a look showed of a batch. `hint`: the seconds that the API itself asks to wait. `alone`: read by itself."""

    batch: Batch
    hint: float | None = None
    alone: bool = False


@dataclass(frozen=True)
class Missing:
    """The API says that there is no such batch."""


@dataclass(frozen=True)
class Unread:
    """This batch, and only this one, could not be read."""


@dataclass(frozen=True)
class Ended:
    """The wait is over."""

    batch: Batch


@dataclass(frozen=True)
class Gone:
    """The wait is over: the batch is not there any more."""


def on_state(
    watched: Watched, state: Shown | Missing | Unread, now: datetime, pace: Pace
) -> Watched | Ended | Gone:
    """Say what a look at a batch means: that the wait is over, or when to look again."""
    match state:
        case Shown(batch) if batch.ended:
            return Ended(batch)
        case Shown(batch, hint, alone):
            pause = interval(batch, now, pace, hint=hint, ceiling=watched.ceiling)
            due, born = now + timedelta(seconds=pause), batch.created_at
            return replace(
                watched, due=due, created_at=born, straggler=alone, missing_since=None
            )
        case Missing():
            since = watched.missing_since or now
            if now - since >= timedelta(seconds=pace.gone):
                return Gone()
            due = now + timedelta(
                seconds=min(watched.ceiling, max(pace.soonest, pace.gone / 6))
            )
            return replace(watched, due=due, straggler=True, missing_since=since)
        case Unread():
            return replace(watched, due=now + timedelta(seconds=watched.ceiling))


def interval(
    batch: Batch, now: datetime, pace: Pace, *, hint: float | None, ceiling: float
) -> float:
    """Return the seconds until a running batch is worth another look."""
    age = max(0.0, (now - batch.created_at).total_seconds())
    wished = max(
        pace.soonest + batch.total * pace.per_request, age * pace.share, hint or 0.0
    )
    return min(ceiling, wished)


def longest(ceiling: float) -> float:
    """Return the longest pause between two looks that somebody asks for, at most a day. Raises SettingsError."""
    if not ceiling > 0:
        raise SettingsError(
            f"the longest pause between two looks must be more than 0 seconds, not {ceiling:g}."
        )
    return min(ceiling, DAY)


def next_look(
    due: Iterable[datetime | None], last: datetime, calls: int, pace: Pace
) -> datetime | None:
    """Return when the next look is due; a look that took many requests is followed by a longer pause."""
    times = [time for time in due if time is not None]
    return (
        max(min(times), last + timedelta(seconds=pace.soonest * max(1, calls)))
        if times
        else None
    )


def backoff(failures: int, asked: float | None, pace: Pace) -> float:
    """Return the pause after this many failures in a row, or what the API asks for, if that is longer."""
    doubled = pace.soonest * 2.0 ** min(failures, DOUBLINGS)
    return max(asked or 0.0, min(pace.most, doubled))
