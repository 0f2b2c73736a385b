"""One poller for all batches of a connection: one client, one `list` call for up to a thousand batches.

All triggers of a triggerer live in one process and one loop, so a module-level registry is all the sharing needed.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from datetime import UTC, datetime, timedelta
from typing import Protocol

from nightbatch.errors import AccountStopped, ApiUnavailable
from nightbatch.ids import BatchId
from nightbatch.ports import AsyncBatches, Batch
from nightbatch.submit.queue import Place
from nightbatch.wait.awaited import Waits
from nightbatch.wait.line import Line
from nightbatch.wait.look import Look, aim, look
from nightbatch.wait.pace import Pace, backoff, longest, next_look

log = logging.getLogger(__name__)


class Connects(Protocol):
    """Hand out the client of a connection."""

    async def open(self) -> AsyncBatches:
        """Return the client, a new one where the connection has changed.

        Raises AccountStopped, ApiUnavailable, SettingsError.
        """

    def doubt(self) -> None:
        """Look whether the connection has changed before the client is handed out again."""

    async def close(self) -> None:
        """Close the client; `open` makes a new one."""


class Poller:
    """Looks at all awaited batches of a connection together, for as long as any is awaited."""

    def __init__(self, connection: Connects, pace: Pace) -> None:
        self.loop = asyncio.get_running_loop()
        self.pace = pace
        self._connection = connection
        self._started = datetime.now(UTC), self.loop.time()
        self._waits = Waits(pace)
        self._line = Line(pace)
        self._guests = 0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last, self._calls = datetime.min.replace(tzinfo=UTC), 1
        self._not_before = self._last
        self._failures = 0
        self._refused_since: datetime | None = None

    async def wait(self, batch: str, ceiling: float) -> Batch:
        """Return the batch once it has ended. Raises BatchGone, AccountStopped, and SettingsError for a bad ceiling."""
        name = BatchId(batch)
        future = self._waits.join(name, longest(ceiling), self.now())
        self._wake()
        try:
            return await future
        finally:
            self._waits.leave(name, future)

    async def room(self, place: Place, ceiling: float) -> None:
        """Return when there is room in the account's queue for a shard, in the order of the line."""
        future = self._line.join(place, longest(ceiling))
        self._wake()
        try:
            await future
        finally:
            self._line.leave(place, future)

    async def cancel(self, batch: str) -> None:
        """Ask that a batch be cancelled, again while the API cannot be reached. Raises BatchGone, AccountStopped."""
        self._guests += 1
        self._wake()
        try:
            for failures in itertools.count(1):
                try:
                    return await (await self._connection.open()).cancel(BatchId(batch))
                except ApiUnavailable as error:
                    await asyncio.sleep(backoff(failures, error.retry_after, self.pace))
        finally:
            self._guests -= 1

    def now(self) -> datetime:
        """Return the time, by a clock that does not jump."""
        since, at = self._started
        return since + timedelta(seconds=self.loop.time() - at)

    def _wake(self) -> None:
        self._woken.set()
        if self._task is None or self._task.done():
            # In a context of its own, since what it logs belongs to no single task.
            self._task = self.loop.create_task(
                self._run(), context=contextvars.Context()
            )

    async def _run(self) -> None:
        while self._wanted():
            try:
                while await self._rest():
                    await self._tick()
            except Exception as error:
                self._fail_all(error)
            finally:
                await self._connection.close()

    def _wanted(self) -> bool:
        return bool(len(self._waits) or len(self._line) or self._guests)

    async def _rest(self) -> bool:
        """Sleep until the next look is due; False: nobody has waited for a while."""
        while True:
            self._woken.clear()
            until = self._next()
            pause = (
                self.pace.linger
                if until is None
                else (until - self.now()).total_seconds()
            )
            if until is not None and pause <= 0:
                return True
            try:
                await asyncio.wait_for(self._woken.wait(), pause)
            except TimeoutError:
                if not self._wanted():
                    return False

    def _next(self) -> datetime | None:
        due = next_look(
            (self._waits.due, self._line.due), self._last, self._calls, self.pace
        )
        return max(due, self._not_before) if due else None

    async def _tick(self) -> None:
        now, found = self.now(), Look()
        everything = self._line.due is not None and self._line.due <= now
        try:
            target = aim(self._waits.watched, now, everything=everything)
            await look(await self._connection.open(), target, found)
            self._failures, self._refused_since = 0, None
        except ApiUnavailable as error:
            self._back_off(error, error.retry_after)
        except AccountStopped as error:
            self._refused(error)
        self._last, self._calls = self.now(), found.calls
        await self._waits.absorb(found, self.now)
        if found.whole and everything:
            self._line.settle(found.listed.values(), self.now())

    def _back_off(self, error: Exception, asked: float | None = None) -> None:
        self._failures += 1
        pause = backoff(self._failures, asked, self.pace)
        log.warning("%s Looking again in %.0f s.", error, pause)
        self._not_before = self.now() + timedelta(seconds=pause)

    def _refused(self, error: AccountStopped) -> None:
        """Bear with a refusal for a while: the key may be being changed."""
        self._connection.doubt()
        self._refused_since = self._refused_since or self.now()
        if self.now() - self._refused_since >= timedelta(seconds=self.pace.refused):
            self._refused_since = None
            self._fail_all(error)
        self._back_off(error)

    def _fail_all(self, error: Exception) -> None:
        self._waits.fail(error)
        self._line.fail(error)
