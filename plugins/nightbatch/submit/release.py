"""Release: give a claim up, so that its requests may be claimed again.

A release first takes the right to the next POST, and records at its number that there will be none. A later sender
reads it, so nothing can be bought for a claim that was given up. Its requests land as `missing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from nightbatch.columnar import parquet
from nightbatch.errors import NightbatchError
from nightbatch.failpoints import reach
from nightbatch.ids import BatchId
from nightbatch.land.landed_schema import landed_schema
from nightbatch.land.landing import Landing
from nightbatch.land.received import Received
from nightbatch.ledger import keys
from nightbatch.ledger.facts import METADATA, LandedFact, Post, Refusal, Sending
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.messages.outcome import Status
from nightbatch.money.prices import prices
from nightbatch.submit.decide import (
    Clock,
    Done,
    Released,
    Search,
    decide,
    sender_state,
)

NO_BATCH = BatchId("")


class InDoubt(NightbatchError):
    """The claim may have bought a batch: it cannot be released before that is known."""


def release(facts: ShardFacts, now: Clock, why: str) -> None:
    """Give up a claim that has no batch and no POST in doubt. Raises InDoubt.

    The facts may be a moment old: a sender that has gone on since has taken the number of the next POST.
    """
    shard = facts.shard
    match decide(facts, now()):
        case Released():
            land_as_lost(facts, why)
            return
        case Done(bought):
            raise InDoubt(
                f"shard {shard} is batch {bought.batch}: cancel that instead; what it answered is kept."
            )
        case Search(sending):
            raise InDoubt(
                f"shard {shard} may have been bought by POST {sending.number}: {sender_state(sending)}."
            )
    next_number = _next_number(facts.sendings)
    if not take_right(facts, next_number, now):
        raise InDoubt(f"shard {shard} is being posted just now.")
    reach("right to post taken back")
    refusal = Refusal(at=now(), why=why, released=True)
    give_up(facts, next_number, refusal)


def _next_number(sent: Sequence[Sending]) -> int:
    if not sent:
        return 1
    return sent[-1].number + 1


def take_right(facts: ShardFacts, number: int, now: Clock) -> bool:
    """Take the right to the POST of this number; False if another process has it."""
    post = Post(at=now(), token=uuid4().hex)
    return facts.ledger.write_post(facts.shard, number, post)


def give_up(facts: ShardFacts, number: int, refusal: Refusal) -> None:
    """Record at the number of a POST that bought nothing that there will be no other, and land the requests as lost.

    If another process has written a refusal at that number first, a next POST is possible: then nothing is given up.
    """
    if facts.ledger.write_refusal(facts.shard, number, refusal):
        reach("claim given up")
        land_as_lost(facts, refusal.why)


def land_as_lost(facts: ShardFacts, why: str) -> LandedFact:
    """Land every request of a shard as `missing`, for this reason; a shard that has landed is left as it is."""
    landed_before = facts.landed
    if landed_before is not None:
        return landed_before
    ledger = facts.ledger
    received = Received(facts.requests().column("id"))
    answer = ledger.run(facts.claim.snapshot).answer
    landing = Landing(answer, NO_BATCH, prices(), received)
    fact = _fact(facts, len(received))
    key = keys.landed(facts.shard)
    with parquet.ParquetUpload(ledger.store, key, landed_schema(answer)) as upload:
        upload.write(landing.missing(why))
        upload.close({METADATA: fact.to_json()})
        is_ours = upload.commit()
    reach("loss landed")
    return fact if is_ours else ledger.landed(facts.shard) or fact


def _fact(facts: ShardFacts, count: int) -> LandedFact:
    status_counts = {str(Status.MISSING): count}
    return LandedFact(
        shard=facts.shard,
        batch=NO_BATCH,
        claim=facts.claim,
        statuses=status_counts,
        cost_usd="0",
    )
