"""Following the batches of an attempt until all have ended, and saying now and then how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nightbatch.errors import BatchGone
from nightbatch.ids import BatchId
from nightbatch.ports import Batch
from nightbatch.spec.run_ref import RunRef
from nightbatch.wait.poller import Poller
from nightbatch.wait.progress import AwaitedBatch, Progress

PROGRESS_SECONDS = 300.0
"""Between two lines of the log."""
LAST_LOOK_SECONDS = 10.0
"""For a wait that begins after the deadline: it looks once at its batches before it cancels them."""


@dataclass
class Follow:
    """Waits for the batches of a run. At the run's deadline its own are cancelled, and those of others left alone."""

    ref: RunRef
    progress: Progress
    poller: Poller
    say: Callable[[str], None]
    ended: dict[BatchId, Batch | None] = field(default_factory=dict)

    async def run(self) -> dict[BatchId, Batch | None]:
        """Return what the batches came to, None for one that is gone. Raises AccountStopped, SettingsError."""
        waits = {
            asyncio.ensure_future(self._wait(batch)): batch
            for batch in self.progress.batches
        }
        try:
            await self._until(waits, self._deadline())
            late = [batch for wait, batch in waits.items() if not wait.done()]
            if late:
                await self._cut_short(late)
                await self._until(
                    [wait for wait, batch in waits.items() if batch.is_own], None
                )
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._say_progress()
        return self.ended

    async def _wait(self, batch: AwaitedBatch) -> None:
        try:
            self.ended[batch.id] = await self.poller.wait(
                batch.id, self.ref.poll_seconds
            )
        except BatchGone:
            self.ended[batch.id] = None

    async def _until(
        self, waits: Iterable[asyncio.Future[None]], deadline: float | None
    ) -> None:
        """Wait for these until a time of the loop's clock, with a line of progress now and then."""
        running = {wait for wait in waits if not wait.done()}
        clock = asyncio.get_running_loop().time
        while running:
            left = (
                PROGRESS_SECONDS
                if deadline is None
                else min(PROGRESS_SECONDS, deadline - clock())
            )
            if left <= 0:
                return
            done, running = await asyncio.wait(
                running, timeout=left, return_when=asyncio.FIRST_EXCEPTION
            )
            for wait in done:
                wait.result()
            if running and (deadline is None or clock() < deadline):
                self._say_progress()

    async def _cut_short(self, late: Iterable[AwaitedBatch]) -> None:
        own = [batch for batch in late if batch.is_own]
        self.say(
            f"The deadline has passed: {len(own):,} batches are cancelled; those of other runs are left alone."
        )
        await asyncio.gather(*(cancel(self.poller, batch.id) for batch in own))

    def _deadline(self) -> float | None:
        """Return the run's deadline by the loop's clock; None where it has none."""
        if not self.ref.deadline:
            return None
        left = (
            datetime.fromisoformat(self.ref.deadline) - datetime.now(UTC)
        ).total_seconds()
        return asyncio.get_running_loop().time() + (
            left if left > 0 else LAST_LOOK_SECONDS
        )

    def _say_progress(self) -> None:
        self.say(self.progress.words(self.ended, datetime.now(UTC)))


async def cancel(poller: Poller, batch: BatchId) -> None:
    """Cancel a batch; one that is gone needs none."""
    try:
        await poller.cancel(batch)
    except BatchGone:
        return
