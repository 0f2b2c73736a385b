"""The books: what was asked, what was bought, what was bought twice. Tests read them to prove that nothing was."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from nightbatch.emulator.answers.bill import Bill, bill_of_lines
from nightbatch.emulator.batches.batch import Batch
from nightbatch.emulator.batches.engine import Engine
from nightbatch.emulator.batches.store import Store
from nightbatch.emulator.books.duplicates import accepted, bought, count_contents
from nightbatch.emulator.clock import timestamp


def read_books(engine: Engine, *, waiting: int) -> dict[str, Any]:
    """Return the books as JSON. `accepted` counts what was sent, `bought` what was answered and therefore billed.

    Slow, so not on the loop; `waiting`, the queue's length, was looked up there.
    """
    now, store = engine.clock.now(), engine.store
    batches = list(engine.account.batches)
    bills = [_bill(store, batch, now) for batch in batches]
    whole = Bill()
    for bill in bills:
        whole.merge(bill)
    return {
        "now": timestamp(now),
        "requests": _requests(batches, now),
        "batches": {
            "created": len(batches),
            **Counter(batch.status(now) for batch in batches),
        },
        "accepted": count_contents(store, batches, accepted),
        "bought": count_contents(
            store, [batch for batch in batches if batch.status(now) == "ended"], bought
        ),
        "calls": engine.calls.table(),
        "queue": {
            "now": waiting,
            "peak": engine.account.queue_peak,
            "limit": engine.settings.limits.queue,
        },
        "usage": whole.wire(),
        "cost_usd": whole.total(),
        "faults": engine.faults.report(),
        "by_batch": [
            _line(batch, bill, now) for batch, bill in zip(batches, bills, strict=True)
        ],
    }


def _requests(batches: Iterable[Batch], now: float) -> dict[str, int]:
    total = Counter(
        dict.fromkeys(
            ("accepted", "processing", "succeeded", "errored", "canceled", "expired"), 0
        )
    )
    for batch in batches:
        total.update(batch.counts(now))
        total["accepted"] += batch.count
    return dict(total)


def _bill(store: Store, batch: Batch, now: float) -> Bill:
    """Return what a batch has cost: nothing before its end, and only what was answered by then."""
    if batch.answers is None or batch.status(now) != "ended":
        return Bill()
    answered = batch.timeline.answered(batch.count)
    if answered == batch.count:
        return batch.answers.bill
    with store.lines(batch.id).open("rb") as lines:
        return bill_of_lines(islice(lines, answered))


def _line(batch: Batch, bill: Bill, now: float) -> dict[str, Any]:
    return {
        "id": batch.id,
        "requests": batch.count,
        "bytes": batch.size,
        "status": "deleted" if batch.deleted else batch.status(now),
        "counts": batch.counts(now),
        "usage": bill.wire(),
        "cost_usd": bill.total(),
    }
