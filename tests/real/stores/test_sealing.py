"""Every object written carries the encryption that was asked for, and none can be made readable to others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3
import pytest
from tests.support.nights.flow import SOURCE, TARGET, Flow, put, rows
from tests.support.nights.real import RealWorld
from tests.support.servers.s3 import serving

from nightbatch.__main__ import main
from nightbatch.airflow import ports
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.errors import SettingsError
from nightbatch.io.s3 import PART_BYTES, S3Store

SEAL = {
    "ServerSideEncryption": "aws:kms",
    "SSEKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/abc",
}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """Run an S3 server that the connection `aws_sealed` reaches; return a client of it."""
    with serving() as url:
        yield from _open(url)


def _open(url: str) -> Iterator[Any]:
    extra = {
        "endpoint_url": url,
        "region_name": "us-east-1",
        "service_config": {"s3": {"extra_args": SEAL}},
    }
    connection = {"conn_type": "aws", "login": "any", "password": "any", "extra": extra}
    sealed.cache_clear()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_AWS_SEALED", json.dumps(connection))
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_ENDPOINT_URL", url),
        ):
            environment.setenv(name, value)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("NIGHTBATCH_S3_EXTRA_ARGS", json.dumps(SEAL))
        client = boto3.client("s3")
        client.create_bucket(Bucket="lake")
        boto3.resource("s3").Bucket("lake").objects.delete()
        yield client


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running(Settings(pace=BatchDuration(seconds=0.05))) as server:
        yield server


class SealedWorld(RealWorld):
    """Real servers, reached through an Airflow connection."""

    def store(self, url: str) -> S3Store:
        return sealed(url)


@cache
def sealed(url: str) -> S3Store:
    return ports.store(url, "aws_sealed")


def heads(client: Any) -> dict[str, Mapping[str, Any]]:
    found = client.list_objects_v2(Bucket="lake").get("Contents", [])
    return {
        item["Key"]: client.head_object(Bucket="lake", Key=item["Key"])
        for item in found
    }


def test_every_object_of_a_run_and_of_an_expiry_is_sealed(
    s3: Any, emulator: Emulator
) -> None:
    world = SealedWorld(emulator.url, emulator.url)
    put(world.store(SOURCE), "dt=1/part-0.parquet", rows(["x", "y"]))
    flow = Flow(world)
    flow.run()
    assert main(["expire", flow.enrichment.state_url, "--older-than", "1h"]) == 0
    store = world.store(flow.enrichment.state_url)
    store.replace("landed/00000001.parquet", store.get("landed/00000001.parquet"))
    written = heads(s3)
    assert {key.split("/")[0] for key in written} == {"in", "out", "_nightbatch"}
    assert [
        key
        for key, head in written.items()
        if head.get("SSEKMSKeyId") != SEAL["SSEKMSKeyId"]
    ] == []


def test_a_large_object_in_parts_is_sealed(s3: Any) -> None:
    upload = ports.store(TARGET, "aws_sealed").upload("large")
    upload.write(bytes(PART_BYTES + 1))
    assert upload.commit()
    assert heads(s3)["out/large"]["ServerSideEncryption"] == "aws:kms"


def test_no_write_asks_for_an_acl_or_a_grant(s3: Any) -> None:
    store = ports.store(TARGET, "aws_sealed")
    asked: set[str] = set()
    store.client.meta.events.register(
        "before-call.s3",
        lambda params, **_: asked.update(map(str.lower, params["headers"])),
    )
    store.create("small", b"x")
    store.replace("small", b"y")
    upload = store.upload("again")
    upload.write(bytes(PART_BYTES + 1))
    assert upload.commit()
    assert "x-amz-server-side-encryption" in asked
    assert not [header for header in asked if "acl" in header or "grant" in header]


@pytest.mark.parametrize("name", ["ACL", "GrantRead", "Metadata"])
def test_no_setting_can_open_what_is_written(s3: Any, name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        S3Store("s3://lake/x/", s3, lambda: None, {**SEAL, name: "public-read"})
