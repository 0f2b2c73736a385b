"""Plan: what is pending now becomes claimed shards; what others have in flight is joined instead of bought."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import canary, keys, pending
from nightbatch.core.advice import advice, anew_note
from nightbatch.core.errors import CapExceeded
from nightbatch.core.estimate import Estimate
from nightbatch.core.facts import Claim, Lane, RunRef
from nightbatch.core.ids import Shard
from nightbatch.core.lanes import ANY, Lanes
from nightbatch.core.request import BODY_HEAD, BODY_TAIL
from nightbatch.core.run import Run
from nightbatch.core.staging import CLAIM
from nightbatch.steps import budget, costs, lease, sheets
from nightbatch.steps.costs import Row
from nightbatch.steps.estimate import Counts, Quote, quoted
from nightbatch.steps.failpoints import reach
from nightbatch.steps.history import history
from nightbatch.steps.ledger import Ledger, View
from nightbatch.steps.prices import prices
from nightbatch.steps.vanguard import flying, vanguard

ASKED = CLAIM.append(pa.field("size", pa.int32(), nullable=False))
"""What a plan holds of each request: 28 bytes."""


@dataclass(frozen=True)
class Plan:
    """The lanes of one attempt, what those that are new will cost, and what a reader of the log should know."""

    lanes: list[Lane]
    asked: int
    pending: int
    estimate: Estimate
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """What a run asks, which shards in flight it may wait for, and what is left to be bought."""

    view: View
    asked: pa.Table
    joined: list[Shard]
    left: pa.Table
    flying: int = 0
    """How many of the asked requests are in flight."""


def plan(
    ref: RunRef,
    attempt: int,
    ledger: Ledger,
    now: Callable[[], datetime],
    counts: Counts | None = None,
    most: Lanes = ANY,
) -> Plan:
    """Claim what is pending for a run, and name every shard that it must wait for.

    Doing it again finds the claims of the first time in flight, and names the same shards. Raises CapExceeded before
    anything is claimed; once a run has bought something, a cap ends its buying instead, and publish decides.
    """
    run = ledger.run(ref.snapshot)
    ahead = vanguard(ref, run, ledger) if attempt == canary.ATTEMPT else None
    if attempt > ref.attempts or (ahead is not None and not ahead):
        return Plan([], 0, 0, Estimate())
    with lease.hold(ledger.store, now, holder=ref.buyer, seconds=ledger.lease_seconds):
        reach("lease taken")
        costs.complete(ledger, ledger.view().landed)
        rows = budget.read(ref, run.question, ledger, now())
        while True:
            found = look(ref, run, ledger)
            quote = quoted(run, ledger, found.left, rows, counts if attempt <= 1 else None)
            notes = notes_on(ref, run, ledger, found, quote, now()) if attempt <= 1 else ()
            joined, left = found.joined, found.left
            if ahead is not None:
                joined = flying(run, ledger, joined)
                left = left.slice(0, 0) if joined else ahead.requests(run, left, quote)
            if refused := refusal(ref, ledger, found.view, rows, quote, now()):
                if not _has_bought(ref, rows):
                    raise CapExceeded(refused)
                left, notes = left.slice(0, 0), (*notes, refused)
            if left.num_rows and ref.late(now()):
                left, notes = left.slice(0, 0), (*notes, f"The deadline has passed: {left.num_rows} are not asked.")
            claims = [(_claim(ref, run, attempt, part, quote, now()), part) for part in _shards(ref, run, left)]
            notes = (*notes, *most.check(len(joined) + len(claims)))
            made = _write(ledger, found.view.next, claims)
            if made is not None:
                reach("claims complete")
                lanes = [_joined(ref, ledger, shard) for shard in joined] + made
                lanes.sort(key=lambda lane: lane.shard)
                return Plan(lanes, found.asked.num_rows, left.num_rows, quote.of(left), notes)


def look(ref: RunRef, run: Run, ledger: Ledger) -> Look:
    """Take the difference: asked − settled − in flight."""
    view = ledger.view()
    asked = pending.distinct(_asked(run, ledger))
    unsettled = pending.difference(asked, _settled(ref, ledger, view))
    joined = [shard for shard in view.in_flight if _joins(ref, ledger, shard, unsettled)]
    left = pending.difference(unsettled, (ledger.claimed(shard).column("id") for shard in joined))
    return Look(view, asked, joined, left, unsettled.num_rows - left.num_rows)


def refusal(ref: RunRef, ledger: Ledger, view: View, rows: list[Row], quote: Quote, now: datetime) -> str | None:
    """Say which cap forbids the purchase; None where none does."""
    told = (cap.refuses(quote.whole) for cap in budget.caps(ref, ledger, view, rows, now))
    return next(filter(None, told), None)


def notes_on(ref: RunRef, run: Run, ledger: Ledger, found: Look, quote: Quote, now: datetime) -> tuple[str, ...]:
    """Gather what a reader of the log should know before the money is spent."""
    if not found.left.num_rows:
        return ()
    notes = advice(prices(), run, now.date())
    if ref.scope:
        anew = pending.common(found.left, _settled(replace(ref, reuse=True), ledger, found.view))
        notes = (*notes, anew_note(quote.of(anew), found.left.num_rows))
    return notes


def _has_bought(ref: RunRef, rows: list[Row]) -> bool:
    place = (ref.buyer, ref.target, ref.partition)
    return any((row["run"], row["target"], row["partition"]) == place for row in rows)


def _asked(run: Run, ledger: Ledger) -> Iterator[pa.Table]:
    yield ASKED.empty_table()
    for part, key in enumerate(ledger.request_parts(run)):
        for batch in sheets.batches(ledger.store, key, ["id", "size"], 65_536):
            parts = pa.repeat(pa.scalar(part, pa.int32()), batch.num_rows)
            yield pa.table([batch.column("id"), parts, batch.column("size")], schema=ASKED)


def _settled(ref: RunRef, ledger: Ledger, view: View) -> Iterator[pa.Array]:
    """Read the ids that need not be asked again: landed answers and refusals, within the run's scope."""
    past = history(ledger.store, view.landed)
    wanted = [shard for shard, of in past.shards.items() if not ref.scope or of.scope == ref.scope]
    for entries in past.entries(wanted):
        settled = entries.column("settled")
        yield entries.column("id") if pc.all(settled).as_py() else entries.filter(settled).column("id")


