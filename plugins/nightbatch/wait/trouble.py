"""What a wait says in the log of its own task while the API cannot be read: since when, why, and until when it tries.

The poller serves many tasks, so its own lines are in no task's log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

AGAIN_SECONDS = 300.0
"""Between two lines about the same trouble."""


@dataclass(frozen=True)
class Trouble:
    """Why the API cannot be read, and since when."""

    why: str
    since: datetime


class Troubled(Protocol):
    """What reads the API for many waits."""

    @property
    def trouble(self) -> Trouble | None:
        """Return why the API cannot be read just now; None: it can."""


@dataclass(frozen=True)
class WaitEnd:
    """When a wait ends in any case; None: never. `cancels_at`: when it cancels its batches, and waits on."""

    at: datetime | None = None
    cancels_at: datetime | None = None


@asynccontextmanager
async def reporting(
    reader: Troubled, say: Callable[[str], None], end: WaitEnd, look_seconds: float
) -> AsyncIterator[None]:
    """Say that the API cannot be read, while the block waits for it.

    `look_seconds`: between two looks at the reader's trouble.
    """
    # A task of its own has the context of the block, and so its log.
    report = asyncio.create_task(_report(reader, say, end, look_seconds))
    try:
        yield
    finally:
        report.cancel()
        with suppress(asyncio.CancelledError):
            await report


async def _report(
    reader: Troubled, say: Callable[[str], None], end: WaitEnd, look_seconds: float
) -> None:
    clock = asyncio.get_running_loop().time
    reported: Trouble | None = None
    say_again_at = 0.0
    while True:
        await asyncio.sleep(look_seconds)
        trouble = reader.trouble
        if trouble is None:
            if reported is not None:
                say("The API can be read again.")
        elif reported is None or clock() >= say_again_at:
            say_again_at = clock() + AGAIN_SECONDS
            say(words(trouble, end, datetime.now(UTC)))
        reported = trouble


def words(trouble: Trouble, end: WaitEnd, now: datetime) -> str:
    """Say since when the API cannot be read, and until when it is tried."""
    until = "until it answers" if end.at is None else f"until {minute(end.at)}"
    line = f"Not read since {minute(trouble.since)}: {trouble.why} It is tried {until}."
    if end.cancels_at is None or end.cancels_at <= now:
        return line
    return (
        f"{line} At the deadline, {minute(end.cancels_at)}, its batches are canceled."
    )


def minute(time: datetime) -> str:
    """Write a time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
