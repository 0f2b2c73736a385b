"""What the commands share: an emulator, an S3 server with fifty rows, and the environment of a person."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.nights.shop import shop, texts  # noqa: F401 - a fixture
from tests.support.servers.s3 import serving, shell_variables

from nightbatch.emulator.embedded import Emulator

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

from nightbatch.emulator.fixtures import (  # noqa: F401 - a conftest below the root cannot name plugins
    message_batches_api,
    message_batches_server,
    message_batches_settings,
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve S3."""
    with serving() as url:
        yield url


@pytest.fixture
def lake(
    endpoint: str,
    message_batches_api: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> S3Client:
    """Set the environment as a person would who has no Airflow, and put fifty rows into the lake."""
    variables = shell_variables(endpoint, message_batches_api.url)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client: Any = boto3.client("s3")
    client.create_bucket(Bucket="lake")
    out = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(50)), "body": texts(50)}), out)
    client.put_object(Bucket="lake", Key="tickets/part-0.parquet", Body=out.getvalue())
    return client
