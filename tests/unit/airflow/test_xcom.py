"""What tasks hand on to each other, and what Airflow's database keeps of them, does not grow with the rows."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import plan
from nightbatch.prepare.prepare import prepare
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run import reference

JOB = Enrichment(
    source="s3://lake/in/", target="s3://lake/out/", key=["id"], prompt="About {{ body }}", model="claude-haiku-4-5",
    answer_schema={"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]},
)  # fmt: skip
SPARE = 10
"""Bytes that a few longer numbers may take."""


def handed_on(rows: int, prompt: str = "About {{ body }}") -> list[int]:
    """Return the bytes of what `prepare` and `plan` return for so many rows."""
    bucket = MemoryBucket()
    out = io.BytesIO()
    pq.write_table(
        pa.table({"id": range(rows), "body": [f"ticket {n}" for n in range(rows)]}), out
    )
    MemoryStore(JOB.source, bucket).create("part-0.parquet", out.getvalue())
    job, state = JOB.override({"prompt": prompt}), MemoryStore(JOB.state_url, bucket)
    ref = reference(
        job, prepare(job, MemoryStore(JOB.source, bucket), state), "dag/run"
    )
    made = plan(ref, 1, Ledger(state), lambda: datetime.now(UTC))
    return [
        len(json.dumps(told))
        for told in (ref.to_dict(), [asdict(planned) for planned in made.shards])
    ]


def test_a_thousand_times_the_rows_hand_on_as_many_bytes() -> None:
    assert handed_on(20_000) == pytest.approx(handed_on(20), abs=SPARE)


def test_a_longer_prompt_hands_on_as_many_bytes() -> None:
    assert handed_on(20, "About {{ body }}" * 500) == pytest.approx(
        handed_on(20), abs=SPARE
    )


def test_it_is_less_than_two_kilobytes() -> None:
    assert sum(handed_on(20)) < 2_000
