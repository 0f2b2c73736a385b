"""Land: stream the results of an ended batch into one Parquet file, complete or not at all.

A stream that is short, broken or garbled is fetched again, a bounded number of times; what is missing then is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import keys
from nightbatch.core.errors import ApiUnavailable, BatchGone, Incomplete
from nightbatch.core.facts import METADATA, Claim, LandedFact
from nightbatch.core.ids import Shard
from nightbatch.core.ports import Batch, Batches
from nightbatch.core.results import TOKENS, Landing, landed_schema
from nightbatch.steps import costs, sheets
from nightbatch.steps.failpoints import reach
from nightbatch.steps.ledger import Ledger
from nightbatch.steps.prices import prices
from nightbatch.steps.release import land_as_lost

FETCHES = 4
LOOKS = 5
"""A live batch may be "not found" for a moment; one that is so five times within half a minute is gone."""
BLOCK = 4 * 1024 * 1024


def land(shard: Shard, ledger: Ledger, api: Batches, pause: Callable[[float], None] = time.sleep) -> LandedFact:
    """Land a shard whose batch has ended; a shard that has landed is left as it is.

    If batch or results are gone for good, all its requests land as `missing`: they will be asked again.
    """
    if (fact := ledger.landed(shard)) is not None:
        costs.write(ledger, fact)
        return fact
    bought = ledger.batch(shard)
    if bought is None:
        raise Incomplete(f"shard {shard} has no batch yet: submit comes first.")
    claim = ledger.claim(shard)
    for look in range(1, LOOKS + 1):
        try:
            return _fetch(shard, claim, api.batch(bought.batch), ledger, api)
        except BatchGone as error:
            if look < LOOKS:
                pause(2.0**look)
            told = f"its answers are lost, batch {bought.batch} or its results are gone: {error}"
    return land_as_lost(shard, ledger, told, bought.batch)


def _fetch(shard: Shard, claim: Claim, batch: Batch, ledger: Ledger, api: Batches) -> LandedFact:
    if not batch.ended:
        raise Incomplete(f"batch {batch.id} has not ended yet: wait for its end, then land again.")
    for fetch in range(1, FETCHES + 1):
        try:
            return _land(shard, claim, batch, ledger, api, last=fetch == FETCHES)
        except (Incomplete, ApiUnavailable):
            if fetch == FETCHES:
                raise
    raise AssertionError("unreachable")


def _land(shard: Shard, claim: Claim, batch: Batch, ledger: Ledger, api: Batches, *, last: bool) -> LandedFact:
    run = ledger.run(claim.snapshot)
    answer = run.answer
    waiting = set(ledger.claimed(shard).column("id").to_pylist())
    landing = Landing(answer, batch.id, prices(), waiting, run.model)
    totals = _Totals()
    with sheets.Sheet(ledger.store, keys.landed(shard), landed_schema(answer)) as sheet:
        with api.results(batch.id) as chunks:
            reach("results opened")
            for block in blocks(chunks):
                totals.write(sheet, landing.add(block))
                reach("block of results read")
        if not last:
            check(landing, batch)
        totals.write(sheet, landing.missing())
        fact = totals.fact(shard, claim, batch, landing)
        sheet.close({METADATA: fact.to_json()})
        reach("results staged")
        sheet.commit()
    reach("results landed")
    fact = ledger.landed(shard) or fact
    costs.write(ledger, fact)
    return fact


class _Totals:
    """Sums over the rows that land."""

    def __init__(self) -> None:
        self.cost: Decimal | None = Decimal(0)
        self.tokens = dict.fromkeys(TOKENS, 0)

    def write(self, sheet: sheets.Sheet, rows: pa.RecordBatch) -> None:
        if not rows.num_rows:
            return
        sheet.write(rows)
        costs = rows.column("cost_usd")
        unknown = self.cost is None or costs.null_count
        self.cost = None if unknown else (self.cost or Decimal(0)) + (pc.sum(costs).as_py() or Decimal(0))
        for name in TOKENS:
            self.tokens[name] += pc.sum(rows.column(name)).as_py() or 0

    def fact(self, shard: Shard, claim: Claim, batch: Batch, landing: Landing) -> LandedFact:
        bill = landing.bill
        whole = bill.costs()
        return LandedFact(
            shard=shard,
            batch=batch.id,
            claim=claim,
            statuses={str(status): count for status, count in sorted(landing.statuses.items())},
            cost_usd=None if self.cost is None else str(self.cost),
            lines=len(landing.seen),
            account=landing.account,
            tokens=self.tokens,
            created_at=batch.created_at,
            standard_usd=str(whole.standard) if whole else None,
            uncached_usd=str(whole.uncached) if whole else None,
            billed=bill.answers,
            full_price=bill.full_price,
            longest=bill.longest,
        )


def check(landing: Landing, batch: Batch) -> None:
    """Compare the lines read with the batch's own counts, kind by kind, and with the shard."""
    told = {kind: count for kind, count in batch.counts.items() if count and kind != "processing"}
    read = {kind: landing.kinds.get(kind, 0) for kind in told}
    missing = len(landing.waiting) - len(landing.seen)
    if read != told or missing or landing.garbled or landing.unknown or landing.repeated:
        raise Incomplete(
            f"batch {batch.id}: read {len(landing.seen)} of {len(landing.waiting)} results "
            f"({landing.garbled} garbled, {landing.unknown} unknown, {landing.repeated} repeated lines; "
            f"by kind {dict(landing.kinds)}, told {told})."
        )


def blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Gather chunks into blocks of whole lines; a last line without an end is given out as it is."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= BLOCK and (end := held.rfind(b"\n") + 1):
            yield bytes(held[:end])
            del held[:end]
    if held:
        yield bytes(held)
