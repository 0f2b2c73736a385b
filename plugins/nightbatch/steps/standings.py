"""The listing of a ledger: where each claim stands that has not landed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nightbatch.core.errors import ApiError, BatchGone
from nightbatch.core.facts import Bought
from nightbatch.core.ids import Shard
from nightbatch.core.ports import Batch, Batches
from nightbatch.core.purchase import Timing
from nightbatch.core.standing import Known, Standing, standing
from nightbatch.steps.ledger import Ledger


def standings(
    ledger: Ledger, api: Batches, now: datetime, timing: Timing, shards: list[Shard] | None = None
) -> Iterator[Standing]:
    """Tell of each claim in flight, or of these, where it stands, as far as the API can be asked."""
    for shard in ledger.view().in_flight if shards is None else shards:
        claim = ledger.claim(shard)
        bought = ledger.batch(shard, claim)
        known = Known(claim, bought, ledger.posts(shard), *_batch(api, bought))
        yield standing(shard, known, now, timing)


def _batch(api: Batches, bought: Bought | None) -> tuple[Batch | None, str]:
    """Return a claim's batch, None where it has none or the API has not; or why it could not be asked."""
    try:
        return api.batch(bought.batch) if bought else None, ""
    except BatchGone:
        return None, ""
    except ApiError as error:
        return None, str(error)
