"""The whole flow without Airflow: the five steps one after the other, as the DAG calls them, over any world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch import flow
from nightbatch.errors import BatchGone
from nightbatch.ids import BatchId, Shard
from nightbatch.land.land import land
from nightbatch.ledger.facts import PlannedShard
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import plan
from nightbatch.ports import CancelingBatches, MeasuredStore, Store
from nightbatch.prepare.stage import stage
from nightbatch.publish.publish import publish
from nightbatch.publish.report import Report
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.outcome import Later
from nightbatch.submit.purchase import Purchase, Waiting
from nightbatch.submit.submit import Submitter
from nightbatch.wait.pace import PollTiming
from nightbatch.wait.read_progress import progress

SOURCE, TARGET = "s3://lake/in/", "s3://lake/out/"
POLLS = PollTiming(soonest=0.02, most=0.1)


class World(Protocol):
    """Where a flow runs: stores, the API, a clock, and a way to wait."""

    timing: SubmitTiming
    uploads: int

    def store(self, url: str) -> MeasuredStore: ...
    def now(self) -> datetime: ...
    def sleep(self, seconds: float) -> None: ...
    def api(self) -> CancelingBatches: ...


def settings(partition: str = "dt=1", **more: Any) -> Enrichment:
    """Return what every test asks: a short text about each row."""
    common: dict[str, Any] = {
        "source": SOURCE, "target": TARGET, "key": ["id"], "prompt": "Say: {{ text }}", "model": "claude-haiku-4-5",
        "max_tokens": 50, "partition": partition, "min_answered": 0.0, "canary": "never",
    }  # fmt: skip
    return Enrichment(**(common | more))


def rows(texts: Sequence[str]) -> pa.Table:
    """Make a source table with a text a row."""
    return pa.table(
        {"id": [f"row-{number}" for number in range(len(texts))], "text": list(texts)}
    )


def put(store: Store, key: str, table: pa.Table) -> None:
    """Write a source file."""
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    store.create(key, out.getvalue().to_pybytes())


def published(store: Store, partition: str = "dt=1") -> list[dict[str, Any]]:
    """Read a published partition: what a warehouse would see of it."""
    folder = f"{partition}/" if partition else ""
    keys = [entry.key for entry in store.list(folder)]
    assert f"{folder}_SUCCESS" in keys
    tables = []
    for key in keys:
        if key.endswith(".parquet"):
            body = pa.BufferReader(store.get(key))
            tables.append(pq.read_table(body))
    whole = pa.concat_tables(tables)
    return whole.select(["id", "answer", "_status"]).to_pylist()


@dataclass
class Flow:
    """One run: its world, what it asks, and who it is."""

    world: World
    enrichment: Enrichment = field(default_factory=settings)
    buyer: str = "dag/run"

    @property
    def ledger(self) -> Ledger:
        return Ledger(
            self.world.store(self.enrichment.state_url), self.world.timing.lease
        )

    @property
    def surroundings(self) -> flow.World:
        """What the flow of the package works on."""
        world = self.world
        return flow.World(
            world.store,
            world.api(),
            world.now,
            world.sleep,
            world.timing,
            POLLS,
            uploads=world.uploads,
        )

    def prepare(self) -> RunRef:
        world = self.world
        return stage(
            self.enrichment, world.store, self.buyer, world.now(), lambda _: None
        )

    def plan(self, ref: RunRef, attempt: int = 1) -> list[PlannedShard]:
        return plan(ref, attempt, self.ledger, self.world.now).shards

    def submit(self, shard: Shard) -> BatchId:
        """Submit, waiting as the triggerer would."""
        world = self.world
        submitter = Submitter(self.ledger, world.api(), world.now, world.timing)
        while isinstance(outcome := submitter.submit(shard), Later):
            self.pause(outcome)
        return outcome.batch

    def pause(self, later: Later) -> None:
        while self.world.now() < later.until:
            if any(map(self.ended, later.batches)):
                return
            rest = later.until - self.world.now()
            self.world.sleep(min(0.05, rest.total_seconds()))

    def wait(self, batch: BatchId) -> None:
        while batch and not self.ended(batch):
            self.world.sleep(0.02)

    def ended(self, batch: BatchId) -> bool:
        try:
            return self.world.api().batch(batch).ended
        except BatchGone:
            return True

    def land(self, shard: Shard) -> None:
        land(shard, self.ledger, self.world.api(), self.world.sleep)

    def publish(self, ref: RunRef) -> Report:
        return publish(
            ref,
            self.ledger,
            self.world.store(self.enrichment.target),
            self.world.now,
            self.world.now(),
        )

    def purchase(self, ref: RunRef) -> Purchase:
        world = self.world
        return Purchase(
            ref,
            self.ledger,
            world.api(),
            world.now,
            world.timing,
            uploads=world.uploads,
            pause=world.sleep,
        )

    def steps(self) -> Iterator[str | Report]:
        """Do the whole flow, a step at a time; the last value is the report."""
        yield from flow.steps(self.enrichment, self.surroundings, self.buyer)

    def wait_for(self, waiting: Waiting) -> None:
        """Wait as the triggerer would."""
        if waiting.later is not None:
            self.pause(waiting.later)
            return
        for batch in progress(self.ledger, waiting.awaited).batches:
            self.wait(batch.id)

    def run(self) -> Report:
        return flow.run(self.enrichment, self.surroundings, self.buyer)
