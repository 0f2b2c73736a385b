"""Cancel: ask the API to end all batches of one run; the answers that they have by then are landed as usual."""

from __future__ import annotations

from collections.abc import Iterator

from nightbatch.errors import BatchGone
from nightbatch.ids import BatchId, Shard
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import CancellingBatches


def cancel(
    buyer: str, ledger: Ledger, api: CancellingBatches
) -> Iterator[tuple[Shard, str]]:
    """Cancel the batches that a run has in flight, oldest first, and report the result for each shard."""
    for shard in ledger.view().in_flight:
        facts = ledger.shard(shard)
        if facts.claim.buyer != buyer:
            continue
        if facts.bought is None:
            yield shard, "has no batch yet: nothing to cancel"
        else:
            yield shard, _cancel_batch(facts.bought.batch, api)


def _cancel_batch(batch_id: BatchId, api: CancellingBatches) -> str:
    """Cancel a batch that has not ended, and describe its state."""
    try:
        batch = api.batch(batch_id)
        if not batch.ended:
            batch = api.cancel(batch_id)
    except BatchGone:
        return f"batch {batch_id} is gone"
    if batch.ended:
        state = "has ended"
    elif batch.canceling:
        state = "is being cancelled"
    else:
        state = "goes on"
    return f"batch {batch_id} {state}"
