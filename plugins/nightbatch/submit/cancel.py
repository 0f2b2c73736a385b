"""Cancel a run for good: nothing more is bought for it, its batches end, and the answers that they have are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nightbatch.errors import BatchGone, SettingsError
from nightbatch.ids import BatchId, Shard
from nightbatch.ledger import cancellation
from nightbatch.ledger.facts import Canceled
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.ports import CancelingBatches
from nightbatch.submit.decide import Clock, Done, decide
from nightbatch.submit.release import InDoubt, release
from nightbatch.wording import did_you_mean

LAST_RUNS = 5
"""Runs that are named where a run is not known."""


@dataclass(frozen=True)
class Cancellation:
    """The fact that a run is canceled, and what became of each of its shards that were in flight, oldest first."""

    fact: Canceled
    outcomes: dict[Shard, str]


def cancel(
    wanted: Canceled,
    ledger: Ledger,
    api: CancelingBatches,
    now: Clock,
) -> Cancellation:
    """Note that a run is canceled, then cancel its batches and give up its claims that have none.

    Doing it again keeps the first fact, and tries what is still in flight. Raises SettingsError for a run that has
    claimed nothing in this state.
    """
    buyer = wanted.buyer
    newest_first = ledger.view().claimed[::-1]
    if buyer not in _buyers(newest_first, ledger):
        raise _unknown_run(buyer, newest_first, ledger)
    fact = cancellation.write(ledger, wanted)
    outcomes = _end_in_flight(fact, ledger, api, now)
    return Cancellation(fact, outcomes)


def _buyers(shards: Iterable[Shard], ledger: Ledger) -> Iterator[str]:
    """Read which run has claimed each shard."""
    return (ledger.claim(shard).buyer for shard in shards)


def _end_in_flight(
    canceled: Canceled, ledger: Ledger, api: CancelingBatches, now: Clock
) -> dict[Shard, str]:
    """End each shard of the run that is in flight, and describe the outcomes."""
    outcomes: dict[Shard, str] = {}
    for shard in ledger.view().in_flight:
        facts = ledger.shard(shard)
        if facts.claim.buyer == canceled.buyer:
            outcomes[shard] = _end(facts, canceled, api, now)
    return outcomes


def _unknown_run(
    buyer: str, newest_first: Iterable[Shard], ledger: Ledger
) -> SettingsError:
    """Return the error for a run that has no claim: it names the last runs that have, once each."""
    all_buyers = _buyers(newest_first, ledger)
    buyers = list(dict.fromkeys(all_buyers))
    last_buyers = buyers[:LAST_RUNS]
    last_runs = ", ".join(last_buyers) or "none"
    suggestion = did_you_mean(buyer, buyers)
    state_url = ledger.store.url
    return SettingsError(
        f"run: no run {buyer!r} has claimed anything in {state_url}."
        f"{suggestion} The last runs that have: {last_runs}."
    )


def _end(
    facts: ShardFacts,
    canceled: Canceled,
    api: CancelingBatches,
    now: Clock,
) -> str:
    """Cancel the batch of a shard, or give its claim up, and describe the outcome."""
    decision = decide(facts, now())
    if isinstance(decision, Done):
        return _cancel_batch(decision.bought.batch, api)
    try:
        release(facts, now, canceled.words)
    except InDoubt as doubt:
        return f"is not ended yet: {doubt} Cancel the run again once that is known."
    return "had no batch: nothing is bought"


def _cancel_batch(batch_id: BatchId, api: CancelingBatches) -> str:
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
        state = "is being canceled"
    else:
        state = "goes on"
    return f"batch {batch_id} {state}"
