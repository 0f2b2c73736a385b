"""Everything goes wrong at once, and still every row comes out once, with a status and a reason, and the sums agree."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from tests.support.servers.s3 import serving

from nightbatch.emulator.embedded import running
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.errors import ApiUnavailable, Incomplete
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.io.s3 import S3Store, filesystem

ROWS = 1_200
SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"type": "string"},
        "score": {"type": "integer", "minimum": 0},
    },
    "required": ["mood", "score"],
}
FAULTS = [
    {"where": "row", "what": "errored", "type": "api_error", "probability": 0.08},
    {"where": "row", "what": "expired", "probability": 0.08},
    {
        "where": "row",
        "what": "errored",
        "type": "overloaded_error",
        "probability": 0.05,
    },
    {"where": "row", "what": "invalid_json", "probability": 0.04},
    {"where": "row", "what": "refusal", "probability": 0.03},
    {"where": "row", "what": "max_tokens", "probability": 0.03},
    {
        "where": "row",
        "what": "errored",
        "type": "invalid_request_error",
        "probability": 0.02,
    },
    {"where": "row", "what": "unknown_stop", "probability": 0.01},
    {"where": "results", "what": "reset", "probability": 0.4},
    {"where": "results", "what": "cut_mid_line", "probability": 0.3},
    {"where": "results", "what": "cut_clean", "probability": 0.3},
    {"where": "results", "what": "garbled", "lines": 2, "probability": 0.5},
    {"where": "results", "what": "unknown_type", "lines": 2, "nth": 1},
    {"where": "results", "what": "duplicated", "lines": 3, "probability": 0.5},
    {"where": "results", "what": "unknown_id", "lines": 3, "probability": 0.5},
    {"where": "results", "what": "overloaded", "probability": 0.2},
    {"where": "create", "what": "rate_limit", "nth": 1, "retry_after": 0.2},
    {"where": "retrieve", "what": "api_error", "probability": 0.1},
]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """Run a real S3 server and return a client of it."""
    with serving() as url:
        client = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1",
            aws_access_key_id="key", aws_secret_access_key="secret", config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip
        client.create_bucket(Bucket="lake")
        yield client


class Patient:
    """An API whose reads of a batch are repeated, as the poller repeats them."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)

    def batch(self, name: Any) -> Any:
        for _ in range(20):
            try:
                return self.api.batch(name)
            except Exception as error:
                last = error
        raise last


def retried(land: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a landing that is tried again after an error, as Airflow tries a task again."""

    def persist(shard: Any) -> Any:
        for _ in range(9):
            try:
                return land(shard)
            except (ApiUnavailable, Incomplete) as error:
                last = error
        raise last

    return persist


def rows() -> list[dict[str, Any]]:
    """Make rows, with duplicates and some that cannot be asked."""
    made: list[dict[str, Any]] = [
        {"id": n, "body": f"ticket {n % (ROWS - 100)} is late"} for n in range(ROWS)
    ]
    for empty in (17, 400):
        made[empty]["body"] = " "
    made[900]["body"] = "x" * 400_000
    return made


@pytest.fixture
def outcome(night: Any, s3: Any, to_parquet: Any) -> Any:
    """Run the night with all faults set, over real S3."""
    credentials = boto3.Session(
        aws_access_key_id="key", aws_secret_access_key="secret"
    ).get_credentials()
    night.store = lambda url: S3Store(url, s3, lambda: filesystem(s3, credentials))
    table = pa.Table.from_pylist(rows())
    s3.put_object(
        Bucket="lake", Key="tickets/a.parquet", Body=to_parquet(table.slice(0, 700))
    )
    s3.put_object(
        Bucket="lake", Key="tickets/b.parquet", Body=to_parquet(table.slice(700))
    )
    with running(
        Settings(faults=tuple(FAULTS), seed=7, pace=BatchDuration(seconds=0.02))
    ) as emulator:
        client = anthropic.Anthropic(
            base_url=emulator.url, api_key="sk-test", max_retries=0
        )
        night.api, night.emulator = Patient(AnthropicBatches(client)), emulator
        night.land = retried(night.land)
        report = night.run(
            canary="new", prompt="{{ body }}", answer_schema=SCHEMA, min_answered=0.5, max_batch_requests=300,
            max_batch_bytes=300_000,
        )  # fmt: skip
        yield report, published(s3), emulator.books()
        client.close()


def published(s3: Any) -> list[dict[str, Any]]:
    """Read the partition."""

    keys = [
        entry["Key"]
        for entry in s3.list_objects_v2(Bucket="lake", Prefix="triage/part-")[
            "Contents"
        ]
    ]
    bodies = [
        s3.get_object(Bucket="lake", Key=key)["Body"].read() for key in sorted(keys)
    ]
    return [
        row for body in bodies for row in pq.read_table(io.BytesIO(body)).to_pylist()
    ]


def test_every_row_comes_out_once_with_a_status_and_a_reason(outcome: Any) -> None:
    report, out, books = outcome
    assert [row["id"] for row in out] == list(range(ROWS))
    assert all(row["_error"] for row in out if row["_status"] != "answered")
    assert all(
        row["mood"] is not None and row["_error"] is None
        for row in out
        if row["_status"] == "answered"
    )
    assert all(row["mood"] is None for row in out if row["_status"] != "answered")

    by_status = Counter(row["_status"] for row in out)
    assert report["by_status"] == dict(by_status)
    assert sum(by_status.values()) == report["rows"] == ROWS
    assert {"answered", "refused", "truncated", "rejected"} <= set(by_status)
    assert by_status["answered"] > 0.85 * ROWS
    assert [out[n]["_error"] for n in (17, 900)] == [
        "the prompt is empty after rendering",
        "the request is larger than max_batch_bytes",
    ]

    assert report["bought"] == report["requests"]
    assert report["batches"] == len(books["by_batch"])
    assert sum(row["_cost_usd"] for row in out) == pytest.approx(
        report["cost_usd"], abs=1e-6
    )
    assert report["cost_usd"] <= books["cost_usd"] + 1e-6
