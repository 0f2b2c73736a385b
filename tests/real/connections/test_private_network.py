"""The API and S3 behind a proxy that only tunnels, with certificates of a private authority."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trustme
from tests.support.parquet import parquet
from tests.support.servers.seaweed import ACCESS, SECRET, seaweed
from tests.support.servers.tunnel import Tunnels, host, network

from nightbatch.airflow import ports
from nightbatch.airflow.client import Connection
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import Settings
from nightbatch.errors import ApiUnavailable, NotSent, StoreError, StoreUnavailable
from nightbatch.flow import World, run
from nightbatch.io.s3 import S3Store
from nightbatch.ports import Body, Page
from nightbatch.spec.enrichment import Enrichment
from nightbatch.wait.pace import PollTiming

API_CONN = "anthropic_default"
S3_CONN = "aws_default"
BUCKET = "lake"
ROWS = 5
ASKED = Enrichment(
    source=f"s3://{BUCKET}/in/", target=f"s3://{BUCKET}/out/", key=["id"], prompt="Say: {{ text }}", canary="never",
    model="claude-haiku-4-5", max_tokens=20, poll_seconds=1, partition="dt=1",
)  # fmt: skip
NIGHT = pa.table({"id": range(ROWS), "text": [f"text {row}" for row in range(ROWS)]})


@dataclass
class PrivateNetwork:
    """What stands behind the proxy, and the file with the certificate of the authority."""

    emulator: Emulator
    tunnels: Tunnels
    authority_file: Path


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one S3 server for all tests, with a night's rows."""
    with seaweed(tmp_path_factory.mktemp("s3")) as url:
        fill_lake(url)
        yield url


@pytest.fixture
def private(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PrivateNetwork]:
    """Run the API, set both behind the proxy, and connect to them by names that lead nowhere without it."""
    authority = trustme.CA()
    authority_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(authority_file))
    settings = Settings(allowed_hosts=frozenset({host("api")}))
    with (
        running(settings) as emulator,
        network(authority, api=emulator.url, s3=s3_url) as tunnels,
    ):
        connect(monkeypatch)
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, tunnels.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        yield PrivateNetwork(emulator, tunnels, authority_file)


def connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set Airflow's two connections to the names of the network."""
    endpoint = {
        "service_config": {"s3": {"endpoint_url": f"https://{host('s3')}"}},
        "region_name": "us-east-1",
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }
    connections = {
        API_CONN: {"conn_type": "anthropic", "host": f"https://{host('api')}", "password": "sk-ant-private"},
        S3_CONN: {"conn_type": "aws", "login": ACCESS, "password": SECRET, "extra": endpoint},
    }  # fmt: skip
    for conn_id, connection in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def fill_lake(s3_url: str) -> None:
    """Put a night's rows into the bucket, past the proxy."""
    session = boto3.Session(ACCESS, SECRET, region_name="us-east-1")
    client = session.client("s3", endpoint_url=s3_url)
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="in/dt=1/part-0.parquet", Body=parquet(NIGHT))


def open_store(url: str) -> S3Store:
    """Open a store as a task does, with Airflow's connection."""
    return ports.store(url, S3_CONN)


def body() -> Body:
    """Return the body of a create: what it asks for is of no matter, since it does not arrive."""
    return Body(2, iter([b"{}"]))


def trust(monkeypatch: pytest.MonkeyPatch, authority_file: Path) -> None:
    """Name the authority to the SDK, to boto3 and to pyarrow, as docs/production.md says."""
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority_file))


def test_a_night_reads_buys_and_publishes_through_tunnels(
    private: PrivateNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, private.authority_file)
    report = run(ASKED, World(open_store, ports.batches(API_CONN)), "dag/run")
    assert report["answered"] == ROWS
    assert private.emulator.books()["bought"]["requests"] == ROWS
    assert set(private.tunnels.asked) == {host("api"), host("s3")}


def test_the_authority_of_s3_may_be_named_by_the_connection_alone(
    private: PrivateNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"AIRFLOW_CONN_{S3_CONN.upper()}"
    connection = json.loads(os.environ[name])
    connection["extra"]["verify"] = str(private.authority_file)
    monkeypatch.setenv(name, json.dumps(connection))
    with open_store(f"s3://{BUCKET}/in/").open("dt=1/part-0.parquet") as file:
        assert pq.read_table(file).equals(NIGHT)


def test_a_triggerer_polls_through_a_tunnel(
    private: PrivateNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, private.authority_file)

    async def listing() -> Page:
        connection = Connection(API_CONN, PollTiming())
        try:
            client = await connection.open()
            return await client.page(None, 10)
        finally:
            await connection.close()

    assert asyncio.run(listing()).batches == []
    assert private.tunnels.asked == [host("api")]


def test_an_authority_that_is_not_trusted_is_named_with_what_names_it(
    private: PrivateNetwork,
) -> None:
    api = ports.batches(API_CONN)
    source = open_store(f"s3://{BUCKET}/in/")
    with pytest.raises(ApiUnavailable, match=r"not trusted.*SSL_CERT_FILE"):
        api.page()
    with pytest.raises(NotSent, match=r"not trusted.*SSL_CERT_FILE"):
        api.create(body())
    with pytest.raises(StoreUnavailable, match=r"not trusted.*AWS_CA_BUNDLE"):
        source.get("dt=1/part-0.parquet")
    with pytest.raises(StoreError, match=r"not trusted.*AWS_CA_BUNDLE"):
        source.open("dt=1/part-0.parquet")


def test_a_proxy_that_lets_nothing_through_is_named(private: PrivateNetwork) -> None:
    private.tunnels.ports.clear()
    api = ports.batches(API_CONN)
    with pytest.raises(ApiUnavailable, match="the proxy that HTTPS_PROXY"):
        api.page()
    with pytest.raises(NotSent, match="the proxy that HTTPS_PROXY"):
        api.create(body())
    with pytest.raises(StoreUnavailable, match="the proxy that HTTPS_PROXY"):
        open_store(f"s3://{BUCKET}/in/").get("dt=1/part-0.parquet")
