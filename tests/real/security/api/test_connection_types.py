"""What waits in the triggerer, and the commands, use the connection that is named or none; and they log no body."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
from typing import Any

import anthropic
import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import TriggerEvent
from tests.real.security.api.hosts import KEY, Host, Reply

from nightbatch.airflow import iceberg, warehouses
from nightbatch.airflow.client import Connection
from nightbatch.airflow.sensors.input import InputSensor
from nightbatch.airflow.triggers.input import InputTrigger
from nightbatch.commands import _ports
from nightbatch.errors import SettingsError
from nightbatch.io.anthropic_sdk.client import hardened
from nightbatch.spec.rules import Rules
from nightbatch.wait.pace import PollTiming

PROMPT = "PATIENT JANE DOE HIV+"
DEPLOYMENT = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "ours"}


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
    """Make connections of other types, which hold passwords."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_PG",
        json.dumps({"conn_type": "postgres", "password": "PG-PASSWORD"}),
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_PROD",
        json.dumps({"conn_type": "aws", "password": "AWS-SECRET"}),
    )
    far = {"conn_type": "anthropic", "host": "http://gateway:8080", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_FAR", json.dumps(far))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAX", "AWS_SECRET_ACCESS_KEY": "AWS-SECRET", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": host.url, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("conn_id", ["nope", "pg", "aws_prod", "far"])
def test_a_wait_fails_at_once_for_a_connection_that_cannot_be_right(
    conn_id: str,
) -> None:
    with pytest.raises(SettingsError) as raised:
        asyncio.run(Connection(conn_id, PollTiming()).open())
    assert "PASSWORD" not in str(raised.value)
    assert KEY not in str(raised.value)


def test_a_wait_for_an_input_fails_for_good_for_a_connection_that_cannot_be_right() -> (
    None
):
    arguments = {
        "partition": "dt={partition_key}", "key": "2026-01-01", "source": "s3://lake/tickets/", "wait_for": "any",
        "conn": "pg", "hours": "1", "poll": "0.05", "still": "0", "run_name": "scheduled__2026-11-22T00:00:00+00:00",
    }  # fmt: skip

    async def first() -> TriggerEvent:
        return await anext(InputTrigger(**arguments).run())  # type: ignore[call-overload, no-any-return]

    payload = asyncio.run(first()).payload
    assert payload["failed"].startswith("aws_conn_id: connection 'pg'")
    with pytest.raises(AirflowFailException, match="aws_conn_id"):
        InputSensor.execute_complete(None, {}, payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("conn_id", ["nope", "pg"])
def test_a_command_never_falls_back_to_its_own_credentials(
    host: Host, conn_id: str
) -> None:
    options = argparse.Namespace(aws_conn=conn_id, anthropic_conn=conn_id)
    with pytest.raises(SettingsError, match="aws_conn_id"):
        _ports.store("s3://lake/x/", options)
    with pytest.raises(SettingsError, match="anthropic_conn_id"):
        _ports.batches(options)
    assert host.calls == []


@pytest.mark.parametrize("conn_id", ["nope", "aws_prod"])
def test_a_warehouse_or_a_catalog_of_another_type_is_refused(conn_id: str) -> None:
    with pytest.raises(SettingsError, match=conn_id):
        warehouses.hook(conn_id)
    rules = Rules(iceberg_conn_id=conn_id, aws_conn_id="aws_prod", table="a.b")
    ref: Any = argparse.Namespace(rules=rules)
    with pytest.raises(SettingsError, match="iceberg_conn_id"):
        iceberg.table(ref)


def test_a_command_encrypts_what_it_writes_and_refuses_arguments_that_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = argparse.Namespace(aws_conn=None)
    monkeypatch.setenv("NIGHTBATCH_S3_EXTRA_ARGS", json.dumps(DEPLOYMENT))
    assert _ports.store("s3://lake/x/", options).extra == DEPLOYMENT
    monkeypatch.setenv("NIGHTBATCH_S3_EXTRA_ARGS", "{kms")
    with pytest.raises(
        SettingsError, match="NIGHTBATCH_S3_EXTRA_ARGS: must be a JSON object"
    ):
        _ports.store("s3://lake/x/", options)


# Logs and traces.


def test_at_debug_a_store_logs_no_body_and_no_secret(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.otherwise = Reply(200)
    caplog.set_level(logging.DEBUG)
    for name in ("boto3", "botocore", "s3transfer", "urllib3"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    store = _ports.store("s3://lake/x/", argparse.Namespace(aws_conn=None))
    store.replace("a", PROMPT.encode())
    assert PROMPT in host.sent
    arguments = [str(record.args) for record in caplog.records]
    logged = "\n".join([caplog.text, *arguments])
    assert PROMPT not in logged
    assert "AWS-SECRET" not in logged
    for record in caplog.records:
        assert record.levelno >= logging.INFO or "boto" not in record.name


def test_a_logger_that_says_less_than_info_is_not_made_to_say_more() -> None:
    from nightbatch.io.anthropic_sdk.client import quiet

    logger = logging.getLogger("httpx2")
    before = logger.level
    try:
        logger.setLevel(logging.WARNING)
        quiet()
        assert logger.level == logging.WARNING
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize("kind", [anthropic.Anthropic, anthropic.AsyncAnthropic])
def test_the_environment_cannot_turn_content_on_in_traces(
    monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", "content")
    client = kind(api_key=KEY)
    traces = client.open_telemetry["traces"]
    assert traces["content_mode"] == "content"
    hardened_traces = hardened(client).open_telemetry["traces"]
    assert hardened_traces["content_mode"] == "metadata_only"
