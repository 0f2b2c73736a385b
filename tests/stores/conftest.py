"""The stores of the suite: memory, moto, SeaweedFS; each test gets a fresh root in one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from tests.s3 import serving
from tests.stores.proxy import Proxy, proxying
from tests.stores.seaweed import ACCESS, SECRET, seaweed

from nightbatch.io.memory import MemoryBucket, MemoryStore
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


@pytest.fixture(scope="session")
def seaweed_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run SeaweedFS for the whole session."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as url:
        yield url


@pytest.fixture(scope="session")
def open_moto(moto_url: str) -> Open:
    """Return how to open a store on moto."""
    return opener(moto_url)


@pytest.fixture(scope="session")
def open_seaweed(seaweed_url: str) -> Open:
    """Return how to open a store on SeaweedFS."""
    return opener(seaweed_url)


@pytest.fixture(params=KINDS)
def open_store(request: pytest.FixtureRequest) -> Open:
    """Return how to open one store again and again, each time as somebody else would."""
    root = uuid4().hex
    if request.param == "memory":
        bucket = MemoryBucket()
        return lambda url: MemoryStore(url.replace("suite", root), bucket)
    made: Open = request.getfixturevalue(
        {"moto": "open_moto", "seaweedfs": "open_seaweed"}[request.param]
    )
    return lambda url: made(url.replace("suite/", f"suite/{root}/"))


@pytest.fixture
def store(open_store: Open) -> Store:
    """Return a store with nothing in it."""
    return open_store("s3://suite/state/")


@pytest.fixture
def proxy(moto_url: str) -> Iterator[Proxy]:
    """Return a proxy before moto."""
    with proxying(moto_url) as running:
        yield running


@pytest.fixture
def behind(proxy: Proxy) -> Store:
    """Return a store behind the proxy."""
    return opener(proxy.url)(f"s3://suite/{uuid4().hex}/")
