"""Plan: what is pending now becomes claimed shards; what others have in flight is joined instead of bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import numpy as np

from nightbatch.columnar.id_lookup import Ids, Span
from nightbatch.errors import CapExceeded
from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.ledger import keys, lease
from nightbatch.ledger.facts import Claim, PlannedShard
from nightbatch.ledger.history import History, history
from nightbatch.ledger.ledger import Ledger, View
from nightbatch.messages.request import BODY_HEAD, BODY_TAIL
from nightbatch.money import caps, cost_table
from nightbatch.money.cost_table import Row
from nightbatch.money.estimate import Estimate
from nightbatch.money.prices import prices
from nightbatch.money.warnings import advice, anew_note
from nightbatch.plan import canary, pending
from nightbatch.plan.canary import flying, vanguard
from nightbatch.plan.quote import Counts, Quote, quoted
from nightbatch.plurals import counted
from nightbatch.prepare.staged import Asked, Requests
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef

PATIENCE = 10.0
"""Seconds for which a planner waits for another before it gives its worker back."""


@dataclass(frozen=True)
class Plan:
    """The shards of one attempt, what those that are new will cost, and what a reader of the log should know."""

    shards: list[PlannedShard]
    asked: int
    pending: int
    estimate: Estimate
    notes: tuple[str, ...] = ()

    def words(self, attempt: int) -> str:
        """Say in one line what an attempt buys and joins."""
        joined = sum(shard.joined for shard in self.shards)
        own = counted(len(self.shards) - joined, "batch", "batches")
        others = (
            f", and {counted(joined, 'batch', 'batches')} of other runs to wait for"
            if joined
            else ""
        )
        name = f"Attempt {attempt}" if attempt else "Canary"
        requests = f"{counted(self.asked, 'request')} asked, {self.pending:,} to buy"
        return f"{name}: {requests}; {own} of this run{others}; {self.estimate.told}."


@dataclass(frozen=True)
class Look:
    """What a run asks, which shards in flight it may wait for, and what is left to be bought."""

    view: View
    asked: int
    joined: list[Shard]
    left: Requests
    flying: int
    """How many of the asked requests are in flight."""


def plan(
    ref: RunRef,
    attempt: int,
    ledger: Ledger,
    now: Callable[[], datetime],
    counts: Counts | None = None,
) -> Plan:
    """Claim what is pending for a run, and name every shard that it must wait for.

    Doing it again finds the claims of the first time in flight, and names the same shards. Raises CapExceeded before
    anything is claimed; once a run has bought something, a cap ends its buying instead, and publish decides.
    """
    run = ledger.run(ref.snapshot)
    ahead = vanguard(ref, run, ledger) if attempt == canary.ATTEMPT else None
    if attempt > ref.attempts or (ahead is not None and not ahead):
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
        rows = caps.read(ref, run.question, ledger, now())
        while True:
            found = look(ref, run, ledger)
            quote = quoted(run, found.left, rows, counts if attempt <= 1 else None)
            notes = (
                notes_on(ref, run, ledger, found, quote, now()) if attempt <= 1 else ()
            )
            joined, left = found.joined, found.left
            if ahead is not None:
                joined = flying(run, ledger, joined)
                left = left[:0] if joined else ahead.requests(run, left, quote)
            if refused := refusal(ref, ledger, found.view, rows, quote, now()):
                if not _has_bought(ref, rows):
                    raise CapExceeded(refused)
                left, notes = left[:0], (*notes, refused)
            if len(left) and ref.late(now()):
                left, notes = (
                    left[:0],
                    (*notes, f"The deadline has passed: {len(left)} are not asked."),
                )
            claims = [
                (_claim(ref, run, attempt, part, quote, now()), part)
                for part in _shards(ref, run, left)
            ]
            written = _write(ledger, found.view.next, claims)
            if written is not None:
                reach("claims complete")
                planned_shards = [
                    _joined(ref, ledger, shard) for shard in joined
                ] + written
                planned_shards.sort(key=lambda planned: planned.shard)
                return Plan(
                    planned_shards, found.asked, len(left), quote.of(left), notes
                )


def look(ref: RunRef, run: Run, ledger: Ledger) -> Look:
    """Take the difference: asked − settled − in flight."""
    view, staged = ledger.view(), Asked(run, ledger.store)
    past = history(ledger.store, view.landed)
    mine = [
        shard
        for shard in view.in_flight
        if not ref.scope or ledger.claim(shard).scope == ref.scope
    ]
    known, joined = pending.Pending(len(staged)), set[Shard]()
    for span, some in staged.rounds():
        known.ask(some)
        known.settle(some, _settled(ref, past, span))
        joined.update(
            shard
            for shard in mine
            if known.fly(some, ledger.claimed(shard).column("id"))
        )
    left = Requests(staged, known.left())
    return Look(
        view, int(known.asked.sum()), sorted(joined), left, int(known.flying.sum())
    )


def refusal(
    ref: RunRef,
    ledger: Ledger,
    view: View,
    rows: list[Row],
    quote: Quote,
    now: datetime,
) -> str | None:
    """Say which cap forbids the purchase; None where none does."""
    told = (cap.refuses(quote.whole) for cap in caps.caps(ref, ledger, view, rows, now))
    return next(filter(None, told), None)


def notes_on(
    ref: RunRef, run: Run, ledger: Ledger, found: Look, quote: Quote, now: datetime
) -> tuple[str, ...]:
    """Gather what a reader of the log should know before the money is spent."""
    if not len(found.left):
        return ()
    notes = advice(prices(), run, now.date())
    if ref.scope:
        notes = (
            *notes,
            anew_note(quote.of(_answered(ref, ledger, found)), len(found.left)),
        )
    return notes


def _has_bought(ref: RunRef, rows: list[Row]) -> bool:
    return any(
        caps.is_of_run(ref, row["run"], row["target"], row["partition"]) for row in rows
    )


def _settled(ref: RunRef, past: History, span: Span) -> Iterator[Ids]:
    """Read the ids that need not be asked again: landed answers and refusals, within the run's scope."""
    wanted = [
        shard
        for shard, of in past.shards.items()
        if not ref.scope or of.scope == ref.scope
    ]
    return past.settled(wanted, span)


