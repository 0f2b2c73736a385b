"""Plan: claim shards of what is pending; wait for what other runs have in flight instead of buying it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

import numpy as np

from nightbatch.columnar.id_lookup import IdRange, Ids
from nightbatch.errors import CapExceeded
from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.ledger import keys, lease
from nightbatch.ledger.facts import Claim, PlannedShard
from nightbatch.ledger.history.history import History, history
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.view import LedgerView
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL
from nightbatch.money import caps, cost_table
from nightbatch.money.cost_table import Row
from nightbatch.money.estimate import Estimate
from nightbatch.money.prices import prices
from nightbatch.money.warnings import reuse_off_note, warnings_before
from nightbatch.plan import canary, pending
from nightbatch.plan.canary import FirstBatch, first_batch, first_batches_in_flight
from nightbatch.plan.quote import Quote, TokenCounter, quote_for
from nightbatch.prepare.staged import RequestSet, StagedRequests
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef
from nightbatch.wording import counted

PATIENCE = 10.0
"""Seconds for which a planner waits for another before it releases its worker."""


@dataclass(frozen=True)
class Plan:
    """The shards of one attempt, what the new ones will cost, and notes for a reader of the log."""

    shards: list[PlannedShard]
    asked: int
    pending: int
    estimate: Estimate
    notes: tuple[str, ...] = ()

    def words(self, attempt: int) -> str:
        """Say in one line what an attempt buys and joins."""
        joined_count = sum(shard.joined for shard in self.shards)
        own_count = len(self.shards) - joined_count
        requests = counted(self.asked, "request")
        if not self.shards and not self.pending:
            return f"Attempt {attempt}: {requests} asked, 0 to buy: all have a result."
        own_batches = f"{counted(own_count, 'batch', 'batches')} of this run"
        joined_batches = ""
        if joined_count:
            batches = counted(joined_count, "batch", "batches")
            joined_batches = f", and {batches} of other runs to wait for"
        if attempt:
            buys = f"Attempt {attempt}: {requests} asked, {self.pending:,} to buy"
        else:
            buys = f"Canary: {self.pending:,} of {requests}, sent before the others"
        return f"{buys}; {own_batches}{joined_batches}; {self.estimate.summary}."


@dataclass(frozen=True)
class Difference:
    """What a run asks, which shards in flight it may wait for, and what is left to be bought."""

    view: LedgerView
    asked: int
    joined: list[Shard]
    pending: RequestSet
    in_flight: int
    """How many of the asked requests are in flight."""


@dataclass(frozen=True)
class _Attempt:
    """One attempt of a run to buy what is pending. first_batch: for the attempt of the canary only."""

    ref: RunRef
    run: Run
    ledger: Ledger
    number: int
    cost_rows: list[Row]
    first_batch: FirstBatch | None
    now: Callable[[], datetime]


@dataclass(frozen=True)
class _Purchase:
    """What an attempt buys, which shards of others it waits for, and notes for a reader of the log."""

    requests: RequestSet
    joined: list[Shard]
    notes: tuple[str, ...]


def plan(
    ref: RunRef,
    attempt: int,
    ledger: Ledger,
    now: Callable[[], datetime],
    count_tokens: TokenCounter | None = None,
) -> Plan:
    """Claim what is pending for a run, and name every shard that it must wait for.

    Doing it again finds the claims of the first time in flight, and names the same shards. Raises CapExceeded before
    anything is claimed. Once a run has bought something, a cap stops its buying instead, and publish decides.
    """
    run = ledger.run(ref.snapshot)
    ahead = first_batch(ref, run, ledger) if attempt == canary.ATTEMPT else None
    has_nothing_ahead = ahead is not None and not ahead
    if attempt > ref.rules.attempts or has_nothing_ahead:
        return Plan([], 0, 0, Estimate())
    with lease.hold(
        ledger.store,
        now,
        holder=ref.buyer,
        seconds=ledger.lease_seconds,
        patience=PATIENCE,
    ):
        reach("lease taken")
        cost_table.complete(ledger, ledger.view().landed)
        cost_rows = caps.read(ref, run.question, ledger, now())
        this_attempt = _Attempt(ref, run, ledger, attempt, cost_rows, ahead, now)
        counts_if_first = count_tokens if attempt <= 1 else None
        while True:
            claimed_plan = _claim_pending(this_attempt, counts_if_first)
            if claimed_plan is not None:
                return claimed_plan


def _claim_pending(attempt: _Attempt, count_tokens: TokenCounter | None) -> Plan | None:
    """Claim what is pending now; None if another planner has claimed something since it was read."""
    difference = take_difference(attempt.ref, attempt.run, attempt.ledger)
    quote = quote_for(attempt.run, difference.pending, attempt.cost_rows, count_tokens)
    purchase = _choose_purchase(attempt, difference, quote)
    claims = [
        (_claim(attempt, shard_requests, quote), shard_requests)
        for shard_requests in _shards(attempt.ref, attempt.run, purchase.requests)
    ]
    new_shards = _write(attempt.ledger, difference.view.next, claims)
    if new_shards is None:
        return None
    reach("claims complete")
    joined_shards = [_joined(attempt, shard) for shard in purchase.joined]
    planned_shards = [*joined_shards, *new_shards]
    planned_shards.sort(key=lambda planned: planned.shard)
    return Plan(
        shards=planned_shards,
        asked=difference.asked,
        pending=len(purchase.requests),
        estimate=quote.estimate(purchase.requests),
        notes=purchase.notes,
    )


def _choose_purchase(
    attempt: _Attempt, difference: Difference, quote: Quote
) -> _Purchase:
    """Choose what to buy: all that is left, unless it is the first batch's turn, a cap forbids it or it is too late.

    Raises CapExceeded if a cap forbids the first purchase of a run.
    """
    ref = attempt.ref
    run = attempt.run
    ledger = attempt.ledger
    requests = difference.pending
    joined = difference.joined
    notes: tuple[str, ...] = ()
    if attempt.number <= 1:
        notes = notes_on(ref, run, ledger, difference, quote, attempt.now())
    if attempt.first_batch is not None:
        joined = first_batches_in_flight(run, ledger, joined)
        requests = (
            requests[:0]
            if joined
            else attempt.first_batch.requests(run, requests, quote)
        )
    cost_rows = attempt.cost_rows
    refused = cap_refusal(ref, ledger, difference.view, cost_rows, quote, attempt.now())
    if refused:
        if not _has_bought(ref, cost_rows):
            raise CapExceeded(refused)
        requests = requests[:0]
        notes = (*notes, refused)
    if len(requests) and ref.late(attempt.now()):
        late_note = f"The deadline has passed: {len(requests)} are not asked."
        requests = requests[:0]
        notes = (*notes, late_note)
    return _Purchase(requests, joined, notes)


def take_difference(ref: RunRef, run: Run, ledger: Ledger) -> Difference:
    """Take the difference: asked − settled − in flight."""
    view = ledger.view()
    staged = StagedRequests(run, ledger.store)
    past = history(ledger.store, view.landed)
    joinable_shards = [
        shard for shard in view.in_flight if _may_join(ref, ledger, shard)
    ]
    pending_requests = pending.Pending(len(staged))
    joined: set[Shard] = set()
    for span, id_round in staged.rounds():
        pending_requests.ask(id_round)
        settled_ids = _settled(ref, past, span)
        pending_requests.settle(id_round, settled_ids)
        for shard in joinable_shards:
            shard_ids = ledger.claimed(shard).column("id")
            if pending_requests.mark_in_flight(id_round, shard_ids):
                joined.add(shard)
    pending_numbers = pending_requests.pending_numbers()
    return Difference(
        view=view,
        asked=int(pending_requests.asked.sum()),
        joined=sorted(joined),
        pending=RequestSet(staged, pending_numbers),
        in_flight=int(pending_requests.in_flight.sum()),
    )


def cap_refusal(
    ref: RunRef,
    ledger: Ledger,
    view: LedgerView,
    cost_rows: list[Row],
    quote: Quote,
    now: datetime,
) -> str | None:
    """Say which cap forbids the purchase; None where none does."""
    for cap in caps.caps(ref, ledger, view, cost_rows, now):
        refused = cap.refuses(quote.whole)
        if refused:
            return refused
    return None


def notes_on(
    ref: RunRef,
    run: Run,
    ledger: Ledger,
    difference: Difference,
    quote: Quote,
    now: datetime,
) -> tuple[str, ...]:
    """Gather notes for a reader of the log, before the money is spent."""
    if not len(difference.pending):
        return ()
    notes = warnings_before(prices(), run, now.date())
    if not ref.scope:
        return notes
    answered_requests = _answered(ref, ledger, difference)
    answered_estimate = quote.estimate(answered_requests)
    return (*notes, reuse_off_note(answered_estimate, len(difference.pending)))


def _has_bought(ref: RunRef, cost_rows: list[Row]) -> bool:
    return any(
        caps.is_of_run(ref, row["run"], row["target"], row["partition"])
        for row in cost_rows
    )


def _may_join(ref: RunRef, ledger: Ledger, shard: Shard) -> bool:
    """Tell whether the run may wait for a shard: a run with a scope only for those of its scope."""
    return not ref.scope or ledger.claim(shard).scope == ref.scope


def _settled(ref: RunRef, past: History, span: IdRange) -> Iterator[Ids]:
    """Read the ids that are settled already: landed answers and refusals, within the run's scope."""
    shards_in_scope = [
        shard
        for shard, bought_for in past.shards.items()
        if not ref.scope or bought_for.scope == ref.scope
    ]
    return past.settled(shards_in_scope, span)


