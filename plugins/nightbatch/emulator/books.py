"""The books: what was asked, what was bought, what was bought twice. Tests read them to prove that nothing was."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from nightbatch.emulator.batch import SUCCEEDED, Batch
from nightbatch.emulator.clock import timestamp
from nightbatch.emulator.engine import Engine
from nightbatch.emulator.lines import custom_id
from nightbatch.emulator.models import MODELS
from nightbatch.emulator.store import Store
from nightbatch.emulator.usage import Usage

MOST_SHOWN = 100


def read_books(engine: Engine) -> dict[str, Any]:
    """Return the books as JSON. `accepted` counts what was sent, `bought` what was answered and therefore billed."""
    now = engine.clock.now()
    batches = engine.account.batches
    usage = _usage(batches, now)
    return {
        "now": timestamp(now),
        "requests": _requests(batches, now),
        "batches": {"created": len(batches), **Counter(batch.status(now) for batch in batches)},
        "accepted": _contents(engine.store, [(batch, list(range(batch.count))) for batch in batches]),
        "bought": _contents(engine.store, [(batch, _bought(batch, now)) for batch in batches]),
        "calls": engine.calls.table(),
        "queue": {
            "now": engine.account.waiting(now),
            "peak": engine.account.queue_peak,
            "limit": engine.settings.limits.queue,
        },
        "usage": {model: _figures(model, total) for model, total in usage.items()},
        "cost_usd": round(sum(batch.answers.cost for batch in batches if batch.answers), 9),
        "faults": engine.faults.report(),
        "by_batch": [_batch(batch, now) for batch in batches],
    }


def _requests(batches: Iterable[Batch], now: float) -> dict[str, int]:
    total: Counter[str] = Counter()
    for batch in batches:
        total.update(batch.counts(now))
        total["accepted"] += batch.count
    return dict(total)


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


def _usage(batches: Iterable[Batch], now: float) -> dict[str, Usage]:
    total: dict[str, Usage] = {}
    for batch in batches:
        if batch.answers is not None and batch.status(now) == "ended":
            for model, usage in batch.answers.usage.items():
                total.setdefault(model, Usage()).add(usage)
    return total


def _figures(model: str, usage: Usage) -> dict[str, Any]:
    names = ("input", "written_5m", "written_1h", "read", "output")
    return {f"{name}_tokens": getattr(usage, name) for name in names} | {"known": model in MODELS}


def _batch(batch: Batch, now: float) -> dict[str, Any]:
    return {
        "id": batch.id,
        "requests": batch.count,
        "bytes": batch.size,
        "status": "deleted" if batch.deleted else batch.status(now),
        "counts": batch.counts(now),
        "cost_usd": round(batch.answers.cost, 9) if batch.answers else 0.0,
    }
