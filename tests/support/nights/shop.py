"""A shop that buys nights of rows through the steps, from the emulator; and what its books say that they cost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anthropic
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.parquet import parquet

from nightbatch import Enrichment, Prompt
from nightbatch.emulator.embedded import Emulator
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.land.land import land
from nightbatch.ledger.facts import PlannedShard
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import Plan, plan
from nightbatch.prepare.prepare import prepare
from nightbatch.publish.publish import publish
from nightbatch.spec import locations
from nightbatch.spec.run import reference
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.outcome import Later
from nightbatch.submit.submit import Submitter

Json = dict[str, Any]
MODEL = "claude-haiku-4-5"
SOURCE, TARGET = "s3://lake/tickets/", "s3://lake/triage/"

# The seed guide's table once more, by hand: what a token of each class costs in a batch, in US dollars a million.
BATCH_PRICES = {
    MODEL: {
        "input": "0.5",
        "cache_write_5m": "0.625",
        "cache_write_1h": "1",
        "cache_read": "0.05",
        "output": "2.5",
    },
    "claude-opus-5": {
        "input": "2.5",
        "cache_write_5m": "3.125",
        "cache_write_1h": "5",
        "cache_read": "0.25",
        "output": "12.5",
    },
    "claude-sonnet-5-5": {
        "input": "1",
        "cache_write_5m": "1.25",
        "cache_write_1h": "2",
        "cache_read": "0.05",
        "output": "5",
    },
}


def enrichment(**changes: Any) -> Enrichment:
    """Describe the job that the tests do, but for what a test says otherwise."""
    common: Json = {
        "source": SOURCE, "target": TARGET, "key": ["id"], "prompt": Prompt(user="Summarise: {{ body }}"),
        "model": MODEL, "max_tokens": 200, "canary": "never",
    }  # fmt: skip
    return Enrichment(**{**common, **changes})


@dataclass
class Shop:
    """One lake in memory, one account at the emulator, one clock."""

    emulator: Emulator
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    ahead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        client = anthropic.Anthropic(base_url=self.emulator.url, api_key="sk-test")
        self.api = AnthropicBatches(client)

    def now(self) -> datetime:
        """Tell the time of both sides."""
        return datetime.now(UTC) + self.ahead

    def wait(self, seconds: float) -> None:
        """Let time pass on both sides."""
        self.ahead += timedelta(seconds=seconds)
        self.emulator.advance(seconds)

    def store(self, url: str) -> MemoryStore:
        """Open a store of the lake."""
        return MemoryStore(url, self.bucket)

    def put(
        self, bodies: Mapping[str, str] | Sequence[str], partition: str = ""
    ) -> None:
        """Replace the source partition by one row for each text."""
        if not isinstance(bodies, Mapping):
            bodies = {f"T-{number}": body for number, body in enumerate(bodies)}
        table = pa.table({"id": list(bodies), "body": list(bodies.values())})
        folder = f"{partition}/" if partition else ""
        source = self.store(SOURCE)
        old_keys = [entry.key for entry in source.list(folder)]
        source.remove(old_keys)
        source.create(f"{folder}part-0.parquet", parquet(table))

    def prepare(self, job: Enrichment, buyer: str = "dag/night-1") -> RunRef:
        """Stage a run."""
        run = prepare(job, self.store(job.source), self.store(job.state_url))
        return reference(job, run, buyer)

    def ledger(self, ref: RunRef) -> Ledger:
        """Open the ledger of a run."""
        return Ledger(self.store(ref.state))

    def plan(self, ref: RunRef, attempt: int = 1) -> Plan:
        """Plan one attempt."""
        return plan(ref, attempt, self.ledger(ref), self.now, self.api.count_tokens)

    def buy(self, ref: RunRef, planned: PlannedShard) -> None:
        """Take one planned from claim to landed."""
        ledger = self.ledger(ref)
        submitter = Submitter(ledger, self.api, self.now, SubmitTiming())
        while isinstance(outcome := submitter.submit(planned.shard), Later):
            pause = outcome.until - self.now()
            self.wait(max(1.0, pause.total_seconds()))
        while not self.api.batch(outcome.batch).ended:
            time.sleep(0.02)
        land(planned.shard, ledger, self.api)

    def waves(self, ref: RunRef, first: int = 1) -> list[Plan]:
        """Buy all attempts of a run; return their plans."""
        plans = []
        for attempt in range(first, ref.rules.attempts + 1):
            attempt_plan = self.plan(ref, attempt)
            plans.append(attempt_plan)
            for planned in attempt_plan.shards:
                self.buy(ref, planned)
            if attempt and not attempt_plan.shards:
                break
        return plans

    def publish(self, ref: RunRef) -> Json:
        """Publish a run and return its report."""
        target = self.store(ref.target)
        return publish(ref, self.ledger(ref), target, self.now, self.now())

    def night(self, job: Enrichment, buyer: str = "dag/night-1") -> Json:
        """Run a job from end to end and return its report."""
        ref = self.prepare(job, buyer)
        self.waves(ref)
        return self.publish(ref)

    def published(self, target: str = TARGET) -> pa.Table:
        """Read the whole target."""
        store = self.store(target)
        all_keys = [entry.key for entry in store.list("")]
        file_keys = [key for key in all_keys if key.endswith(".parquet")]
        return pa.concat_tables(pq.read_table(store.open(key)) for key in file_keys)

    def other_costs(self, target: str = TARGET) -> Decimal:
        """Add up `other_cost_usd` of all partitions of the target, to 10^-9 USD."""
        store = self.store(target)
        costs = []
        for entry in store.list(""):
            if entry.key.endswith("_SUCCESS"):
                marker = json.loads(store.get(entry.key))
                costs.append(marker["other_cost_usd"])
        return _sum_usd(costs)

    def target_cost(self, target: str = TARGET) -> Decimal:
        """Add up what rows and reports of the target say was paid, to 10^-9 USD."""
        return column_sum(self.published(target)) + self.other_costs(target)

    def costs(self, state: str = locations.state_url(TARGET)) -> list[Json]:
        """Read the whole cost table."""
        store = self.store(state)
        rows: list[Json] = []
        for entry in store.list("costs/"):
            file_table = pq.read_table(store.open(entry.key))
            rows += file_table.to_pylist()
        return rows


def books_usd(emulator: Emulator, *, us: bool = False) -> Decimal:
    """Compute what the emulator's books say was bought, from tokens by model and this file's own prices."""
    total = Decimal(0)
    for model, usage in emulator.books()["usage"].items():
        for name, price in BATCH_PRICES[model].items():
            token_count = usage[f"{name}_tokens"]
            total += Decimal(price) * token_count
    geo_factor = Decimal("1.1") if us else Decimal(1)
    return total * geo_factor / 1_000_000


def column_sum(table: pa.Table) -> Decimal:
    """Add up `_cost_usd`, to 10^-9 USD: a float holds no more of sums."""
    return _sum_usd(table["_cost_usd"].to_pylist())


def _sum_usd(costs: list[float]) -> Decimal:
    total = sum((Decimal(repr(cost)) for cost in costs), Decimal(0))
    return total.quantize(Decimal("1e-9"))


def texts(count: int, *, start: int = 0, night: str = "") -> list[str]:
    """Write that many different texts."""
    return [
        f"Ticket {n} of {night or 'all nights'}: the invoice of order {n * 7919} is wrong"
        for n in range(start, start + count)
    ]


@pytest.fixture
def shop(message_batches_api: Emulator) -> Shop:
    """Open a fresh shop."""
    return Shop(message_batches_api)