def _answered(ref: RunRef, ledger: Ledger, difference: Difference) -> RequestSet:
    """Choose those of the requests left that other runs have had answered, and that this run asks again."""
    past = history(ledger.store, difference.view.landed)
    requests = difference.pending
    staged = requests.staged
    any_scope = replace(ref, rules=replace(ref.rules, reuse=True))
    pending_requests = pending.Pending(len(staged))
    for span, id_round in staged.rounds():
        settled_ids = _settled(any_scope, past, span)
        pending_requests.settle(id_round, settled_ids)
    is_answered = pending_requests.settled[requests.numbers]
    answered_places = np.flatnonzero(is_answered)
    return requests[answered_places]


def _joined(attempt: _Attempt, shard: Shard) -> PlannedShard:
    claim = attempt.ledger.claim(shard)
    is_of_another = claim.buyer != attempt.ref.buyer
    return PlannedShard(shard, claim.attempt, claim.total, joined=is_of_another)


def _claim(attempt: _Attempt, requests: RequestSet, quote: Quote) -> Claim:
    ref = attempt.ref
    run = attempt.run
    estimate = quote.estimate(requests)
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


def _write(
    ledger: Ledger, first_shard: Shard, claims: list[tuple[Claim, RequestSet]]
) -> list[PlannedShard] | None:
    """Create the claims under the numbers from `first_shard` on; None if another planner took one of them."""
    planned_shards: list[PlannedShard] = []
    first_number = int(first_shard)
    for number, (claim, requests) in enumerate(claims, first_number):
        shard = keys.shard(number)
        if not ledger.write_claim(shard, claim, requests.as_claim()):
            return None
        reach("claim written")
        planned_shards.append(PlannedShard(shard, claim.attempt, claim.total))
    return planned_shards


def _shards(ref: RunRef, run: Run, requests: RequestSet) -> Iterator[RequestSet]:
    """Cut requests into shards, each of which fits a batch and the limit of requests in flight."""
    max_batch = ref.rules.max_batch_requests
    max_in_flight = ref.rules.max_in_flight_requests or max_batch
    shard_places = pending.shards(
        requests.sizes,
        max_requests=min(max_batch, max_in_flight),
        max_bytes=ref.rules.max_batch_bytes,
        overhead=run.frame.item_overhead,
        envelope=len(BODY_HEAD + BODY_TAIL),
    )
    return (requests[places] for places in shard_places)
