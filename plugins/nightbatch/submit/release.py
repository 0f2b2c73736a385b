"""Release: give a claim up, so that its requests are free to be claimed again.

Whoever releases takes the right to the next POST first, and says at its number that there will be none: a sender that
comes later finds that, so nothing can be bought for a claim that was given up. Its requests land as `missing`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from nightbatch.columnar import parquet
from nightbatch.errors import NightbatchError
from nightbatch.failpoints import reach
from nightbatch.ids import BatchId, Shard
from nightbatch.land.landed_schema import landed_schema
from nightbatch.land.landing import Landing
from nightbatch.land.received import Roll
from nightbatch.ledger import keys
from nightbatch.ledger.facts import METADATA, Claim, LandedFact, Post, Refusal
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import Status
from nightbatch.money.prices import prices
from nightbatch.submit.decide import Done, Released, Search, decide


class InDoubt(NightbatchError):
    """The claim may have bought a batch: it cannot be released before that is known."""


def release(
    shard: Shard, ledger: Ledger, now: Callable[[], datetime], why: str
) -> None:
    """Give up a claim that has no batch and no POST in doubt. Raises InDoubt."""
    sent = ledger.posts(shard)
    match decide(ledger.batch(shard), sent, now()):
        case Released():
            land_as_lost(shard, ledger, why)
            return
        case Done(bought):
            raise InDoubt(
                f"shard {shard} is batch {bought.batch}: cancel that instead; what it answered is kept."
            )
        case Search(sending):
            told = (
                "its sender may still be at work"
                if sending.maybe is None
                else sending.maybe.why
            )
            raise InDoubt(
                f"shard {shard} may have been bought by POST {sending.number}: {told.rstrip('.')}."
            )
    number = sent[-1].number + 1 if sent else 1
    if not ledger.write_post(shard, number, Post(at=now(), token=uuid4().hex)):
        raise InDoubt(f"shard {shard} is being posted just now.")
    reach("right to post taken back")
    give_up(shard, number, ledger, Refusal(at=now(), why=why, released=True))


def give_up(shard: Shard, number: int, ledger: Ledger, refusal: Refusal) -> None:
    """Say at the number of a POST that bought nothing that there will be no other, and land the requests as lost.

    Where another has spoken at that number first, a next POST is possible: then nothing is given up.
    """
    if ledger.write_refusal(shard, number, refusal):
        reach("claim given up")
        land_as_lost(shard, ledger, refusal.why)


def land_as_lost(
    shard: Shard, ledger: Ledger, why: str, batch: BatchId | None = None
) -> LandedFact:
    """Land every request of a shard as `missing`, for this reason; one that has landed is left as it is."""
    if (known := ledger.landed(shard)) is not None:
        return known
    claim, name = ledger.claim(shard), batch or BatchId("")
    roll = Roll(ledger.claimed(shard).column("id"))
    answer = ledger.run(claim.snapshot).answer
    landing = Landing(answer, name, prices(), roll)
    with parquet.Sheet(
        ledger.store, keys.landed(shard), landed_schema(answer)
    ) as sheet:
        sheet.write(landing.missing(why))
        fact = _fact(shard, claim, name, len(roll))
        sheet.close({METADATA: fact.to_json()})
        sheet.commit()
    reach("loss landed")
    return ledger.landed(shard) or fact


def _fact(shard: Shard, claim: Claim, batch: BatchId, count: int) -> LandedFact:
    statuses = {str(Status.MISSING): count}
    return LandedFact(
        shard=shard, batch=batch, claim=claim, statuses=statuses, cost_usd="0"
    )