def _answered(ref: RunRef, ledger: Ledger, found: Look) -> Requests:
    """Choose those of the requests left that others have had answered, which this run asks all the same."""
    past, staged = history(ledger.store, found.view.landed), found.left.staged
    known = pending.Pending(len(staged))
    for span, some in staged.rounds():
        known.settle(some, _settled(replace(ref, reuse=True), past, span))
    return found.left[np.flatnonzero(known.settled[found.left.numbers])]


def _joined(ref: RunRef, ledger: Ledger, shard: Shard) -> PlannedShard:
    claim = ledger.claim(shard)
    return PlannedShard(
        shard, claim.attempt, claim.total, joined=claim.buyer != ref.buyer
    )


def _claim(
    ref: RunRef, run: Run, attempt: int, requests: Requests, quote: Quote, now: datetime
) -> Claim:
    made = quote.of(requests)
    return Claim(
        snapshot=ref.snapshot,
        buyer=ref.buyer,
        scope=ref.scope,
        target=ref.target,
        partition=ref.partition,
        attempt=attempt,
        total=len(requests),
        size=requests.body_size(run.frame),
        created_at=now,
        token=uuid4().hex,
        estimated_usd=None if made.expected is None else str(made.expected),
        at_most_usd=None if made.at_most is None else str(made.at_most),
        how=made.how,
        model=run.model,
        question=run.question,
    )


def _write(
    ledger: Ledger, shard: Shard, claims: list[tuple[Claim, Requests]]
) -> list[PlannedShard] | None:
    """Create the claims under the numbers from `shard` on; None if another planner came between."""
    planned_shards: list[PlannedShard] = []
    for claim, requests in claims:
        if not ledger.write_claim(shard, claim, requests.as_claim()):
            return None
        reach("claim written")
        planned_shards.append(PlannedShard(shard, claim.attempt, claim.total))
        shard = keys.shard(int(shard) + 1)
    return planned_shards


def _shards(ref: RunRef, run: Run, left: Requests) -> Iterator[Requests]:
    cut = pending.shards(
        left.sizes,
        max_requests=min(
            ref.max_batch_requests, ref.max_in_flight_requests or ref.max_batch_requests
        ),
        max_bytes=ref.max_batch_bytes,
        overhead=run.frame.item_overhead,
        envelope=len(BODY_HEAD + BODY_TAIL),
    )
    return (left[places] for places in cut)
