"""The state of a claim, in words for a person: what it is, what it waits for, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from nightbatch.errors import ApiError, BatchGone
from nightbatch.ids import Shard
from nightbatch.ledger.facts import Bought, Sending
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ports import Batch, Batches
from nightbatch.submit.decide import (
    Done,
    Released,
    Search,
    Send,
    SubmitTiming,
    Wait,
    decide,
    over,
    sender_state,
)


class Standing(NamedTuple):
    """One line of the ledger's listing."""

    shard: Shard
    requests: int
    buyer: str
    state: str
    waits_for: str
    way_out: str


class ReportedBatch(NamedTuple):
    """A claim's batch as the API reports it; None if it has none, or if `trouble` says why the API was not read."""

    batch: Batch | None
    trouble: str = ""


class _Words(NamedTuple):
    """The words of a line in the ledger's listing."""

    state: str
    waits_for: str
    way_out: str


def standing(
    facts: ShardFacts, api: Batches, now: datetime, timing: SubmitTiming
) -> Standing:
    """Describe the state of a claim that has not landed, as far as the API can be read."""
    decision = decide(facts, now)
    if isinstance(decision, Done):
        bought = decision.bought
        words = _of_batch(facts.shard, bought, _reported(api, bought))
    else:
        words = _unbought(facts.shard, decision, now, timing)
    claim = facts.claim
    return Standing(
        shard=facts.shard,
        requests=claim.total,
        buyer=claim.buyer,
        state=words.state,
        waits_for=words.waits_for,
        way_out=words.way_out,
    )


def _unbought(
    shard: Shard,
    decision: Send | Search | Wait | Released,
    now: datetime,
    timing: SubmitTiming,
) -> _Words:
    match decision:
        case Released(why):
            return _Words(
                state="given up",
                waits_for=f"landing as lost: {why}",
                way_out=f"run the DAG again, or --release {shard}",
            )
        case Wait(until, why):
            return _Words(
                state="refused",
                waits_for=f"{_time(until)}, then it is sent again: {why}",
                way_out=f"--release {shard}",
            )
        case Search(sending):
            return _of_orphan(shard, sending, now, timing)
        case Send():
            return _Words(
                state="claimed",
                waits_for="a run that submits it",
                way_out=f"run the DAG again, or --release {shard}",
            )


def _of_batch(shard: Shard, bought: Bought, reported: ReportedBatch) -> _Words:
    if reported.trouble:
        return _Words(
            state=f"batch {bought.batch}, not seen",
            waits_for=f"an API that can be read: {reported.trouble}",
            way_out=f"--cancel {shard}",
        )
    batch = reported.batch
    if batch is None:
        return _Words(
            state=f"batch {bought.batch}, gone",
            waits_for="a run that lands it as lost",
            way_out="run the DAG again",
        )
    if batch.ended:
        return _Words(
            state=f"batch {batch.id}, ended",
            waits_for="a run that lands it",
            way_out="run the DAG again",
        )
    status = "canceling" if batch.canceling else "in progress"
    latest_end = f" (by {_time(batch.expires_at)})" if batch.expires_at else ""
    return _Words(
        state=f"batch {batch.id}, {status}",
        waits_for=f"its end{latest_end}",
        way_out=f"--cancel {shard}",
    )


def _of_orphan(
    shard: Shard, sending: Sending, now: datetime, timing: SubmitTiming
) -> _Words:
    state_of_sender = sender_state(sending)
    post = f"POST {sending.number} of {_time(sending.post.at)}"
    certain_at = over(sending, timing)
    if certain_at > now:
        return _Words(
            state="orphan",
            waits_for=f"{post}: {state_of_sender}; known by {_time(certain_at)}",
            way_out="wait",
        )
    return _Words(
        state="orphan",
        waits_for=f"a run that looks for what {post} bought: {state_of_sender}",
        way_out="run the DAG again (looks for its batch; sends it again if there is none), "
        f"or --release {shard} (if there is none)",
    )


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def standings(
    ledger: Ledger,
    api: Batches,
    now: datetime,
    timing: SubmitTiming,
    shards: list[Shard] | None = None,
) -> Iterator[Standing]:
    """Describe the state of each claim in flight, or of each of `shards`, as far as the API can be read."""
    if shards is None:
        shards = ledger.view().in_flight
    for shard in shards:
        yield standing(ledger.shard(shard), api, now, timing)


def _reported(api: Batches, bought: Bought) -> ReportedBatch:
    """Read a claim's batch; no batch if it is gone."""
    try:
        return ReportedBatch(api.batch(bought.batch))
    except BatchGone:
        return ReportedBatch(None)
    except ApiError as error:
        return ReportedBatch(None, str(error))
