"""Deadlines as XCom and triggers carry them: a time (ISO 8601, UTC where it names no zone); empty: there is none."""

from __future__ import annotations

from datetime import UTC, datetime

LAST_LOOK_SECONDS = 10.0
"""For a wait that begins after its deadline: it looks once at its batches before it is cut short."""


def time_of(deadline: str) -> datetime | None:
    """Return the time that a deadline names, in UTC; None where there is none."""
    if not deadline:
        return None
    time = datetime.fromisoformat(deadline)
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    return time.astimezone(UTC)


def seconds_until(deadline: str, now: datetime) -> float | None:
    """Return the seconds until a deadline, less than 0 after it; None where there is none."""
    time = time_of(deadline)
    return None if time is None else (time - now).total_seconds()


def has_passed(deadline: str, now: datetime) -> bool:
    """Tell whether a deadline has passed."""
    seconds_left = seconds_until(deadline, now)
    return seconds_left is not None and seconds_left <= 0


def seconds_to_wait(deadline: str, now: datetime) -> float | None:
    """Return how long a wait may last that begins now; None where there is no deadline."""
    seconds_left = seconds_until(deadline, now)
    if seconds_left is None or seconds_left > 0:
        return seconds_left
    return LAST_LOOK_SECONDS
