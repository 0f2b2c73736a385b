"""Cancel: ask the API to end all batches of one run; what they have answered by then is landed as ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from nightbatch.errors import BatchGone
from nightbatch.ids import Shard
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Batches, Cancels


class Account(Batches, Cancels, Protocol):
    """Read and cancel batches."""


def cancel(buyer: str, ledger: Ledger, api: Account) -> Iterator[tuple[Shard, str]]:
    """Cancel what a run has in flight, oldest first, and say of each shard what became of it."""
    for shard in ledger.view().in_flight:
        claim = ledger.claim(shard)
        if claim.buyer != buyer:
            continue
        bought = ledger.batch(shard, claim)
        if bought is None:
            yield shard, "has no batch yet: nothing to cancel"
            continue
        try:
            batch = api.batch(bought.batch)
            if not batch.ended:
                batch = api.cancel(bought.batch)
        except BatchGone:
            yield shard, f"batch {bought.batch} is gone"
            continue
        state = (
            "has ended"
            if batch.ended
            else "is being cancelled"
            if batch.canceling
            else "goes on"
        )
        yield shard, f"batch {bought.batch} {state}"
