"""Nights that are published into an Iceberg table of a catalog on S3, over a ledger in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table
from tests.support.nights.flow import SOURCE, Flow, put, rows
from tests.support.nights.memory import MemoryWorld

from nightbatch.airflow import iceberg
from nightbatch.publish.publish import publish
from nightbatch.spec.enrichment import Enrichment

NAME, STATE = "lake.triage", "s3://lake/_nightbatch/triage/"
SEAL = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/abc",
}
KEYS = {
    "aws_access_key_id": "any",
    "aws_secret_access_key": "any",
    "region_name": "us-east-1",
}


class Night:
    """A table of its own in a SQL catalog on S3, published into by runs over a ledger in memory."""

    def __init__(self, catalog: dict[str, str]) -> None:
        self.world, self.catalog, self.runs = MemoryWorld(), catalog, 0
        self.written: Any = None

    def publish(
        self, partition: str, texts: Sequence[str], **more: Any
    ) -> dict[str, Any]:
        source = self.world.store(SOURCE)
        source.remove([entry.key for entry in source.list(f"{partition}/")])
        put(source, f"{partition}/part-0.parquet", rows(texts))
        self.runs += 1
        given: dict[str, Any] = {
            "source": SOURCE, "table": NAME, "state": STATE, "key": ["id"], "prompt": "Say: {{ text }}",
            "model": "claude-haiku-4-5", "partition": partition, "canary": "never", "min_answered": 0.9,
        }  # fmt: skip
        asked = Enrichment(**(given | more))
        flow = Flow(self.world, asked, buyer=f"dag/{self.runs}")
        ref = replace(flow.prepare(), target=asked.output_name)
        for planned in flow.plan(ref):
            flow.wait(flow.submit(planned.shard))
            flow.land(planned.shard)
        if self.written is None:
            rules = replace(
                ref.rules, table=NAME, iceberg_conn_id="ice", aws_conn_id="aws_ice"
            )
            self.written = iceberg.table(replace(ref, rules=rules))
        return publish(ref, flow.ledger, self.written, self.world.now, self.world.now())

    @property
    def table(self) -> Table:
        """The table as any other client of the catalog sees it."""
        return load_catalog("ice", **self.catalog).load_table(NAME)

    def held(self) -> list[tuple[str, str]]:
        found = self.table.scan().to_arrow().to_pylist()
        return sorted(
            (str(row["dt"]), row["answer"].removeprefix("about Say: ")) for row in found
        )

    def files(self) -> set[str]:
        return {task.file.file_path for task in self.table.scan().plan_files()}


def reader(s3: str) -> dict[str, str]:
    """Return what another client of a catalog needs to read the bucket."""
    keys = {
        "s3.access-key-id": "any",
        "s3.secret-access-key": "any",
        "s3.region": "us-east-1",
    }
    return {"s3.endpoint": s3, **keys}


@contextmanager
def table_in(s3: str, catalog: dict[str, str], **connection: str) -> Iterator[Night]:
    """Empty the bucket, and publish into a catalog of these properties through a connection of Airflow."""
    client = boto3.resource("s3", endpoint_url=s3, **KEYS)  # type: ignore[call-overload]
    client.Bucket("lake").create()
    client.Bucket("lake").objects.delete()
    extra = {
        "endpoint_url": s3,
        "region_name": "us-east-1",
        "service_config": {"s3": {"extra_args": SEAL}},
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, given in (
            (
                "ICE",
                {
                    "conn_type": "generic",
                    **connection,
                    "extra": {**catalog, "name": "ice"},
                },
            ),
            (
                "AWS_ICE",
                {"conn_type": "aws", "login": "any", "password": "any", "extra": extra},
            ),
        ):
            environment.setenv(f"AIRFLOW_CONN_{name}", json.dumps(given))
        yield Night(
            {
                **catalog,
                **reader(s3),
                **({"uri": connection["host"]} if connection else {}),
            }
        )
