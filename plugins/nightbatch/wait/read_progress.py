"""What the wait of a run reads from the ledger: its batches, and how long those of the target took before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from nightbatch.ids import Shard
from nightbatch.ledger.ledger import Ledger
from nightbatch.wait.progress import AwaitedBatch, Progress

READERS = 8
"""Facts that are read at the same time: each is one small object."""
HISTORY = 10
"""The latest landed shards whose durations are read."""


def progress(ledger: Ledger, name: str) -> Progress:
    """Read the batches of an attempt that have not landed, and the durations of batches before them."""
    awaited = ledger.awaited(name)
    view = ledger.view()
    landed_shards = set(view.landed)
    own_shards = set(awaited.own)
    running_shards = [shard for shard in awaited.shards if shard not in landed_shards]
    latest_landed = view.landed[-HISTORY:]

    def read_batch(shard: Shard) -> AwaitedBatch | None:
        return _batch(ledger, shard, is_own=shard in own_shards)

    def read_duration(shard: Shard) -> timedelta | None:
        return _duration(ledger, shard)

    with ThreadPoolExecutor(READERS) as pool:
        batches = list(pool.map(read_batch, running_shards))
        durations = list(pool.map(read_duration, latest_landed))
    durations.reverse()
    return Progress(
        batches=[batch for batch in batches if batch is not None],
        usual=[duration for duration in durations if duration is not None],
    )


def _batch(ledger: Ledger, shard: Shard, *, is_own: bool) -> AwaitedBatch | None:
    """Read the batch of a shard; None if it has none."""
    bought = ledger.batch(shard)
    if bought is None or not bought.batch:
        return None
    return AwaitedBatch(bought.batch, bought.created_at, bought.total, is_own)


def _duration(ledger: Ledger, shard: Shard) -> timedelta | None:
    """Return how long the batch of a landed shard took; None if that is not known."""
    fact = ledger.landed(shard)
    if fact is None or fact.created_at is None or fact.ended_at is None:
        return None
    return fact.ended_at - fact.created_at
