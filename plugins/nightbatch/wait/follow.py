"""Following the batches of an attempt until all have ended, with regular progress in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nightbatch.deadlines import seconds_to_wait
from nightbatch.errors import BatchGone
from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.spec.run_ref import RunRef
from nightbatch.wait.poller import Poller
from nightbatch.wait.progress import AwaitedBatch, Progress, cut_short

PROGRESS_SECONDS = 300.0
"""Between two progress lines in the log."""


Waits = Mapping[asyncio.Task[None], AwaitedBatch]
"""For each batch, what is done once it has ended."""


@dataclass
class Follower:
    """Waits for the batches of a run. At the run's deadline it cancels its own batches and leaves those of others."""

    ref: RunRef
    progress: Progress
    poller: Poller
    say: Callable[[str], None]
    ended: dict[BatchId, Batch | None] = field(default_factory=dict)

    async def run(self) -> dict[BatchId, Batch | None]:
        """Return the ended batches, None for one that is gone. Raises AccountStopped, SettingsError."""
        waits = self._start_waits()
        try:
            await self._until(waits, self._deadline())
            await self._end_late(waits)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._say_progress()
        return self.ended

    def _start_waits(self) -> Waits:
        return {
            asyncio.ensure_future(self._wait(batch)): batch
            for batch in self.progress.batches
        }

    async def _end_late(self, waits: Waits) -> None:
        """Cancel the run's own batches that have not ended, and wait for their ends."""
        late_batches = [batch for wait, batch in waits.items() if not wait.done()]
        if not late_batches:
            return
        await self._cut_short(late_batches)
        own_waits = [wait for wait, batch in waits.items() if batch.is_own]
        await self._until(own_waits, None)

    async def _wait(self, batch: AwaitedBatch) -> None:
        poll_seconds = self.ref.rules.poll_seconds
        try:
            self.ended[batch.id] = await self.poller.wait(batch.id, poll_seconds)
        except BatchGone:
            self.ended[batch.id] = None

    async def _until(
        self, waits: Iterable[asyncio.Future[None]], deadline: float | None
    ) -> None:
        """Wait for these until a time of the loop's clock, and log the progress regularly."""
        running = {wait for wait in waits if not wait.done()}
        clock = asyncio.get_running_loop().time
        while running:
            timeout_seconds = PROGRESS_SECONDS
            if deadline is not None:
                timeout_seconds = min(PROGRESS_SECONDS, deadline - clock())
            if timeout_seconds <= 0:
                return
            done, running = await asyncio.wait(
                running, timeout=timeout_seconds, return_when=asyncio.FIRST_EXCEPTION
            )
            for wait in done:
                wait.result()
            if running and (deadline is None or clock() < deadline):
                self._say_progress()

    async def _cut_short(self, late_batches: Iterable[AwaitedBatch]) -> None:
        own_batches = [batch for batch in late_batches if batch.is_own]
        self.say(cut_short(own_batches))
        cancellations = [cancel(self.poller, batch.id) for batch in own_batches]
        await asyncio.gather(*cancellations)

    def _deadline(self) -> float | None:
        """Return the run's deadline by the loop's clock; None if it has none."""
        timeout_seconds = seconds_to_wait(self.ref.deadline, datetime.now(UTC))
        if timeout_seconds is None:
            return None
        return asyncio.get_running_loop().time() + timeout_seconds

    def _say_progress(self) -> None:
        self.say(self.progress.words(self.ended, datetime.now(UTC)))


async def cancel(poller: Poller, batch: BatchId) -> None:
    """Cancel a batch; ignore one that is gone."""
    try:
        await poller.cancel(batch)
    except BatchGone:
        return
