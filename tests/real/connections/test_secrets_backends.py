"""A night whose connections are neither in the environment nor in Airflow's database, but in a secrets backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk.configuration import clear_secrets_backends_cache
from tests.support.nights.flow import rows
from tests.support.parquet import parquet
from tests.support.servers.stores import moto_url  # noqa: F401 - a fixture

from nightbatch.airflow import ports
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.errors import SettingsError

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


def night(bucket: str, s3_url: str) -> tuple[dict[str, Any], str]:
    """Run a night in a new bucket, as a command with both connections; return its report and all that it printed."""
    client: Any = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key=S3_SECRET,
    )
    location = {"LocationConstraint": REGION}
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
    texts = rows([f"text {number}" for number in range(ROWS)])
    client.put_object(Bucket=bucket, Key="in/part-0.parquet", Body=parquet(texts))
    conf = {
        "source": f"s3://{bucket}/in/", "target": f"s3://{bucket}/out/", "key": ["id"], "prompt": "Say: {{ text }}",
        "model": "claude-haiku-4-5", "max_tokens": 20, "canary": "never", "poll_seconds": 1,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "nightbatch", "run", "--conf", json.dumps(conf), "--json",
        "--aws-conn", "aws_default", "--anthropic-conn", "anthropic_default",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        env={**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report, done.stdout + done.stderr


def assert_hidden(printed: str) -> None:
    """Assert that no line has one of the keys, among them the lines of what looked the connections up."""
    assert "credentials retrieved" in printed
    assert API_KEY not in printed
    assert S3_SECRET not in printed


def test_a_night_runs_with_connections_from_a_file(
    monkeypatch: pytest.MonkeyPatch,
    connections: dict[str, Any],
    moto_url: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    keep_in_file(monkeypatch, tmp_path, connections)
    report, printed = night("night-of-a-file", moto_url)
    assert report["answered"] == ROWS
    assert_hidden(printed)


def test_a_night_runs_with_connections_from_aws_secrets_manager(
    monkeypatch: pytest.MonkeyPatch,
    connections: dict[str, Any],
    moto_url: str,  # noqa: F811
) -> None:
    keep_in_secrets_manager(monkeypatch, moto_url, connections)
    report, printed = night("night-of-a-manager", moto_url)
    assert report["answered"] == ROWS
    assert_hidden(printed)


def test_a_connection_that_no_backend_has_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep_in_file(monkeypatch, tmp_path, {})
    with pytest.raises(SettingsError, match="no connection 'anthropic_default'"):
        ports.batches("anthropic_default")
