"""Stores on servers, for every suite that needs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.support.servers.s3 import serving
from tests.support.servers.seaweed import ACCESS, SECRET

from nightbatch.io.s3 import S3Store, filesystem
from nightbatch.ports import Store

KINDS = ("memory", "moto", "seaweedfs")


Open = Callable[[str], Store]


def opener(endpoint: str) -> Open:
    """Return how to open a store at an S3 server; a client is dear to make, and may be shared by threads."""
    session = boto3.Session(ACCESS, SECRET, region_name="us-east-1")
    config = Config(
        s3={"addressing_style": "path"}, retries={"max_attempts": 1, "mode": "standard"}
    )
    client: Any = session.client("s3", endpoint_url=endpoint, config=config)
    if not client.list_buckets()["Buckets"]:
        client.create_bucket(Bucket="suite")
    return lambda url: S3Store(
        url, client, lambda: filesystem(client, session.get_credentials())
    )


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Run moto for the whole session, and return its URL."""
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    with serving() as url:
        yield url
