"""Both clients of a store take the same way: the proxy of the environment, and the endpoint that boto3 has."""

from __future__ import annotations

from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from tests.support.parquet import parquet
from tests.support.servers.forward_proxy import forward_proxy
from tests.support.servers.seaweed import ACCESS, SECRET, seaweed

from nightbatch.errors import StoreDenied
from nightbatch.io.s3 import S3Store, filesystem
from nightbatch.io.s3.errors import file_error
from nightbatch.io.s3.files import certificate_options, endpoint_options

TABLE = pa.table({"id": [1, 2, 3]})


def test_reading_and_writing_go_through_the_proxy_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with seaweed(tmp_path) as s3_url, forward_proxy() as proxy:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", proxy.url)
        session = boto3.Session(ACCESS, SECRET, region_name="us-east-1")
        client = session.client(
            "s3",
            endpoint_url=s3_url,
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket="lake")
        store = S3Store(
            "s3://lake/a/",
            client,
            lambda: filesystem(client, session.get_credentials()),
            {},
        )
        assert store.create("part.parquet", parquet(TABLE))
        with store.open("part.parquet") as file:
            assert pq.read_table(file).equals(TABLE)
        assert proxy.clients("PUT") == {"boto3"}
        assert "arrow" in proxy.clients("GET") | proxy.clients("HEAD")


@pytest.mark.parametrize(
    "host", ["s3.amazonaws.com", "s3.eu-central-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"]
)  # fmt: skip
def test_a_public_endpoint_of_aws_is_found_by_its_region(host: str) -> None:
    assert endpoint_options(f"https://{host}") == {}


@pytest.mark.parametrize(
    "host",
    [
        "bucket.vpce-0a1b-c2d3.s3.eu-central-1.vpce.amazonaws.com",
        "s3-fips.us-east-1.amazonaws.com",
        "s3.dualstack.eu-central-1.amazonaws.com",
        "minio.example.com:9000",
    ],
)
def test_any_other_endpoint_is_named_to_both_clients(host: str) -> None:
    assert endpoint_options(f"https://{host}") == {
        "endpoint_override": host,
        "scheme": "https",
    }


def test_certificates_are_those_of_the_connection_else_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/private/ca.pem")
    assert certificate_options("/of/connection.pem") == {
        "tls_ca_file_path": "/of/connection.pem"
    }
    assert certificate_options(None) == {"tls_ca_file_path": "/etc/private/ca.pem"}
    monkeypatch.delenv("AWS_CA_BUNDLE")
    assert certificate_options(True) == {}


@pytest.mark.parametrize(
    ("answer", "is_denied"),
    [("ACCESS_DENIED", True), ("UNKNOWN (HTTP status 403)", True), ("UNKNOWN (HTTP status 503)", False)],
)  # fmt: skip
def test_only_the_answer_makes_a_file_denied_not_its_name(
    answer: str, is_denied: bool
) -> None:
    reason = f"When reading information for key 'part-403.parquet': AWS Error {answer} during HeadObject operation."
    error = file_error(OSError(reason), "s3://lake/part-403.parquet")
    assert isinstance(error, StoreDenied) == is_denied
    assert reason in str(error)
