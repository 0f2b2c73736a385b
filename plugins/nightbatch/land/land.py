"""Stream the results of an ended batch into one Parquet file, complete or not at all."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar import parquet
from nightbatch.columnar.threads import BackgroundCalls, collector_paused
from nightbatch.errors import AccountStopped, CanaryRejected, Incomplete
from nightbatch.failpoints import reach
from nightbatch.ids import Shard
from nightbatch.land.landed_schema import landed_schema
from nightbatch.land.landing import Landing
from nightbatch.land.read_results import Pause, read
from nightbatch.land.received import Received
from nightbatch.ledger import keys
from nightbatch.ledger.facts import METADATA, Bought, LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.shard_facts import ShardFacts
from nightbatch.messages.outcome import Status, most_common_error
from nightbatch.messages.usage import TOKENS
from nightbatch.money import cost_table
from nightbatch.money.prices import prices
from nightbatch.plan import canary
from nightbatch.ports import Batches

TOP_ERRORS = 3
LAYOUT = parquet.GroupLayout(unique=("id", "text"), group=4 * 1024 * 1024)
"""Row groups are small, so that most are written while results come in and few remain for the end."""


def land(
    shard: Shard, ledger: Ledger, api: Batches, pause: Pause = time.sleep
) -> LandedFact:
    """Land a shard whose batch has ended; a shard that has landed is not changed.

    If the batch or its results no longer exist, their requests land as `missing` and will be sent again. A batch
    that appears for a shard which was closed without one becomes a claim of its own, so that its answers land too.
    Raises AccountStopped, after everything has landed, if unanswered requests are the account's fault, and
    CanaryRejected if the shard is a canary and the API rejected all of it.
    """
    facts = ledger.shard(shard)
    fact = facts.landed
    bought = facts.bought
    is_new = fact is None
    if fact is None:
        if bought is None:
            raise Incomplete(f"shard {shard} has no batch yet: submit comes first.")
        fact = _land(facts, bought, api, pause)
    elif bought is not None and bought.batch != fact.batch:
        requests = facts.requests()
        ledger.write_second(fact.claim, requests, bought.batch)
    cost_table.write(ledger, fact)
    if is_new and fact.account:
        raise AccountStopped(
            f"{most_common_error({fact.account: 1})}: the account is at fault "
            "(credit, spend limit, permission or hold), not the rows. Fix the account, then run again: what is landed "
            "stays."
        )
    if fact.claim.attempt == canary.ATTEMPT:
        _require_accepted(fact, ledger)
    return fact


def _require_accepted(fact: LandedFact, ledger: Ledger) -> None:
    """Raise CanaryRejected where the API rejected all requests of a shard."""
    if not canary.all_rejected(fact.statuses):
        return
    request_count = sum(fact.statuses.values())
    error = most_common_error(fact.errors)
    landed_key = keys.landed(fact.shard)
    raise CanaryRejected(
        f"The API rejected all {request_count} requests of the canary, so nothing else was bought. "
        f"The error: {error}; the API's words are in column error of "
        f"{ledger.store.url}{landed_key}. Fix the prompt, schema, model or parameters, then run again."
    )


def _land(facts: ShardFacts, bought: Bought, api: Batches, pause: Pause) -> LandedFact:
    ledger = facts.ledger
    run = ledger.run(facts.claim.snapshot)
    received = Received(facts.requests().column("id"))
    landing = Landing(run.answer, bought.batch, prices(), received, run.model)
    totals = _Totals()
    landed_key = keys.landed(facts.shard)
    schema = landed_schema(run.answer)
    with parquet.ParquetUpload(ledger.store, landed_key, schema, LAYOUT) as upload:
        with collector_paused(), BackgroundCalls() as behind:

            def write_behind(rows: pa.RecordBatch) -> None:
                behind.do(totals.write, upload, rows)

            reading = read(bought, landing, api, write_behind, pause)
        missing_rows = landing.missing(reading.why_missing)
        totals.write(upload, missing_rows)
        fact = totals.fact(facts, bought, landing)
        fact = replace(fact, ended_at=reading.ended_at)
        upload.close({METADATA: fact.to_json()})
        reach("results staged")
        is_ours = upload.commit()
    reach("results landed")
    if landing.statuses[Status.ANSWERED]:
        ledger.write_question(run)
    return fact if is_ours else ledger.landed(facts.shard) or fact


class _Totals:
    """Sums over the rows that have landed."""

    def __init__(self) -> None:
        self.cost: Decimal | None = Decimal(0)
        self.tokens = dict.fromkeys(TOKENS, 0)

    def write(self, upload: parquet.ParquetUpload, rows: pa.RecordBatch) -> None:
        """Write rows and add them to the sums."""
        if not rows.num_rows:
            return
        upload.write(rows)
        costs = rows.column("cost_usd")
        self._add_costs(costs)
        self._add_tokens(rows)

    def _add_tokens(self, rows: pa.RecordBatch) -> None:
        for token_class in TOKENS:
            token_counts = rows.column(token_class)
            token_sum = pc.sum(token_counts).as_py()
            self.tokens[token_class] += token_sum or 0

    def _add_costs(self, costs: pa.Array) -> None:
        """Add costs; the total is None once a cost is unknown."""
        if self.cost is None:
            return
        if costs.null_count:
            self.cost = None
            return
        batch_cost = pc.sum(costs).as_py()
        self.cost += batch_cost or Decimal(0)

    def fact(self, facts: ShardFacts, bought: Bought, landing: Landing) -> LandedFact:
        """Return the fact of a landed shard."""
        bill = landing.bill
        costs = bill.costs()
        status_counts = sorted(landing.statuses.items())
        return LandedFact(
            shard=facts.shard,
            batch=bought.batch,
            claim=facts.claim,
            statuses={str(status): count for status, count in status_counts},
            cost_usd=None if self.cost is None else str(self.cost),
            lines=landing.received.count,
            account=landing.account,
            tokens=self.tokens,
            errors=dict(landing.errors.most_common(TOP_ERRORS)),
            odd=dict(landing.odd),
            server_tools=dict(bill.tools),
            unknown_usage=bill.has_unknown,
            created_at=bought.created_at,
            standard_usd=str(costs.standard) if costs else None,
            uncached_usd=str(costs.uncached) if costs else None,
            billed=bill.answers,
            full_price=bill.full_price,
            longest=bill.longest,
        )
