"""A night without Airflow: the steps one after the other, over a lake in memory and the emulator's real wire."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import anthropic
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.parquet import parquet

from nightbatch.emulator.embedded import Emulator
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.flow import World, run
from nightbatch.ids import Shard
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.land.land import land
from nightbatch.ledger import keys
from nightbatch.ledger.facts import LandedFact
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import Plan, plan
from nightbatch.prepare.prepare import prepare
from nightbatch.publish.publish import publish
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.outcome import Submitted
from nightbatch.submit.submit import Submitter
from nightbatch.wait.pace import PollTiming

SOURCE, TARGET = "s3://lake/tickets/", "s3://lake/triage/"
TIMING = SubmitTiming(send=5, answer=0.1, settle=0.1, clock_slack=60, look=0.05)


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass
class Night:
    """One dataset, one ledger, one account; every step can be called by itself."""

    emulator: Emulator
    api: AnthropicBatches
    bucket: MemoryBucket
    settings: Enrichment

    def store(self, url: str) -> Any:
        """Open a store below a URL."""
        return MemoryStore(url, self.bucket)

    def put(
        self, name: str, table: pa.Table | list[dict[str, Any]], **how: Any
    ) -> None:
        """Write a source file."""
        if not isinstance(table, pa.Table):
            table = pa.Table.from_pylist(table)
        self.put_bytes(SOURCE + name, parquet(table, **how))

    def put_bytes(self, url: str, body: bytes) -> None:
        """Write an object, in place of what is there."""
        self.bucket.objects[url] = body

    @property
    def ledger(self) -> Ledger:
        """The ledger of the target."""
        return Ledger(self.store(self.settings.state_url))

    def prepare(self, buyer: str = "first", **changes: Any) -> RunRef:
        """Prepare, as the night is set or with changes to it."""
        settings = replace(self.settings, **changes)
        settings.check()
        source = self.store(settings.source_root)
        state = self.store(settings.state_url)
        run = prepare(settings, source, state)
        return RunRef(
            state=settings.state_url, target=settings.output_name, partition=run.partition, snapshot=run.snapshot,
            buyer=buyer, rows=run.rows, requests=run.requests, rules=settings.rules,
        )  # fmt: skip

    def plan(self, ref: RunRef, attempt: int) -> Plan:
        """Plan one attempt."""
        return plan(ref, attempt, self.ledger, now)

    def buy(self, shard: Shard) -> str:
        """Submit a shard and wait for the end of its batch."""
        submitter = Submitter(self.ledger, self.api, now, TIMING)
        for _ in range(200):
            outcome = submitter.submit(shard)
            if isinstance(outcome, Submitted):
                break
            pause = outcome.until - now()
            time.sleep(max(0.0, pause.total_seconds()))
        while not self.api.batch(outcome.batch).ended:  # type: ignore[union-attr]
            time.sleep(0.01)
        return str(outcome.batch)  # type: ignore[union-attr]

    def land(self, shard: Shard) -> LandedFact:
        """Land a shard without pausing between two looks."""
        return land(shard, self.ledger, self.api, pause=lambda _: None)

    def shards(self, ref: RunRef, attempt: int) -> list[LandedFact]:
        """Run one attempt to its end."""
        facts = []
        for planned in self.plan(ref, attempt).shards:
            self.buy(planned.shard)
            fact = self.land(planned.shard)
            facts.append(fact)
        return facts

    def publish(self, ref: RunRef) -> dict[str, Any]:
        """Publish."""
        return publish(ref, self.ledger, self.store(ref.target), now, now())

    def run(
        self, buyer: str = "first", *, waves: int = 3, **changes: Any
    ) -> dict[str, Any]:
        """Run the whole night and return its report."""
        settings = replace(self.settings, **{"attempts": waves, **changes})
        world = World(
            self.store,
            self.api,
            now,
            lambda seconds: time.sleep(min(seconds, 0.01)),
            TIMING,
            PollTiming(soonest=0.01),
        )
        return run(settings, world, buyer)

    def table(self, partition: str = "") -> pa.Table:
        """Read what is published in a partition."""
        folder = TARGET + (f"{partition}/" if partition else "")
        tables = []
        for url, body in sorted(self.bucket.objects.items()):
            if url.startswith(f"{folder}part-"):
                table = pq.read_table(io.BytesIO(body))
                tables.append(table)
        return pa.concat_tables(tables)

    def facts(self, prefix: str) -> list[str]:
        """List the ledger's keys below a prefix."""
        return [entry.key for entry in self.ledger.store.list(prefix)]

    @property
    def bought(self) -> int:
        """Count the claims, which come before every purchase."""
        return len(self.facts(keys.CLAIMS))


@pytest.fixture(scope="session")
def message_batches_settings() -> Settings:
    """Return how the emulator runs: quick batches."""
    return Settings(pace=BatchDuration(seconds=0.02))


@pytest.fixture
def night(message_batches_api: Emulator) -> Iterator[Night]:
    """Return a night with ten tickets and one text column asked for, and no canary."""
    client = anthropic.Anthropic(
        base_url=message_batches_api.url, api_key="sk-test", max_retries=0
    )
    settings = Enrichment(
        source=SOURCE, target=TARGET, key=["id"], prompt="Say something of: {{ body }}", model="claude-haiku-4-5",
        max_tokens=200, canary="never",
    )  # fmt: skip
    api = AnthropicBatches(client)
    night = Night(message_batches_api, api, MemoryBucket(), settings)
    night.put("a.parquet", tickets(10))
    yield night
    client.close()


def tickets(count: int) -> list[dict[str, Any]]:
    """Make tickets, each with a body of its own."""
    topics = itertools.cycle(["invoice", "parcel", "password", "crash", "refund"])
    return [
        {"id": number, "body": f"ticket {number} about my {next(topics)}"}
        for number in range(count)
    ]


@pytest.fixture
def make_tickets() -> Callable[[int], list[dict[str, Any]]]:
    """Return what makes tickets."""
    return tickets


@pytest.fixture
def to_parquet() -> Callable[..., bytes]:
    """Return what makes the bytes of a Parquet file."""
    return parquet
