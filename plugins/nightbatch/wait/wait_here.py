"""Waiting in this process, where there is no triggerer: one look at a time, at all batches of a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from nightbatch.deadlines import time_of
from nightbatch.errors import ApiUnavailable, BatchGone
from nightbatch.ids import BatchId
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.listing import CLOCKS, listed
from nightbatch.ports import Batch, CancelingBatches
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.room.queue import LIFETIME
from nightbatch.wait.pace import PollTiming, interval
from nightbatch.wait.progress import AwaitedBatch, Progress, cut_short
from nightbatch.wait.read_progress import progress

FEW = 3
"""Up to so many batches are read one by one; more are looked for in the listing of the account's batches."""
PROGRESS = timedelta(minutes=5)
"""Between two lines of progress where nothing has changed."""


Show = Callable[[Progress, Mapping[BatchId, Batch | None], datetime], None]
"""Shows how far the batches are: what is waited for, what has ended, and the time."""


@dataclass
class Following:
    """Waits for batches by looking at them now and then. At the run's deadline its own are canceled."""

    ref: RunRef
    api: CancelingBatches
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    timing: PollTiming
    show: Show
    say: Callable[[str], None]
    ended: dict[BatchId, Batch | None] = field(default_factory=dict)
    _failures: int = 0

    def attempt(self, ledger: Ledger, awaited: str) -> None:
        """Wait until all batches of an attempt have ended, or are gone."""
        state = progress(ledger, awaited)
        running = list(state.batches)
        tried_until = self._tried_until(running)
        is_cut_short = False
        reported = -1  # so that the first look is shown
        reported_at = self.now()
        while running:
            pause = self._look(running, tried_until)
            if self.ref.late(self.now()) and not is_cut_short:
                is_cut_short = True
                running = self._cut_short(running)
            running = [batch for batch in running if batch.id not in self.ended]
            is_due = self.now() - reported_at > PROGRESS
            if self._failures == 0 and (is_due or len(self.ended) > reported):
                reported = len(self.ended)
                reported_at = self.now()
                self.show(state, self.ended, reported_at)
            if running:
                self.sleep(pause)

    def pause(self, until: datetime, batches: Collection[BatchId]) -> None:
        """Wait for a time, or until one of these batches has ended."""
        while True:
            time_left = until - self.now()
            seconds_left = time_left.total_seconds()
            if seconds_left <= 0:
                return
            if any(self._has_ended(batch) for batch in batches):
                return
            poll_seconds = self.ref.rules.poll_seconds
            pause = min(seconds_left, poll_seconds)
            self.sleep(pause)

    def _look(self, running: Collection[AwaitedBatch], tried_until: datetime) -> float:
        """Look at batches once; note which have ended, and return the seconds until the next look.

        Raises ApiUnavailable if they cannot be read and have ended by `tried_until` at the latest.
        """
        try:
            states = self._states(running)
        except ApiUnavailable as error:
            has_tried_enough = self.now() > tried_until
            if has_tried_enough:
                raise
            return self._unread(error, tried_until)
        self._failures = 0
        pauses = [self.ref.rules.poll_seconds]
        for batch_id, batch in states.items():
            if batch is None or batch.ended:
                self.ended[batch_id] = batch
            else:
                pause = self._pause_before_look(batch)
                pauses.append(pause)
        return min(pauses)

    def _tried_until(self, running: Collection[AwaitedBatch]) -> datetime:
        """Return until when batches that cannot be read are tried: when they have ended, but for minutes at least."""
        patience = timedelta(minutes=self.ref.rules.give_up_minutes)
        batch_ends = [batch.created_at + LIFETIME for batch in running]
        return max([self.now() + patience, *batch_ends])

    def _pause_before_look(self, batch: Batch) -> float:
        ceiling = self.ref.rules.poll_seconds
        return interval(batch, self.now(), self.timing, hint=None, ceiling=ceiling)

    def _unread(self, error: ApiUnavailable, tried_until: datetime) -> float:
        """Say that the batches cannot be read; return the seconds until the next try."""
        self._failures += 1
        self._say_unread(error, tried_until)
        return self.timing.backoff.pause(self._failures, error.retry_after)

    def _say_unread(self, error: ApiUnavailable, tried_until: datetime) -> None:
        """Say that the batches cannot be read, and until when it is tried: at the deadline they are canceled."""
        deadline = time_of(self.ref.deadline)
        if deadline is not None and deadline > self.now():
            tried_until = min(tried_until, deadline)
        self.say(f"{error} It is tried until {tried_until:%Y-%m-%d %H:%M} UTC.")

    def _states(self, running: Collection[AwaitedBatch]) -> dict[BatchId, Batch | None]:
        """Read the state of each batch; None for one that the API no longer knows."""
        states: dict[BatchId, Batch | None] = {}
        listed_batches: dict[BatchId, Batch] = {}
        if len(running) > FEW:
            listed_batches = self._listed(running)
        for batch in running:
            if batch.id in listed_batches:
                states[batch.id] = listed_batches[batch.id]
            else:
                states[batch.id] = self._read(batch.id)
        return states

    def _listed(self, running: Collection[AwaitedBatch]) -> dict[BatchId, Batch]:
        """Read the account's batches since the oldest of these."""
        oldest = min(batch.created_at for batch in running)
        batches = listed(self.api, oldest - CLOCKS)
        return {batch.id: batch for batch in batches}

    def _read(self, batch: BatchId) -> Batch | None:
        try:
            return self.api.batch(batch)
        except BatchGone:
            return None

    def _has_ended(self, batch: BatchId) -> bool:
        try:
            state = self._read(batch)
        except ApiUnavailable:
            return False
        return state is None or state.ended

    def _cut_short(self, running: Collection[AwaitedBatch]) -> list[AwaitedBatch]:
        """Cancel the run's own batches at its deadline; return them: those of other runs are waited for no longer."""
        own = [
            batch for batch in running if batch.is_own and batch.id not in self.ended
        ]
        self.say(cut_short(own))
        for batch in own:
            try:
                self.api.cancel(batch.id)
            except BatchGone:
                self.ended[batch.id] = None
        return own
