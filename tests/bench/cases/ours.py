"""The path through nightbatch: its steps over a folder as the store and the official client as the wire."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import numpy as np
from anthropic.types.messages import MessageBatchIndividualResponse
from tests.bench.cases.folder import FolderStore
from tests.bench.data import (
    MAX_TOKENS,
    MODEL,
    NARROW_SCHEMA,
    NARROW_TEMPLATE,
    SCHEMA,
    SYSTEM,
    TEMPLATE,
    write_tickets,
)

from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.land.land import land
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import plan
from nightbatch.prepare.prepare import prepare
from nightbatch.publish.publish import publish
from nightbatch.spec.enrichment import Enrichment, Prompt
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.outcome import Submitted
from nightbatch.submit.submit import Submitter

ENRICHMENT = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/triage/", key=["ticket_id"],
    prompt=Prompt(system=SYSTEM, user=TEMPLATE), answer_schema=SCHEMA, model=MODEL, max_tokens=MAX_TOKENS,
)  # fmt: skip
NARROW = replace(
    ENRICHMENT,
    prompt=Prompt(system="How urgent?", user=NARROW_TEMPLATE),
    answer_schema=NARROW_SCHEMA,
)


def warm() -> None:
    """Import what pyarrow, the SDK and the price table import late."""
    with tempfile.TemporaryDirectory() as folder:
        write_tickets(Path(folder) / "tickets", 10)
        reference = prepare_rows(f"{folder}/tickets", folder)
        plan(reference, 1, ledger(folder), now)
    assert api("http://127.0.0.1:9")
    assert MessageBatchIndividualResponse
    np.ma.masked_array([1])


def now() -> datetime:
    return datetime.now(UTC)


def ledger(root: str) -> Ledger:
    return Ledger(FolderStore(Path(root) / "state"))


def api(url: str) -> AnthropicBatches:
    return AnthropicBatches(anthropic.Anthropic(api_key="bench", base_url=url))


def ref(run: Run) -> RunRef:
    return RunRef(
        state="s3://lake/_nightbatch/triage/", target=run.target, partition=run.partition, snapshot=run.snapshot,
        buyer="bench/1", rows=run.rows, requests=run.requests,
    )  # fmt: skip


def prepare_rows(source: str, root: str, *, narrow: bool = False) -> RunRef:
    return ref(
        prepare(
            NARROW if narrow else ENRICHMENT,
            FolderStore(Path(source)),
            ledger(root).store,
        )
    )


def ask(source: str, root: str, url: str, *, narrow: bool = False) -> dict[str, Any]:
    """rows → staged requests → claims → POST."""
    reference = prepare_rows(source, root, narrow=narrow)
    made = plan(reference, 1, ledger(root), now)
    buyer = Submitter(ledger(root), api(url), now, SubmitTiming())
    batches = {}
    for planned in made.shards:
        outcome = buyer.submit(planned.shard)
        assert isinstance(outcome, Submitted)
        batches[planned.shard] = outcome.batch
    return {"ref": reference.to_dict(), "batches": batches}


def land_all(root: str, url: str, shards: list[str]) -> int:
    """results → landed Parquet."""
    return sum(land(shard, ledger(root), api(url)).lines for shard in shards)  # type: ignore[arg-type]


def publish_rows(root: str, reference: dict[str, Any]) -> int:
    """rows ⋈ answers → partition."""
    given = RunRef.from_xcom(reference)
    return int(
        publish(given, ledger(root), FolderStore(Path(root) / "target"), now, now())[
            "rows"
        ]
    )
