"""A world of real servers, by their addresses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.support.nights.flow import SOURCE, put
from tests.support.servers.seaweed import ACCESS, SECRET

from nightbatch.ports import CancelingBatches, MeasuredStore
from nightbatch.submit.decide import SubmitTiming

QUICK = SubmitTiming(
    send=2, answer=0.5, settle=0.3, clock_slack=0.5, look=0.05, lease=1.5
)
TEXTS = ["alpha", "beta", "gamma", "beta", "delta"]
"""The rows of a source partition on real servers."""


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
        moment = time.time() + self.clock_offset
        clock_file = Path(self.clock)
        if self.clock and clock_file.exists():
            moment += float(clock_file.read_text())
        return datetime.fromtimestamp(moment, UTC)

    def sleep(self, seconds: float) -> None:
        # Not less: ten that ask all the time would keep the machine busy.
        least_seconds = max(seconds, 0.05)
        time.sleep(min(least_seconds, 0.1))

    def api(self) -> CancelingBatches:
        return _api(self.emulator, self.answer_seconds)

    def make_bucket(self, table: pa.Table, partition: str = "dt=1") -> None:
        """Create the bucket anew with one source partition."""
        client, _ = _s3(self.s3)
        buckets = client.list_buckets()["Buckets"]
        if any(bucket["Name"] == "lake" for bucket in buckets):
            _empty(client, "lake")
        else:
            client.create_bucket(Bucket="lake")
        put(self.store(SOURCE), f"{partition}/part-0.parquet", table)


def _empty(client: Any, bucket: str) -> None:
    """Remove every object of a bucket."""
    paginator = client.get_paginator("list_objects_v2")
    for page in paginator.paginate(Bucket=bucket):
        objects = [{"Key": entry["Key"]} for entry in page.get("Contents", [])]
        if objects:
            client.delete_objects(Bucket=bucket, Delete={"Objects": objects})


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
