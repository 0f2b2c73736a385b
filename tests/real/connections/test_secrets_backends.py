"""A night whose connections are neither in the environment nor in Airflow's database, but in a secrets backend."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk.configuration import clear_secrets_backends_cache
from tests.support.flow import put, rows
from tests.support.servers.stores import moto_url  # noqa: F401 - a fixture

from nightbatch.airflow import ports
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.errors import SettingsError
from nightbatch.flow import World, run
from nightbatch.spec.enrichment import Enrichment

API_KEY = "sk-ant-from-a-backend"
S3_SECRET = "secret-from-a-backend"
REGION = "eu-central-1"
PREFIX = "airflow/connections"
FILE_BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
MANAGER_BACKEND = (
    "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
)
ROWS = 6


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Run an account."""
    with running() as account:
        yield account


@pytest.fixture
def connections(emulator: Emulator, moto_url: str) -> dict[str, dict[str, Any]]:  # noqa: F811
    """Return the two connections, as a backend keeps them."""
    anthropic = {"conn_type": "anthropic", "host": emulator.url, "password": API_KEY}
    extra = {"endpoint_url": moto_url, "region_name": REGION}
    aws = {"conn_type": "aws", "login": "local", "password": S3_SECRET, "extra": extra}
    return {"anthropic_default": anthropic, "aws_default": aws}


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take away connections in the environment, and backends that were used before."""
    for name in ("ANTHROPIC_DEFAULT", "AWS_DEFAULT"):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}", raising=False)
    clear_secrets_backends_cache()
    yield
    clear_secrets_backends_cache()


def use(monkeypatch: pytest.MonkeyPatch, backend: str, arguments: object) -> None:
    """Configure a backend as a deployment does."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(arguments))


def keep_in_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path, connections: dict[str, Any]
) -> None:
    """Keep the connections in a file of JSON."""
    file = folder / "connections.json"
    file.write_text(json.dumps(connections))
    use(monkeypatch, FILE_BACKEND, {"connections_file_path": str(file)})


def keep_in_secrets_manager(
    monkeypatch: pytest.MonkeyPatch, url: str, connections: dict[str, Any]
) -> None:
    """Keep the connections in AWS Secrets Manager; a worker's own role may read them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "worker")
    manager: Any = boto3.client("secretsmanager", endpoint_url=url, region_name=REGION)
    for name, connection in connections.items():
        manager.create_secret(
            Name=f"{PREFIX}/{name}", SecretString=json.dumps(connection)
        )
    arguments = {
        "connections_prefix": PREFIX, "connections_lookup_pattern": "^(anthropic|aws)_default$",
        "variables_prefix": None, "config_prefix": None, "endpoint_url": url, "region_name": REGION,
    }  # fmt: skip
    use(monkeypatch, MANAGER_BACKEND, arguments)


def enrichment(bucket: str) -> Enrichment:
    """Return what is asked about each row."""
    return Enrichment(
        source=f"s3://{bucket}/in/", target=f"s3://{bucket}/out/", key=["id"], prompt="Say: {{ text }}",
        model="claude-haiku-4-5", max_tokens=20, canary="never", poll_seconds=1,
    )  # fmt: skip


def night(bucket: str) -> dict[str, Any]:
    """Run a night in a new bucket, with the stores and the API that tasks open; return its report."""
    client: Any = ports.Stores("aws_default")._client
    client.create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    asked = enrichment(bucket)
    texts = [f"text {number}" for number in range(ROWS)]
    put(ports.store(asked.source, "aws_default"), "part-0.parquet", rows(texts))
    world = World(
        open_store=lambda url: ports.store(url, "aws_default"),
        api=ports.batches("anthropic_default"),
    )
    return dict(run(asked, world, "dag/run"))


def assert_hidden(caplog: pytest.LogCaptureFixture) -> None:
    """Assert that no log line has one of the keys."""
    assert caplog.records
    assert API_KEY not in caplog.text
    assert S3_SECRET not in caplog.text


def test_a_night_runs_with_connections_from_a_file(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    connections: dict[str, Any],
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    keep_in_file(monkeypatch, tmp_path, connections)
    assert night("night-of-a-file")["answered"] == ROWS
    assert_hidden(caplog)


def test_a_night_runs_with_connections_from_aws_secrets_manager(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    connections: dict[str, Any],
    moto_url: str,  # noqa: F811
) -> None:
    caplog.set_level(logging.DEBUG)
    keep_in_secrets_manager(monkeypatch, moto_url, connections)
    assert night("night-of-a-manager")["answered"] == ROWS
    assert_hidden(caplog)


def test_a_connection_that_no_backend_has_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep_in_file(monkeypatch, tmp_path, {})
    with pytest.raises(SettingsError, match="no connection 'anthropic_default'"):
        ports.batches("anthropic_default")
