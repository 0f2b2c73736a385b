"""Everything behind the wire, put together: clock, account, worker, files, books. One emulator is one engine."""

from concurrent.futures import Future
from pathlib import Path

from nightbatch.emulator.account import Account, Order
from nightbatch.emulator.answering import Answerer
from nightbatch.emulator.batch import Batch
from nightbatch.emulator.cache import PromptCache
from nightbatch.emulator.calls import Calls
from nightbatch.emulator.clock import Clock
from nightbatch.emulator.intake import check_items, open_items
from nightbatch.emulator.rate import Bucket
from nightbatch.emulator.reply import load_responder
from nightbatch.emulator.settings import Settings
from nightbatch.emulator.store import Store
from nightbatch.emulator.timeline import BatchId
from nightbatch.emulator.work import Job, work
from nightbatch.emulator.worker import Worker


class Engine:
    """One emulated account with all it needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.state)
        self.worker = Worker()
        self._responder = load_responder(settings)
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.clock = Clock(self.settings.clock_offset)
        self.account = Account(self.settings)
        self.calls = Calls()
        self.answerer = Answerer(self._responder, PromptCache())
        self.batches_rate = Bucket(self.settings.limits.requests_per_minute)
        self.tokens_rate = Bucket(self.settings.limits.count_tokens_per_minute)
        self.pending: dict[BatchId, Future[None]] = {}

    def count(self, body: Path) -> int:
        """Return how many requests a body on disk holds; raise the API's 400 for a bad one. Slow: not on the loop."""
        items = open_items(body)
        check_items(items, self.settings.limits)
        return len(items)

    def accept(self, order: Order, body: Path) -> Batch:
        """Create a batch of a body on disk, which becomes the batch's own."""
        batch = self.account.create(order, self.clock.now())
        body.rename(self.store.body(batch.id))
        self.begin(batch)
        return batch

    def begin(self, batch: Batch) -> None:
        """Have a batch's answers worked out."""
        job = Job(batch, self.store.body(batch.id), self.store.lines(batch.id), self.settings.pace, self.settings.seed)
        self.pending[batch.id] = self.worker.add(work(job, self.answerer), due=batch.timeline.ends_at())

    def cancel(self, batch_id: str) -> Batch:
        return self.account.cancel(batch_id, self.clock.now())

    def delete(self, batch_id: str) -> Batch:
        return self.account.delete(batch_id, self.clock.now())

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def undone(self, *, due_by: float) -> list[Future[None]]:
        """Return what is being worked out of batches that should have ended by then."""
        self.pending = {key: done for key, done in self.pending.items() if not done.done() or done.exception()}
        batches = (self.account.find(key) for key in list(self.pending))
        return [self.pending[batch.id] for batch in batches if batch.timeline.ends_at() <= due_by]

    def reset(self) -> None:
        """Forget every batch, book and fault; the clock is set back to where it was at the start."""
        self.store.clear()
        self._start_afresh()

    def close(self) -> None:
        self.worker.stop()
        self.store.close()
