"""What the wait of a run reads from the ledger: its batches, and how long those of the target took before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from nightbatch.ids import Shard
from nightbatch.ledger.ledger import Ledger
from nightbatch.wait.progress import AwaitedBatch, Progress

READERS = 8
"""Facts that are read at a time: each is one small object."""
HISTORY = 10
"""The latest landed shards whose durations are read."""


def progress(ledger: Ledger, name: str) -> Progress:
    """Read the batches of an attempt that have not landed, and the durations of batches before them."""
    awaited = ledger.awaited(name)
    view = ledger.view()
    landed = set(view.landed)
    own = set(awaited.own)
    running = [shard for shard in awaited.shards if shard not in landed]

    def batch(shard: Shard) -> AwaitedBatch | None:
        bought = ledger.batch(shard)
        if bought is None or not bought.batch:
            return None
        return AwaitedBatch(
            bought.batch, bought.created_at, bought.total, is_own=shard in own
        )

    with ThreadPoolExecutor(READERS) as pool:
        batches = [found for found in pool.map(batch, running) if found is not None]
        durations = list(
            pool.map(lambda shard: _duration(ledger, shard), view.landed[-HISTORY:])
        )
    return Progress(
        batches, [duration for duration in reversed(durations) if duration is not None]
    )


def _duration(ledger: Ledger, shard: Shard) -> timedelta | None:
    """Return how long the batch of a landed shard took; None where that was not noted."""
    fact = ledger.landed(shard)
    if fact is None or fact.created_at is None or fact.ended_at is None:
        return None
    return fact.ended_at - fact.created_at
