"""Where a claim stands, in words for a person: what it is, what it waits for, and the way out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from nightbatch.errors import ApiError, BatchGone
from nightbatch.ids import Shard
from nightbatch.ledger.facts import Bought, Claim, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.ports import Batch, Batches
from nightbatch.submit.decide import (
    Done,
    Released,
    Search,
    Send,
    Timing,
    Wait,
    decide,
    over,
)


class Standing(NamedTuple):
    """One line of the ledger's listing."""

    shard: Shard
    requests: int
    buyer: str
    state: str
    waits_for: str
    way_out: str


class Known(NamedTuple):
    """What is known of a claim: its facts, and its batch as the API tells it, if it knows one and could be asked."""

    claim: Claim
    bought: Bought | None
    sent: Sequence[Sending]
    batch: Batch | None
    trouble: str = ""
    """Why the API could not be asked."""


def standing(shard: Shard, known: Known, now: datetime, timing: Timing) -> Standing:
    """Tell where a claim stands that has not landed."""
    match decide(known.bought, known.sent, now):
        case Done(bought):
            told = _of_batch(bought, known)
        case Released(why):
            told = (
                "given up",
                f"landing as lost: {why}",
                "run the DAG again, or --release",
            )
        case Wait(until, why):
            told = (
                "refused",
                f"{_time(until)}, then it is sent again: {why}",
                "--release",
            )
        case Search(sending):
            told = _of_orphan(sending, now, timing)
        case Send():
            told = (
                "claimed",
                "a run that submits it",
                "run the DAG again, or --release",
            )
    return Standing(shard, known.claim.total, known.claim.buyer, *told)


def _of_batch(bought: Bought, known: Known) -> tuple[str, str, str]:
    if known.trouble:
        return (
            f"batch {bought.batch}, not seen",
            f"an API that can be read: {known.trouble}",
            "--cancel",
        )
    if (batch := known.batch) is None:
        return (
            f"batch {bought.batch}, gone",
            "a run that lands it as lost",
            "run the DAG again",
        )
    if batch.ended:
        return f"batch {batch.id}, ended", "a run that lands it", "run the DAG again"
    until = f" (by {_time(batch.expires_at)})" if batch.expires_at else ""
    state = "canceling" if batch.canceling else "in progress"
    return f"batch {batch.id}, {state}", f"its end{until}", "--cancel"


def _of_orphan(sending: Sending, now: datetime, timing: Timing) -> tuple[str, str, str]:
    end = over(sending, timing)
    how = (
        "its sender may still be at work"
        if sending.maybe is None
        else sending.maybe.why.rstrip(".")
    )
    if end > now:
        return (
            "orphan",
            f"POST {sending.number} of {_time(sending.post.at)}: {how}; known by {_time(end)}",
            "wait",
        )
    out = "run the DAG again (looks for its batch; sends it again if there is none), or --release (if there is none)"
    return (
        "orphan",
        f"a run that looks for what POST {sending.number} of {_time(sending.post.at)} bought: {how}",
        out,
    )


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def standings(
    ledger: Ledger,
    api: Batches,
    now: datetime,
    timing: Timing,
    shards: list[Shard] | None = None,
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