def _joins(ref: RunRef, ledger: Ledger, shard: Shard, asked: pa.Table) -> bool:
    same = not ref.scope or ledger.claim(shard).scope == ref.scope
    return same and pending.meets(asked, ledger.claimed(shard).column("id"))


def _joined(ref: RunRef, ledger: Ledger, shard: Shard) -> Lane:
    claim = ledger.claim(shard)
    return Lane(shard, claim.attempt, claim.total, joined=claim.buyer != ref.buyer)


def _claim(ref: RunRef, run: Run, attempt: int, requests: pa.Table, quote: Quote, now: datetime) -> Claim:
    made = quote.of(requests)
    return Claim(
        snapshot=ref.snapshot, buyer=ref.buyer, scope=ref.scope, target=ref.target, partition=ref.partition,
        attempt=attempt, total=requests.num_rows, size=_body(run, requests), created_at=now, token=uuid4().hex,
        estimated_usd=None if made.expected is None else str(made.expected),
        at_most_usd=None if made.at_most is None else str(made.at_most), how=made.how,
        model=run.model, question=run.question,
    )  # fmt: skip


def _write(ledger: Ledger, shard: Shard, claims: list[tuple[Claim, pa.Table]]) -> list[Lane] | None:
    """Create the claims under the numbers from `shard` on; None if another planner came between."""
    lanes: list[Lane] = []
    for claim, requests in claims:
        if not ledger.write_claim(shard, claim, pending.as_claim(requests)):
            return None
        reach("claim written")
        lanes.append(Lane(shard, claim.attempt, claim.total))
        shard = keys.shard(int(shard) + 1)
    return lanes


def _shards(ref: RunRef, run: Run, left: pa.Table) -> Iterator[pa.Table]:
    return pending.shards(
        left,
        max_requests=min(ref.max_batch_requests, ref.max_in_flight_requests or ref.max_batch_requests),
        max_bytes=ref.max_batch_bytes,
        overhead=run.frame.item_overhead,
        envelope=len(BODY_HEAD + BODY_TAIL),
    )


def _body(run: Run, requests: pa.Table) -> int:
    contents = int(pc.sum(requests.column("size")).as_py() or 0)
    items: int = requests.num_rows
    return contents + items * run.frame.item_overhead + len(BODY_HEAD + BODY_TAIL) - 1
