"""One poller for all batches of a connection: one client, one `list` call for up to a thousand batches.

All triggers of a triggerer run in one process and one loop, so they share a poller by a module-level registry.
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
from nightbatch.submit.room.queue import QueuePosition
from nightbatch.wait.awaited import AwaitedBatches
from nightbatch.wait.line import WaitingLine
from nightbatch.wait.pace import PollTiming, longest, next_look
from nightbatch.wait.poll_once import PollResult, poll_once, poll_targets
from nightbatch.wait.trouble import Trouble

log = logging.getLogger(__name__)


class Connector(Protocol):
    """Hand out the client of a connection."""

    async def open(self) -> AsyncBatches:
        """Return the client, a new one where the connection has changed.

        Raises AccountStopped, ApiUnavailable, SettingsError.
        """

    def doubt(self) -> None:
        """Check whether the connection has changed before the client is handed out again."""

    async def close(self) -> None:
        """Close the client; `open` makes a new one."""


class Poller:
    """Looks at all awaited batches of a connection together, while any is awaited."""

    def __init__(self, connection: Connector, pace: PollTiming) -> None:
        self.loop = asyncio.get_running_loop()
        self.pace = pace
        self._connection = connection
        self._started_at = datetime.now(UTC)
        self._started_ticks = self.loop.time()
        self._waits = AwaitedBatches(pace)
        self._line = WaitingLine(pace)
        self._canceling = 0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_look = datetime.min.replace(tzinfo=UTC)
        self._last_calls = 1
        self._not_before = self._last_look
        self._failures = 0
        self._refused_since: datetime | None = None
        self.trouble: Trouble | None = None
        """Why the API cannot be read just now, for the logs of those who wait."""

    async def wait(self, batch: str, ceiling: float) -> Batch:
        """Return the batch once it has ended. Raises BatchGone, AccountStopped, and SettingsError for a bad ceiling."""
        batch_id = BatchId(batch)
        future = self._waits.join(batch_id, longest(ceiling), self.now())
        self._wake()
        try:
            return await future
        finally:
            self._waits.leave(batch_id, future)

    async def room(self, place: QueuePosition, ceiling: float) -> None:
        """Return when there is room in the account's queue for a shard, in the order of the line.

        Raises ApiUnavailable once the queue could not be read for a minute, AccountStopped and SettingsError.
        """
        longest_pause = longest(ceiling)
        future = self._line.join(place, longest_pause)
        self._wake()
        try:
            await future
        finally:
            self._line.leave(place, future)

    async def cancel(self, batch: str) -> None:
        """Ask the API to cancel a batch; retry while it cannot be reached. Raises BatchGone, AccountStopped."""
        self._canceling += 1
        self._wake()
        try:
            await self._cancel(BatchId(batch))
        finally:
            self._canceling -= 1

    async def _cancel(self, batch_id: BatchId) -> None:
        for failure_count in itertools.count(1):
            try:
                client = await self._connection.open()
                await client.cancel(batch_id)
                return
            except ApiUnavailable as error:
                pause_seconds = self.pace.backoff.pause(
                    failure_count, error.retry_after
                )
                await asyncio.sleep(pause_seconds)

    def now(self) -> datetime:
        """Return the time, by a clock that does not jump."""
        elapsed_seconds = self.loop.time() - self._started_ticks
        return self._started_at + timedelta(seconds=elapsed_seconds)

    def _wake(self) -> None:
        self._woken.set()
        if self._task is None or self._task.done():
            # In a context of its own, since its log lines belong to no single task.
            empty_context = contextvars.Context()
            self._task = self.loop.create_task(self._run(), context=empty_context)

    async def _run(self) -> None:
        while self._is_wanted():
            try:
                while await self._sleep_until_due():
                    await self._look()
            except Exception as error:
                self._fail_all(error)
            finally:
                self.trouble = None
                await self._connection.close()

    def _is_wanted(self) -> bool:
        return bool(len(self._waits) or len(self._line) or self._canceling)

    async def _sleep_until_due(self) -> bool:
        """Sleep until the next look is due; False if nobody has waited for a while."""
        while True:
            self._woken.clear()
            next_due = self._next_due()
            if next_due is None:
                pause_seconds = self.pace.linger
            else:
                pause_seconds = (next_due - self.now()).total_seconds()
                if pause_seconds <= 0:
                    return True
            try:
                await asyncio.wait_for(self._woken.wait(), pause_seconds)
            except TimeoutError:
                if not self._is_wanted():
                    return False

    def _next_due(self) -> datetime | None:
        due_times = (self._waits.due, self._line.due)
        next_due = next_look(due_times, self._last_look, self._last_calls, self.pace)
        if next_due is None:
            return None
        return max(next_due, self._not_before)

    async def _look(self) -> None:
        now = self.now()
        queue_is_due = self._line.is_due(now)
        poll_result = await self._poll(now, everything=queue_is_due)
        self._last_look = self.now()
        self._last_calls = poll_result.calls
        await self._waits.absorb(poll_result, self.now)
        if poll_result.whole and queue_is_due:
            listed_batches = poll_result.listed.values()
            self._line.settle(listed_batches, self.now())

    async def _poll(self, now: datetime, *, everything: bool) -> PollResult:
        """Read the batches that are due, as far as the API can be read; note why it cannot."""
        poll_result = PollResult()
        try:
            targets = poll_targets(self._waits.watched, now, everything=everything)
            client = await self._connection.open()
            await poll_once(client, targets, poll_result)
            self._failures = 0
            self._refused_since = None
            self.trouble = None
        except ApiUnavailable as error:
            self._back_off(error, error.retry_after)
        except AccountStopped as error:
            self._refused(error)
        return poll_result

    def _back_off(self, error: Exception, asked: float | None = None) -> None:
        self._failures += 1
        self._note_trouble(error)
        pause_seconds = self.pace.backoff.pause(self._failures, asked)
        log.warning("%s Looking again in %.0f s.", error, pause_seconds)
        self._not_before = self.now() + timedelta(seconds=pause_seconds)

    def _note_trouble(self, error: Exception) -> None:
        """Note since when the API cannot be read; end the waits for room if that is too long ago."""
        since = self.now() if self.trouble is None else self.trouble.since
        self.trouble = Trouble(str(error), since)
        is_unavailable = isinstance(error, ApiUnavailable)
        if is_unavailable and self._has_lasted(since, self.pace.unread):
            self._line.fail(error)

    def _has_lasted(self, since: datetime, seconds: float) -> bool:
        return self.now() - since >= timedelta(seconds=seconds)

    def _refused(self, error: AccountStopped) -> None:
        """Tolerate a refusal for a while: the key may be about to change."""
        self._connection.doubt()
        self._refused_since = self._refused_since or self.now()
        if self._has_lasted(self._refused_since, self.pace.refused):
            self._refused_since = None
            self._fail_all(error)
        self._back_off(error)

    def _fail_all(self, error: Exception) -> None:
        self._waits.fail(error)
        self._line.fail(error)
