"""The books: requests sent, bought, and bought twice. Tests read them to prove that nothing was bought twice."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from nightbatch.emulator.answers.bill import Bill, bill_of_lines
from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.batches.store import Store
from nightbatch.emulator.books.duplicates import accepted, bought, count_contents
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.wire import Json

_REQUEST_STATES = (
    "accepted",
    "processing",
    "succeeded",
    "errored",
    "canceled",
    "expired",
)


def read_books(engine: Engine, *, waiting: int) -> Json:
    """Return the books as JSON. `accepted` counts what was sent, `bought` what was answered and therefore billed.

    Slow: call it outside the event loop. `waiting` is the queue's length, read on the loop.
    """
    now = engine.clock.now()
    store = engine.store
    batches = list(engine.account.batches)
    ended_batches = [batch for batch in batches if batch.status(now) == "ended"]
    total_bill = Bill()
    batch_lines = []
    for batch in batches:
        batch_bill = _bill(store, batch, now)
        total_bill.merge(batch_bill)
        batch_line = _line(batch, batch_bill, now)
        batch_lines.append(batch_line)
    return {
        "now": timestamp(now),
        "requests": _requests(batches, now),
        "batches": _batch_counts(batches, now),
        "accepted": count_contents(store, batches, accepted),
        "bought": count_contents(store, ended_batches, bought),
        "calls": engine.calls.table(),
        "queue": _queue(engine, waiting),
        "usage": total_bill.wire(),
        "cost_usd": total_bill.total(),
        "faults": engine.faults.report(),
        "by_batch": batch_lines,
    }


def _requests(batches: Iterable[Batch], now: float) -> dict[str, int]:
    request_counts = dict.fromkeys(_REQUEST_STATES, 0)
    for batch in batches:
        request_counts["accepted"] += batch.count
        for state, count in batch.counts(now).items():
            request_counts[state] += count
    return request_counts


def _batch_counts(batches: Sequence[Batch], now: float) -> dict[str, int]:
    status_counts: Counter[str] = Counter(batch.status(now) for batch in batches)
    return {"created": len(batches), **status_counts}


def _queue(engine: Engine, waiting: int) -> dict[str, int]:
    return {
        "now": waiting,
        "peak": engine.account.queue_peak,
        "limit": engine.settings.limits.queue,
    }


def _bill(store: Store, batch: Batch, now: float) -> Bill:
    """Return what a batch has cost: nothing before its end, and only what was answered by then."""
    if batch.answers is None or batch.status(now) != "ended":
        return Bill()
    answered_count = batch.timeline.answered(batch.count)
    if answered_count == batch.count:
        return batch.answers.bill
    line_file = store.lines(batch.id)
    with line_file.open("rb") as lines:
        answered_lines = islice(lines, answered_count)
        return bill_of_lines(answered_lines)


def _line(batch: Batch, bill: Bill, now: float) -> Json:
    return {
        "id": batch.id,
        "requests": batch.count,
        "bytes": batch.size,
        "status": "deleted" if batch.deleted else batch.status(now),
        "counts": batch.counts(now),
        "usage": bill.wire(),
        "cost_usd": bill.total(),
    }
