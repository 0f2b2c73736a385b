"""The stores of the suite: memory, moto, SeaweedFS; each test gets a fresh root in one of them. And a night over S3."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.support.nights.night import (  # noqa: F401 - fixtures
    message_batches_settings,
    night,
    to_parquet,
)
from tests.support.servers.proxy import Proxy, proxying
from tests.support.servers.seaweed import seaweed
from tests.support.servers.stores import KINDS, Open, moto_url, opener  # noqa: F401 - a fixture

from nightbatch.emulator.fixtures import (  # noqa: F401 - fixtures
    message_batches_api,
    message_batches_server,
)
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.ports import Store


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
