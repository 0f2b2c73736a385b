"""Everything behind the wire, put together: clock, account, worker, files, books. One emulator is one engine."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


class Engine:
    """One emulated account with all it needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.state)
        self.worker = Worker()
        self._responder = load_responder(settings)
        self._start_afresh()
        for event in self.store.events():
            self._recall(event)
        for batch in self.account.batches:
            self._resume(batch)

    def _start_afresh(self) -> None:
        self.clock = Clock(self.settings.clock_offset)
        self.account = Account(self.settings)
        self.calls = Calls()
        self.faults = Faults()
        self.faults.add(self.settings.faults)
        self.answerer = Answerer(self._responder, PromptCache())
        self.batches_rate = Bucket(self.settings.limits.requests_per_minute)
        self.tokens_rate = Bucket(self.settings.limits.count_tokens_per_minute)
        self.pending: dict[BatchId, Future[None]] = {}

    def count(self, body: Path) -> int:
        """Return how many requests a body on disk holds; raise the API's 400 for a bad one. Slow: not on the loop."""
        items = open_items(body)
        check_items(items, self.settings.limits)
        return len(items)

    def accept(self, count: int, body: Path, betas: frozenset[str]) -> Batch:
        """Create a batch of a body on disk, which becomes the batch's own."""
        pace = self.settings.pace
        order = order_of(
            Order(count, body.stat().st_size, pace.duration(count), betas),
            self.faults,
            pace,
        )
        batch = self.account.create(order, self.clock.now())
        body.rename(self.store.body(batch.id))
        self.store.note({"batch": batch_fact(batch), "peak": self.account.queue_peak})
        self.begin(batch)
        return batch

    def begin(self, batch: Batch) -> None:
        """Have a batch's answers worked out."""
        store, settings = self.store, self.settings
        paths = store.body(batch.id), store.lines(batch.id), store.index(batch.id)
        job = Job(batch, *paths, settings.pace, settings.seed)
        self.pending[batch.id] = self.worker.add(
            work(job, self.answerer), due=batch.timeline.ends_at()
        )

    def cancel(self, batch_id: str) -> Batch:
        """Begin to cancel a batch."""
        batch = self.account.cancel(batch_id, self.clock.now())
        if batch.number:
            self.store.note(
                {
                    "cancel": batch.id,
                    "at": batch.timeline.cancel_at,
                    "takes": batch.timeline.cancel_takes,
                }
            )
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
        self.account.look_again()
        self.store.note({"offset": self.clock.offset})

    def undone(self, *, due_by: float) -> list[Future[None]]:
        """Return what is being worked out of batches that should have ended by then."""
        self.pending = {
            key: done
            for key, done in self.pending.items()
            if not done.done() or done.exception()
        }
        batches = (self.account.find(key) for key in list(self.pending))
        return [
            self.pending[batch.id]
            for batch in batches
            if batch.timeline.ends_at() <= due_by
        ]

    def _recall(self, event: dict[str, Any]) -> None:
        """Take over a fact of an earlier life."""
        match event:
            case {"batch": fact, "peak": peak}:
                self.account.add(batch_of(fact))
                self.account.queue_peak = peak
            case {"cancel": batch_id, "at": at, "takes": takes}:
                times = self.account.find(batch_id).timeline
                times.cancel_at, times.cancel_takes = at, takes
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
        self._start_afresh()

    def close(self) -> None:
        self.worker.stop()
        self.store.close()


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
