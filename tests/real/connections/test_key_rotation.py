"""An API key that is replaced while batches are in flight: the connection is read again, and the facts decide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.nights.flow import put, rows

from nightbatch.airflow import ports
from nightbatch.airflow.client import Connection
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.errors import AccountStopped, BatchGone, RunFailed, ShardsFailed
from nightbatch.ids import BatchId
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.ledger.ledger import Ledger
from nightbatch.prepare.stage import stage
from nightbatch.publish.publish import publish
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.purchase import AllLanded, Purchase, Sent
from nightbatch.wait.pace import PollTiming

CONN = "anthropic_default"
OLD, NEW, OTHER = "sk-ant-old", "sk-ant-new", "sk-ant-of-another-workspace"
BATCH_SECONDS = 600.0
ROWS = 6
ASKED = Enrichment(
    source="s3://lake/in/", target="s3://lake/out/", key=["id"], prompt="Say: {{ text }}", canary="never",
    model="claude-haiku-4-5", max_tokens=20, attempts=1, min_answered=0.0,
)  # fmt: skip


@contextmanager
def workspace(folder: Path, key: str, port: int = 0) -> Iterator[Emulator]:
    """Run a workspace that takes one key; its batches are kept in a folder."""
    settings = Settings(
        state=folder, api_keys=frozenset({key}), pace=BatchDuration(BATCH_SECONDS), port=port
    )  # fmt: skip
    with running(settings) as emulator:
        yield emulator


@dataclass
class Night:
    """A run over a store in memory, whose tasks open the API by the connection."""

    monkeypatch: pytest.MonkeyPatch
    bucket: MemoryBucket
    ref: RunRef
    awaited: str = ""

    def store(self, url: str) -> MemoryStore:
        """Open a store of the lake."""
        return MemoryStore(url, self.bucket)

    @property
    def ledger(self) -> Ledger:
        """The facts of the run's state."""
        return Ledger(self.store(self.ref.state))

    @property
    def batch(self) -> BatchId:
        """The batch that the run has bought."""
        bought = self.ledger.batch(self.ledger.view().claimed[0])
        assert bought is not None
        return bought.batch

    def connect(self, emulator: Emulator, key: str) -> None:
        """Set the connection, as a person or a secrets backend does."""
        connection = {"conn_type": "anthropic", "host": emulator.url, "password": key}
        self.monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(connection))

    def purchase(self) -> Purchase:
        """Open the purchase with the connection as it is now."""
        return Purchase(
            self.ref, self.ledger, ports.batches(CONN), lambda: datetime.now(UTC), SubmitTiming(),
            pause=lambda _: None,
        )  # fmt: skip

    def buy(self, emulator: Emulator, key: str) -> None:
        """Send the run's batch with a key."""
        self.connect(emulator, key)
        sent = self.purchase().submit("")
        assert isinstance(sent, Sent)
        self.awaited = sent.awaited

    def finish(self) -> dict[str, Any]:
        """Land and publish; return the report."""
        assert isinstance(self.purchase().land(self.awaited, ""), AllLanded)
        target = self.store(self.ref.target)
        now = datetime.now(UTC)
        return dict(publish(self.ref, self.ledger, target, lambda: now, now))

    def has_ended(self) -> bool:
        """Tell whether the batch has ended, with the client that waits in a triggerer."""

        async def look() -> bool:
            connection = Connection(CONN, PollTiming())
            client = await connection.open()
            try:
                return (await client.batch(self.batch)).batch.ended
            finally:
                await connection.close()

        return asyncio.run(look())


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Night:
    """Prepare a run."""
    bucket = MemoryBucket()
    texts = rows([f"text {number}" for number in range(ROWS)])
    put(MemoryStore(ASKED.source, bucket), "part-0.parquet", texts)
    ref = stage(
        ASKED,
        lambda url: MemoryStore(url, bucket),
        "dag/run",
        datetime.now(UTC),
        lambda _: None,
    )
    return Night(monkeypatch, bucket, ref)


@contextmanager
def replaced(night: Night, folder: Path) -> Iterator[Emulator]:
    """Buy with the old key; then run the same workspace with the new one alone, at a time when the batch has ended."""
    with workspace(folder, OLD) as emulator:
        night.buy(emulator, OLD)
        port = urlsplit(emulator.url).port or 0
    with workspace(folder, NEW, port) as emulator:
        emulator.advance(2 * BATCH_SECONDS)
        yield emulator


def test_a_new_key_of_the_same_workspace_lands_what_the_old_one_has_bought(
    night: Night, tmp_path: Path
) -> None:
    with replaced(night, tmp_path) as emulator:
        with pytest.raises(AccountStopped):
            ports.batches(CONN).batch(night.batch)
        night.connect(emulator, NEW)
        assert night.has_ended()
        report = night.finish()
        assert (report["answered"], report["bought"]) == (ROWS, ROWS)
        assert emulator.books()["bought"]["requests"] == ROWS


def test_a_revoked_key_loses_nothing_and_buys_nothing(
    night: Night, tmp_path: Path
) -> None:
    with replaced(night, tmp_path) as emulator:
        facts = dict(night.bucket.objects)
        with pytest.raises(ShardsFailed, match="Check the API key"):
            night.finish()
        assert night.bucket.objects.keys() == facts.keys()
        night.connect(emulator, NEW)
        assert night.finish()["answered"] == ROWS


def test_a_key_of_another_workspace_does_not_see_the_batches_and_a_next_run_buys_again(
    night: Night, tmp_path: Path
) -> None:
    with workspace(tmp_path / "own", OLD) as own, workspace(tmp_path / "other", OTHER) as other:  # fmt: skip
        night.buy(own, OLD)
        own.advance(2 * BATCH_SECONDS)
        night.connect(other, OTHER)
        with pytest.raises(BatchGone):
            night.has_ended()
        with pytest.raises(RunFailed, match=f"{ROWS} missing"):
            night.finish()
        night.ref = replace(night.ref, buyer="dag/next")
        night.buy(other, OTHER)
        other.advance(2 * BATCH_SECONDS)
        assert night.finish()["answered"] == ROWS
        assert own.books()["bought"]["requests"] == ROWS
        assert other.books()["bought"]["requests"] == ROWS
