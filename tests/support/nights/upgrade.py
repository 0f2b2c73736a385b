"""A run that version 0.1 has begun, as it left the lake, its references in XCom, and the account's books.

`python -m tests.support.nights.upgrade` wrote tests/data/begun_by_0_1: a run that has bought two batches and awaits
them. It is not written again: what it shows is that every later version can finish what 0.1 has begun.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anthropic
from tests.support.nights.flow import rows
from tests.support.parquet import parquet

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.prepare.stage import stage
from nightbatch.spec.enrichment import Enrichment
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.purchase import Purchase, Sent

FOLDER = Path(__file__).parents[2] / "data" / "begun_by_0_1"
ROWS = 12
BEGUN = Enrichment(
    source="s3://lake/in/", target="s3://lake/out/", key=["id"], prompt="Say: {{ text }}", canary="never",
    model="claude-haiku-4-5", max_tokens=20, max_batch_requests=6,
)  # fmt: skip
BATCH_SECONDS = 60.0


@dataclass(frozen=True)
class Begun:
    """The run: its lake, the account at a time when the batches have ended, that time, and what XCom carries."""

    bucket: MemoryBucket
    emulator: Emulator
    api: AnthropicBatches
    now: datetime
    reference: dict[str, Any]
    awaited: str

    def store(self, url: str) -> MemoryStore:
        """Open a store of the lake."""
        return MemoryStore(url, self.bucket)


@contextmanager
def begun_by_0_1(folder: Path) -> Iterator[Begun]:
    """Set up the run as 0.1 has left it, some minutes later; `folder` gets a copy of the account's files."""
    xcom = _read("xcom.json")
    began = datetime.fromisoformat(xcom["now"])
    now = began + timedelta(seconds=10 * BATCH_SECONDS)
    bucket = _lake(began)
    shutil.copytree(FOLDER / "account", folder)
    offset = (now - datetime.now(UTC)).total_seconds()
    with account(folder, offset) as (emulator, api):
        yield Begun(bucket, emulator, api, now, xcom["reference"], xcom["awaited"])


def _read(name: str) -> dict[str, Any]:
    """Read one of the files that were kept."""
    file = FOLDER / name
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def _lake(began: datetime) -> MemoryBucket:
    """Return the lake, all of whose objects were written when the run began."""
    bucket = MemoryBucket()
    for url, body in _read("lake.json").items():
        bucket.objects[url] = base64.b64decode(body)
        bucket.written[url] = began
    return bucket


@contextmanager
def account(folder: Path, offset: float) -> Iterator[tuple[Emulator, AnthropicBatches]]:
    """Run the local API over the files of an account, at another time."""
    pace = BatchDuration(seconds=BATCH_SECONDS)
    settings = Settings(state=folder, clock_offset=offset, pace=pace)
    with running(settings) as emulator:
        client = anthropic.Anthropic(base_url=emulator.url, api_key="sk-ant-upgrade")
        yield emulator, AnthropicBatches(client)


def main() -> None:
    """Begin the run, and keep what it has left."""
    bucket = MemoryBucket()
    now = datetime.now(UTC)

    def store(url: str) -> Any:
        return MemoryStore(url, bucket)

    texts = rows([f"text {number}" for number in range(ROWS)])
    store(BEGUN.source).create("part-0.parquet", parquet(texts))
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with account(FOLDER / "account", 0.0) as (_, api):
        ref = stage(BEGUN, store, "begun", now, lambda _: None)
        from nightbatch.ledger.ledger import Ledger

        ledger = Ledger(store(ref.state))
        sent = Purchase(ref, ledger, api, lambda: now, SubmitTiming()).submit("")
        assert isinstance(sent, Sent)
    objects = {
        url: base64.b64encode(body).decode() for url, body in bucket.objects.items()
    }
    (FOLDER / "lake.json").write_text(json.dumps(objects, indent=1))
    xcom = {
        "now": now.isoformat(),
        "reference": ref.to_dict(),
        "awaited": sent.awaited,
    }
    (FOLDER / "xcom.json").write_text(json.dumps(xcom, indent=1))


if __name__ == "__main__":
    main()
