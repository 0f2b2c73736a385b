"""What `run.json` holds is read again as it was written, by this version and by others."""

from __future__ import annotations

import json

from nightbatch.ids import Snapshot
from nightbatch.spec.run import Run

RUN = Run(
    snapshot=Snapshot("0f1e"), source="s3://lake/in/", target="s3://lake/out/", partition="dt=1", kept=["id", "lang"],
    key=["id"], model="claude-haiku-4-5", max_tokens=20, schema={"type": "object"}, wire='{"model":"m"}', identity="{}",
    files=[["part-0.parquet", 12, "etag"]], parts=1, rows=6, requests=5, source_bytes=900, question="ab",
)  # fmt: skip


def test_a_run_is_read_as_it_was_written() -> None:
    assert Run.from_json(RUN.to_json()) == RUN


def test_a_run_of_one_text_column_is_read_as_it_was_written() -> None:
    assert (
        Run.from_json(
            json.dumps({**json.loads(RUN.to_json()), "schema": None}).encode()
        ).schema
        is None
    )


def test_fields_that_a_later_version_added_are_skipped() -> None:
    later = {**json.loads(RUN.to_json()), "language": "de", "stages": [1, 2]}
    assert Run.from_json(json.dumps(later).encode()) == RUN


def test_fields_that_an_earlier_version_had_not_have_their_defaults() -> None:
    earlier = json.loads(RUN.to_json())
    del earlier["source_bytes"], earlier["question"]
    assert Run.from_json(json.dumps(earlier).encode()).source_bytes == 0
