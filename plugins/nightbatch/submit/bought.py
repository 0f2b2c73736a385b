"""Recording a purchase: the batch belongs to the claim, the claim has it, and a second batch becomes a second claim."""

from __future__ import annotations

from nightbatch.errors import StoreError
from nightbatch.failpoints import reach
from nightbatch.ledger.facts import Bought
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ports import Batch
from nightbatch.submit.outcome import Submitted


def record_bought(facts: ShardFacts, batch: Batch, how: str = "created") -> Submitted:
    """Create the facts of a purchase; if the claim has got another batch meanwhile, keep both."""
    ledger = facts.ledger
    shard = facts.shard
    bought = Bought(
        batch=batch.id,
        created_at=batch.created_at,
        total=facts.claim.total,
        how=how,
    )
    try:
        ledger.write_owner(batch.id, shard)
        reach("owner written")
        recorded = ledger.write_batch(shard, bought)
    except StoreError as error:
        raise StoreError(
            f"batch {batch.id} was bought for shard {shard}, but not noted: {error}"
        ) from None
    reach("batch written")
    if recorded.batch == batch.id:
        return Submitted(batch.id)
    second_claim = ledger.write_second(facts.claim, facts.requests(), batch.id)
    warning = (
        f"shard {shard} was bought twice, as {recorded.batch} and {batch.id}; "
        f"the second became claim {second_claim}."
    )
    return Submitted(recorded.batch, warning=warning)
