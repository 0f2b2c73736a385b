"""Land: stream the results of an ended batch into one Parquet file, complete or not at all."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import Behind, uncollected
from nightbatch.errors import AccountStopped, CanaryRejected, Incomplete
from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.land.landed_schema import landed_schema
from nightbatch.land.landing import Landing
from nightbatch.land.read_results import Pause, read
from nightbatch.land.received import Roll
from nightbatch.ledger import keys
from nightbatch.ledger.facts import METADATA, Bought, Claim, LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.messages.outcome import Status, commonest
from nightbatch.messages.usage import TOKENS
from nightbatch.money import cost_table
from nightbatch.money.prices import prices
from nightbatch.plan import canary
from nightbatch.ports import Batches

TOP_ERRORS = 3
LAYOUT = parquet.Layout(unique=("id", "text"), group=4 * 1024 * 1024)
"""Row groups are small, so that they are written while results come in and little is left for the end."""


def land(
    shard: Shard, ledger: Ledger, api: Batches, pause: Pause = time.sleep
) -> LandedFact:
    """Land a shard whose batch has ended; a shard that has landed is left as it is.

    If the batch or its results are gone for good, what they held lands as `missing`: it will be asked again. A batch
    that turns up for a shard which was given up becomes a claim of its own, so that its answers land too. Raises
    AccountStopped where the account is at fault for what was not answered, once all is landed, and CanaryRejected
    where the shard is a canary of which nothing was taken.
    """
    fact = ledger.landed(shard)
    is_new = fact is None
    if fact is None:
        bought = ledger.batch(shard)
        if bought is None:
            raise Incomplete(f"shard {shard} has no batch yet: submit comes first.")
        fact = _land(shard, bought, ledger, api, pause)
    elif (bought := ledger.batch(shard)) is not None and bought.batch != fact.batch:
        ledger.write_second(fact.claim, ledger.claimed(shard), bought.batch)
    cost_table.write(ledger, fact)
    if is_new and fact.account:
        raise AccountStopped(
            f"{commonest({fact.account: 1})}: the account is at fault (credit, spend limit, permission or hold), "
            "not the rows. Fix the account, then run again: what is landed stays."
        )
    if fact.claim.attempt == canary.ATTEMPT and canary.all_rejected(fact.statuses):
        raise CanaryRejected(
            f"The API rejected all {sum(fact.statuses.values())} requests of the canary, so nothing else was bought. "
            f"The error: {commonest(fact.errors)}; the API's words are in column error of "
            f"{ledger.store.url}{keys.landed(shard)}. Fix the prompt, schema, model or parameters, then run again."
        )
    return fact


def _land(
    shard: Shard, bought: Bought, ledger: Ledger, api: Batches, pause: Pause
) -> LandedFact:
    claim = ledger.claim(shard)
    run = ledger.run(claim.snapshot)
    roll = Roll(ledger.claimed(shard).column("id"))
    landing = Landing(run.answer, bought.batch, prices(), roll, run.model)
    totals = _Totals()
    with parquet.Sheet(
        ledger.store, keys.landed(shard), landed_schema(run.answer), LAYOUT
    ) as sheet:
        with uncollected(), Behind() as behind:
            reading = read(
                bought,
                landing,
                api,
                lambda rows: behind.do(totals.write, sheet, rows),
                pause,
            )
        totals.write(sheet, landing.missing(reading.why_missing))
        fact = replace(
            totals.fact(shard, claim, bought, landing), ended_at=reading.ended_at
        )
        sheet.close({METADATA: fact.to_json()})
        reach("results staged")
        sheet.commit()
    reach("results landed")
    if landing.statuses[Status.ANSWERED]:
        ledger.write_question(run)
    return ledger.landed(shard) or fact


class _Totals:
    """Sums over the rows that land."""

    def __init__(self) -> None:
        self.cost: Decimal | None = Decimal(0)
        self.tokens = dict.fromkeys(TOKENS, 0)

    def write(self, sheet: parquet.Sheet, rows: pa.RecordBatch) -> None:
        if not rows.num_rows:
            return
        sheet.write(rows)
        costs = rows.column("cost_usd")
        unknown = self.cost is None or costs.null_count
        self.cost = (
            None
            if unknown
            else (self.cost or Decimal(0)) + (pc.sum(costs).as_py() or Decimal(0))
        )
        for name in TOKENS:
            self.tokens[name] += pc.sum(rows.column(name)).as_py() or 0

    def fact(
        self, shard: Shard, claim: Claim, bought: Bought, landing: Landing
    ) -> LandedFact:
        bill = landing.bill
        whole = bill.costs()
        return LandedFact(
            shard=shard,
            batch=bought.batch,
            claim=claim,
            statuses={
                str(status): count for status, count in sorted(landing.statuses.items())
            },
            cost_usd=None if self.cost is None else str(self.cost),
            lines=landing.roll.told,
            account=landing.account,
            tokens=self.tokens,
            errors=dict(landing.errors.most_common(TOP_ERRORS)),
            odd=dict(landing.odd),
            server_tools=dict(bill.tools),
            unknown_usage=bill.has_unknown,
            created_at=bought.created_at,
            standard_usd=str(whole.standard) if whole else None,
            uncached_usd=str(whole.uncached) if whole else None,
            billed=bill.answers,
            full_price=bill.full_price,
            longest=bill.longest,
        )
