"""The books: what was asked, what was bought, what was bought twice. Tests read them to prove that nothing was."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from nightbatch.emulator.batch import SUCCEEDED, Batch
from nightbatch.emulator.bill import Bill, bill_of_lines
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.engine import Engine
from nightbatch.emulator.lines import custom_id
from nightbatch.emulator.store import Store

MOST_SHOWN = 100


def read_books(engine: Engine) -> dict[str, Any]:
    """Return the books as JSON. `accepted` counts what was sent, `bought` what was answered and therefore billed."""
    now, store = engine.clock.now(), engine.store
    batches = list(engine.account.batches)
    bills = [_bill(store, batch, now) for batch in batches]
    whole = Bill()
    for bill in bills:
        whole.merge(bill)
    return {
        "now": timestamp(now),
        "requests": _requests(batches, now),
        "batches": {"created": len(batches), **Counter(batch.status(now) for batch in batches)},
        "accepted": _contents(store, [(batch, list(range(batch.count))) for batch in batches]),
        "bought": _contents(store, [(batch, _bought(batch, now)) for batch in batches]),
        "calls": engine.calls.table(),
        "queue": {
            "now": engine.account.waiting(now),
            "peak": engine.account.queue_peak,
            "limit": engine.settings.limits.queue,
        },
        "usage": whole.wire(),
        "cost_usd": whole.total(),
        "faults": engine.faults.report(),
        "by_batch": [_line(batch, bill, now) for batch, bill in zip(batches, bills, strict=True)],
    }


def _requests(batches: Iterable[Batch], now: float) -> dict[str, int]:
    total = Counter(dict.fromkeys(("accepted", "processing", "succeeded", "errored", "canceled", "expired"), 0))
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


def _bought(batch: Batch, now: float) -> list[int]:
    """Return the ranks of the requests that were answered, as far as the batch has ended."""
    if batch.answers is None or batch.status(now) != "ended":
        return []
    return [rank for rank in range(batch.timeline.answered(batch.count)) if batch.answers.kinds[rank] == SUCCEEDED]


def _contents(store: Store, ranks: list[tuple[Batch, list[int]]]) -> dict[str, Any]:
    """Count contents: all, distinct, and those that came again within a batch and across batches."""
    everywhere: set[int] = set()
    again: set[int] = set()
    total = in_batches = 0
    for batch, chosen in ranks:
        contents = batch.answers.contents if batch.answers else []
        here: set[int] = set()
        for rank in chosen:
            (again if contents[rank] in here or contents[rank] in everywhere else here).add(contents[rank])
        here |= again.intersection(contents[rank] for rank in chosen) if again else set()
        everywhere |= here
        total += len(chosen)
        in_batches += len(here)
    return {
        "requests": total,
        "distinct": len(everywhere),
        "twice": total - len(everywhere),
        "twice_within_a_batch": total - in_batches,
        "twice_across_batches": in_batches - len(everywhere),
        "duplicates": list(_places(store, ranks, sorted(again)[:MOST_SHOWN])),
    }


def _places(store: Store, ranks: list[tuple[Batch, list[int]]], contents: list[int]) -> Iterator[dict[str, Any]]:
    found: dict[int, list[dict[str, str]]] = {content: [] for content in contents}
    for batch, chosen in ranks if contents else ():
        for rank in chosen:
            if batch.answers is not None and batch.answers.contents[rank] in found:
                place = {"batch_id": batch.id, "custom_id": _custom_id(store, batch, rank)}
                found[batch.answers.contents[rank]].append(place)
    for content, places in found.items():
        yield {"content": f"{content:016x}", "times": len(places), "places": places}


def _custom_id(store: Store, batch: Batch, rank: int) -> str:
    if batch.answers is None:
        return ""
    with store.lines(batch.id).open("rb") as lines:
        lines.seek(batch.answers.ends[rank - 1] if rank else 0)
        return custom_id(lines.readline()).decode()


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
