"""What a command opens: with the credentials of the environment, once."""

from __future__ import annotations

from argparse import Namespace

import pytest

from nightbatch.commands import _ports


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set credentials as in a shell."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_all_stores_of_a_command_share_one_client() -> None:
    options = Namespace(aws_conn=None)
    source = _ports.store("s3://lake/in/", options)
    target = _ports.store("s3://lake/out/", options)
    assert source.client is target.client
    assert (source.url, target.url) == ("s3://lake/in/", "s3://lake/out/")


def test_the_next_command_reads_the_environment_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _ports.store("s3://lake/in/", Namespace(aws_conn=None))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    store = _ports.store("s3://lake/in/", Namespace(aws_conn=None))
    assert store.client.meta.endpoint_url == "http://127.0.0.1:9"
