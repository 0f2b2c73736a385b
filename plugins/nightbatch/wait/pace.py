"""When to look at a batch that is waited for: young and small batches often, large and old ones rarely.

A look costs one request for a thousand batches, so the delay that it adds is at most a tenth of the batch's duration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nightbatch.environment import POLL_PREFIX, seconds
from nightbatch.errors import SettingsError
from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.retrying import Backoff

DAY = 86_400.0


@dataclass(frozen=True)
class PollTiming:
    """How long things may take; all in seconds."""

    soonest: float = 1.0
    """Between two looks, and between two requests to the API on average: at most 60 a minute."""
    share: float = 0.1
    """The pause before the next look, as a share of the batch's age."""
    per_request: float = 0.0001
    """Added for every request of a batch: 10 s for the largest."""
    gone: float = 120.0
    """How long the API may not know a batch before it counts as gone: a 404 on an existing batch does occur."""
    refused: float = 300.0
    """How long the API may refuse the account before the waits fail."""
    unread: float = 60.0
    """How long the queue may be unreadable before waits for room end: their tasks then count how long."""
    trouble: float = 10.0
    """Between two looks of a wait at whether the API can be read, for its log."""
    connection: float = 300.0
    """Until the connection is read again, in case it has changed."""
    linger: float = 15.0
    """Until the client is closed after the last wait has ended."""
    held: float = 600.0
    """How long room in the queue is held for an admitted shard."""
    most: float = 60.0
    """Longest pause between two tries while the API cannot be read, unless the API asks for more."""

    @property
    def backoff(self) -> Backoff:
        """The pauses between tries while the API cannot be read."""
        return Backoff(2 * self.soonest, self.most)


def poll_timing() -> PollTiming:
    """Read the times of a deployment: NIGHTBATCH_POLL_GONE_SECONDS and the like override the defaults."""
    return seconds(PollTiming, POLL_PREFIX)


@dataclass(frozen=True)
class Watched:
    """A batch that is waited for, and when it is due for a look.

    `straggler`: the last listing did not reach it, so it is read alone.
    """

    batch: BatchId
    ceiling: float
    due: datetime
    created_at: datetime | None = None
    straggler: bool = False
    missing_since: datetime | None = None


@dataclass(frozen=True)
class StateSeen:
    """A batch as a look saw it. `hint`: the seconds that the API asks to wait. `alone`: read by its id."""

    batch: Batch
    hint: float | None = None
    alone: bool = False


@dataclass(frozen=True)
class Missing:
    """The API does not know the batch."""


@dataclass(frozen=True)
class Unread:
    """This batch could not be read; others could."""


@dataclass(frozen=True)
class Ended:
    """The wait is over."""

    batch: Batch


@dataclass(frozen=True)
class GoneForGood:
    """The wait is over: the batch no longer exists."""


def on_state(
    watched: Watched,
    state: StateSeen | Missing | Unread,
    now: datetime,
    pace: PollTiming,
) -> Watched | Ended | GoneForGood:
    """Decide what a look at a batch means: the wait is over, or when to look again."""
    match state:
        case StateSeen(batch) if batch.ended:
            return Ended(batch)
        case StateSeen():
            return _still_running(watched, state, now, pace)
        case Missing():
            return _missing(watched, now, pace)
        case Unread():
            due = now + timedelta(seconds=watched.ceiling)
            return replace(watched, due=due)


def _still_running(
    watched: Watched, state: StateSeen, now: datetime, pace: PollTiming
) -> Watched:
    batch = state.batch
    pause_seconds = interval(batch, now, pace, hint=state.hint, ceiling=watched.ceiling)
    return replace(
        watched,
        due=now + timedelta(seconds=pause_seconds),
        created_at=batch.created_at,
        straggler=state.alone,
        missing_since=None,
    )


def _missing(
    watched: Watched, now: datetime, pace: PollTiming
) -> Watched | GoneForGood:
    missing_since = watched.missing_since or now
    if now - missing_since >= timedelta(seconds=pace.gone):
        return GoneForGood()
    retry_seconds = max(pace.soonest, pace.gone / 6)
    pause_seconds = min(watched.ceiling, retry_seconds)
    due = now + timedelta(seconds=pause_seconds)
    return replace(watched, due=due, straggler=True, missing_since=missing_since)


def interval(
    batch: Batch, now: datetime, pace: PollTiming, *, hint: float | None, ceiling: float
) -> float:
    """Return the seconds until a running batch is worth another look."""
    age_seconds = max(0.0, (now - batch.created_at).total_seconds())
    size_pause = pace.soonest + batch.total * pace.per_request
    age_pause = age_seconds * pace.share
    hint_pause = hint or 0.0
    longest_pause = max(size_pause, age_pause, hint_pause)
    return min(ceiling, longest_pause)


def longest(ceiling: float) -> float:
    """Return the longest pause between two looks that a caller asks for, at most a day. Raises SettingsError."""
    if not ceiling > 0:
        raise SettingsError(
            f"the longest pause between two looks must be more than 0 seconds, not {ceiling:g}."
        )
    return min(ceiling, DAY)


def next_look(
    due: Iterable[datetime | None], last: datetime, calls: int, pace: PollTiming
) -> datetime | None:
    """Return when the next look is due; a look that took many requests is followed by a longer pause."""
    due_times = [due_time for due_time in due if due_time is not None]
    if not due_times:
        return None
    pause_seconds = pace.soonest * max(1, calls)
    earliest_allowed = last + timedelta(seconds=pause_seconds)
    return max(min(due_times), earliest_allowed)
