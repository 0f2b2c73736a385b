"""Land: stream the results of an ended batch into one Parquet file, complete or not at all.

A stream that is short, broken or garbled is fetched again, a bounded number of times; what is missing then is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.core import keys
from nightbatch.core.errors import ApiUnavailable, Incomplete
from nightbatch.core.facts import METADATA, Claim, LandedFact
from nightbatch.core.ids import BatchId, Shard
from nightbatch.core.ports import Batch, Batches
from nightbatch.core.price import DEFAULT
from nightbatch.core.results import TOKENS, Landing, landed_schema
from nightbatch.steps import sheets
from nightbatch.steps.ledger import Ledger

FETCHES = 4
BLOCK = 4 * 1024 * 1024


def land(shard: Shard, ledger: Ledger, api: Batches) -> LandedFact:
    """Land a shard whose batch has ended; a shard that has landed is left as it is."""
    if (fact := ledger.landed(shard)) is not None:
        return fact
    bought = ledger.batch(shard)
    if bought is None:
        raise Incomplete(f"shard {shard} has no batch yet: submit comes first.")
    claim = ledger.claim(shard)
    batch = api.batch(bought.batch)
    for fetch in range(1, FETCHES + 1):
        try:
            return _land(shard, claim, batch, ledger, api, last=fetch == FETCHES)
        except (Incomplete, ApiUnavailable):
            if fetch == FETCHES:
                raise
    raise AssertionError("unreachable")


def _land(shard: Shard, claim: Claim, batch: Batch, ledger: Ledger, api: Batches, *, last: bool) -> LandedFact:
    answer = ledger.run(claim.snapshot).answer
    waiting = set(ledger.claimed(shard).column("id").to_pylist())
    landing = Landing(answer, batch.id, DEFAULT, waiting)
    totals = _Totals()
    with sheets.Sheet(ledger.store, keys.landed(shard), landed_schema(answer)) as sheet:
        with api.results(batch.id) as chunks:
            for block in blocks(chunks):
                totals.write(sheet, landing.add(block))
        if not last:
            check(landing, batch)
        totals.write(sheet, landing.missing())
        fact = totals.fact(shard, claim, batch.id, landing)
        sheet.close({METADATA: fact.to_json()})
        sheet.commit()
    return ledger.landed(shard) or fact


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

    def fact(self, shard: Shard, claim: Claim, batch: BatchId, landing: Landing) -> LandedFact:
        return LandedFact(
            shard=shard,
            batch=batch,
            claim=claim,
            statuses={str(status): count for status, count in sorted(landing.statuses.items())},
            cost_usd=None if self.cost is None else str(self.cost),
            lines=len(landing.seen),
            account=landing.account,
            tokens=self.tokens,
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
