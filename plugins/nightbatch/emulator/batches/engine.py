"""Everything behind the HTTP server: clock, account, worker, files, faults. One emulator is one engine."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from nightbatch.emulator.answers.answering import Answerer
from nightbatch.emulator.answers.cache import PromptCache
from nightbatch.emulator.batches.account import Account, Order
from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.batch_faults import order_of
from nightbatch.emulator.batches.intake import check_items, open_items
from nightbatch.emulator.batches.journal import batch_fact, batch_of, read_index
from nightbatch.emulator.batches.limits import Bucket
from nightbatch.emulator.batches.store import Store
from nightbatch.emulator.batches.timeline import BatchId
from nightbatch.emulator.batches.work import Job, work
from nightbatch.emulator.batches.worker import Worker
from nightbatch.emulator.clock import Clock
from nightbatch.emulator.faults.rules import Faults
from nightbatch.emulator.reply import load_responder
from nightbatch.emulator.settings import Settings
from nightbatch.emulator.wire import Betas, Json


class Engine:
    """One emulated account: its state, and every operation that changes it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.state)
        self.worker = Worker()
        self._responder = load_responder(settings)
        self._start_empty()
        self._restore()

    def _restore(self) -> None:
        """Apply what earlier processes wrote, and go on with their batches."""
        for event in self.store.events():
            self._apply(event)
        for batch in self.account.batches:
            self._resume(batch)

    def _start_empty(self) -> None:
        self.clock = Clock(self.settings.clock_offset)
        self.account = Account(self.settings)
        self.calls = Calls()
        self.faults = Faults()
        self.faults.add(self.settings.faults)
        self.answerer = Answerer(self._responder, PromptCache())
        limits = self.settings.limits
        self.batches_rate = Bucket(limits.requests_per_minute)
        self.tokens_rate = Bucket(limits.count_tokens_per_minute)
        self.pending: dict[BatchId, Future[None]] = {}

    def count(self, body: Path) -> int:
        """Return how many requests a body on disk holds; raise the API's 400 for a bad one. Slow: not on the loop."""
        items = open_items(body)
        check_items(items, self.settings.limits)
        return len(items)

    def accept(self, count: int, body: Path, betas: Betas) -> Batch:
        """Create a batch of a body on disk, which becomes the batch's own."""
        pace = self.settings.pace
        body_bytes = body.stat().st_size
        duration = pace.duration(count)
        plain_order = Order(count, body_bytes, duration, betas)
        order = order_of(plain_order, self.faults, pace)
        now = self.clock.now()
        batch = self.account.create(order, now)
        batch_body = self.store.body(batch.id)
        body.rename(batch_body)
        batch_event = {"batch": batch_fact(batch), "peak": self.account.queue_peak}
        self.store.note(batch_event)
        self.begin(batch)
        return batch

    def begin(self, batch: Batch) -> None:
        """Queue the work on a batch's answers."""
        store = self.store
        settings = self.settings
        job = Job(
            batch=batch,
            body=store.body(batch.id),
            lines=store.lines(batch.id),
            index=store.index(batch.id),
            pace=settings.pace,
            seed=settings.seed,
        )
        steps = work(job, self.answerer)
        due = batch.timeline.ends_at()
        self.pending[batch.id] = self.worker.add(steps, due=due)

    def cancel(self, batch_id: str) -> Batch:
        """Begin to cancel a batch."""
        batch = self.account.cancel(batch_id, self.clock.now())
        if batch.number:
            times = batch.timeline
            cancel_fact = {
                "cancel": batch.id,
                "at": times.cancel_at,
                "takes": times.cancel_takes,
            }
            self.store.note(cancel_fact)
        return batch

    def delete(self, batch_id: str) -> Batch:
        """Delete an ended batch."""
        batch = self.account.delete(batch_id, self.clock.now())
        if batch.number:
            self.store.note({"delete": batch.id})
        return batch

    def called(self, endpoint: str, outcome: str) -> None:
        """Count a call."""
        self.calls.add(endpoint, outcome)
        self.store.note({"call": [endpoint, outcome]})

    def advance(self, seconds: float) -> None:
        """Turn the clock."""
        self.clock.advance(seconds)
        self.account.recheck_all()
        self.store.note({"offset": self.clock.offset})

    def unfinished(self, *, due_by: float) -> list[Future[None]]:
        """Return the unfinished work of batches that should have ended by then."""
        self.pending = {
            batch_id: future
            for batch_id, future in self.pending.items()
            if _is_unfinished(future)
        }
        due_futures = []
        for batch_id, future in self.pending.items():
            batch = self.account.find(batch_id)
            if batch.timeline.ends_at() <= due_by:
                due_futures.append(future)
        return due_futures

    def _apply(self, event: Json) -> None:
        """Apply a fact that an earlier process wrote."""
        match event:
            case {"batch": fact, "peak": peak}:
                self.account.add(batch_of(fact))
                self.account.queue_peak = peak
            case {"cancel": batch_id, "at": at, "takes": takes}:
                times = self.account.find(batch_id).timeline
                times.cancel_at = at
                times.cancel_takes = takes
            case {"delete": batch_id}:
                self.account.find(batch_id).deleted = True
            case {"call": [endpoint, outcome]}:
                self.calls.add(endpoint, outcome)
            case {"offset": offset}:
                self.clock.offset = offset

    def _resume(self, batch: Batch) -> None:
        """Read a batch's answers, or work them out again."""
        index = self.store.index(batch.id)
        batch.answers = read_index(index) if index is not None else None
        if batch.answers is None:
            self.begin(batch)

    def reset(self) -> None:
        """Forget every batch, book and fault; the clock is set back to where it was at the start."""
        self.store.clear()
        self._start_empty()

    def close(self) -> None:
        self.worker.stop()
        self.store.close()


def _is_unfinished(work: Future[None]) -> bool:
    """Tell whether work runs, or has failed."""
    return not work.done() or work.exception() is not None


@dataclass
class Calls:
    """Counts of calls by endpoint and outcome."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, endpoint: str, outcome: str) -> None:
        self.counts[endpoint, outcome] += 1

    def table(self) -> dict[str, dict[str, int]]:
        """Return `{"create": {"200": 3, "429": 1}, …}`."""
        table: dict[str, dict[str, int]] = {}
        for (endpoint, outcome), count in sorted(self.counts.items()):
            table.setdefault(endpoint, {})[outcome] = count
        return table
