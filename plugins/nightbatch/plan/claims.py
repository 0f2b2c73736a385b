"""Claims: what an attempt buys is cut into shards, and each of them takes the next number of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple
from uuid import uuid4

from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Claim, PlannedShard
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL
from nightbatch.plan import pending
from nightbatch.plan.attempt import Attempt, Prospect
from nightbatch.plan.difference import Asker
from nightbatch.prepare.staged import RequestSet


class NewClaim(NamedTuple):
    """A claim that is not written yet, and its requests."""

    claim: Claim
    requests: RequestSet


def new_claims(prospect: Prospect, requests: RequestSet) -> Iterator[NewClaim]:
    """Make a claim for each shard into which the requests are cut."""
    for shard_requests in _shards(prospect.attempt, requests):
        claim = _claim(prospect, shard_requests)
        yield NewClaim(claim, shard_requests)


def write(
    ledger: Ledger, first_shard: Shard, claims: Iterable[NewClaim]
) -> list[PlannedShard] | None:
    """Create the claims under the numbers from `first_shard` on; None if another planner took one of them."""
    planned_shards = list[PlannedShard]()
    first_number = int(first_shard)
    for number, (claim, requests) in enumerate(claims, first_number):
        shard = keys.shard(number)
        claim_table = requests.as_claim()
        is_ours = ledger.write_claim(shard, claim, claim_table)
        if not is_ours:
            return None
        reach("claim written")
        planned_shard = PlannedShard(shard, claim.attempt, claim.total)
        planned_shards.append(planned_shard)
    return planned_shards


def joined(asker: Asker, shards: Iterable[Shard]) -> Iterator[PlannedShard]:
    """Name the shards in flight that a run waits for."""
    for shard in shards:
        claim = asker.ledger.claim(shard)
        is_of_another = claim.buyer != asker.ref.buyer
        yield PlannedShard(shard, claim.attempt, claim.total, joined=is_of_another)


def _shards(attempt: Attempt, requests: RequestSet) -> Iterator[RequestSet]:
    """Cut requests into shards, each of which fits a batch and the limit of requests in flight."""
    rules = attempt.asker.ref.rules
    max_batch = rules.max_batch_requests
    max_in_flight = rules.max_in_flight_requests or max_batch
    shard_places = pending.shards(
        requests.sizes,
        max_requests=min(max_batch, max_in_flight),
        max_bytes=rules.max_batch_bytes,
        overhead=attempt.asker.run.frame.item_overhead,
        envelope=len(BODY_HEAD + BODY_TAIL),
    )
    for places in shard_places:
        yield requests[places]


def _claim(prospect: Prospect, requests: RequestSet) -> Claim:
    attempt = prospect.attempt
    ref = attempt.asker.ref
    run = attempt.asker.run
    estimate = prospect.quote.estimate(requests)
    return Claim(
        snapshot=ref.snapshot,
        buyer=ref.buyer,
        scope=ref.scope,
        target=ref.target,
        partition=ref.partition,
        attempt=attempt.number,
        total=len(requests),
        size=requests.body_size(run.frame),
        created_at=attempt.now(),
        token=uuid4().hex,
        estimated_usd=_amount_text(estimate.expected),
        at_most_usd=_amount_text(estimate.at_most),
        how=estimate.how,
        model=run.model,
        question=run.question,
    )


def _amount_text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
