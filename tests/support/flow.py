"""The whole flow without Airflow: the five steps one after the other, as the DAG calls them, over any world."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.servers.seaweed import ACCESS, SECRET

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
QUICK = SubmitTiming(
    send=2, answer=0.5, settle=0.3, clock_slack=0.5, look=0.05, lease=1.5
)


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
    given: dict[str, Any] = {
        "source": SOURCE, "target": TARGET, "key": ["id"], "prompt": "Say: {{ text }}", "model": "claude-haiku-4-5",
        "max_tokens": 50, "partition": partition, "min_answered": 0.0, "canary": "never",
    }  # fmt: skip
    return Enrichment(**(given | more))


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
    names = [
        entry.key for entry in store.list(folder) if entry.key.endswith(".parquet")
    ]
    assert f"{folder}_SUCCESS" in [entry.key for entry in store.list(folder)]
    tables = [pq.read_table(pa.BufferReader(store.get(name))) for name in names]
    return pa.concat_tables(tables).select(["id", "answer", "_status"]).to_pylist()


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
        buyer = Submitter(
            self.ledger, self.world.api(), self.world.now, self.world.timing
        )
        while isinstance(outcome := buyer.submit(shard), Later):
            self.pause(outcome)
        return outcome.batch

    def pause(self, later: Later) -> None:
        while self.world.now() < later.until and not any(
            self.ended(batch) for batch in later.batches
        ):
            self.world.sleep(
                min(0.05, (later.until - self.world.now()).total_seconds())
            )

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


@dataclass(frozen=True)
class RealWorld:
    """A bucket on an S3 server and an emulator, by their addresses: it can be handed to another process."""

    s3: str
    emulator: str
    timing: SubmitTiming = QUICK
    answer_seconds: float = 30.0
    uploads: int = 3
    clock_offset: float = 0.0
    clock: str = ""
    """A file that tells how many seconds more the clock is ahead: a test can turn it while processes run."""

    def store(self, url: str) -> MeasuredStore:
        from nightbatch.io.s3 import S3Store

        client, filesystem = _s3(self.s3)
        return S3Store(url, client, lambda: filesystem)

    def now(self) -> datetime:
        turned = (
            float(Path(self.clock).read_text())
            if self.clock and Path(self.clock).exists()
            else 0.0
        )
        return datetime.fromtimestamp(time.time() + self.clock_offset + turned, UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(
            min(max(seconds, 0.05), 0.1)
        )  # not less: ten that ask all the time would keep the machine busy

    def api(self) -> CancelingBatches:
        return _api(self.emulator, self.answer_seconds)

    def make_bucket(self, table: pa.Table, partition: str = "dt=1") -> None:
        """Create the bucket anew with one source partition."""
        client, _ = _s3(self.s3)
        if any(bucket["Name"] == "lake" for bucket in client.list_buckets()["Buckets"]):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket="lake"):
                if there := [
                    {"Key": entry["Key"]} for entry in page.get("Contents", [])
                ]:
                    client.delete_objects(Bucket="lake", Delete={"Objects": there})
        else:
            client.create_bucket(Bucket="lake")
        put(self.store(SOURCE), f"{partition}/part-0.parquet", table)


@cache
def _session() -> Any:
    import boto3

    return boto3.Session(ACCESS, SECRET, region_name="us-east-1")


@cache
def _s3(endpoint: str) -> tuple[Any, Any]:
    """Make a client and a filesystem, once a process: they are dear."""
    from botocore.config import Config

    from nightbatch.io.s3 import filesystem

    session = _session()
    client: Any = session.client(
        "s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"})
    )
    return client, filesystem(client, session.get_credentials())


@cache
def _api(url: str, answer_seconds: float) -> CancelingBatches:
    import anthropic

    from nightbatch.io.anthropic_sdk.batches import AnthropicBatches

    return AnthropicBatches(
        anthropic.Anthropic(base_url=url, api_key="sk-test", timeout=answer_seconds)
    )
