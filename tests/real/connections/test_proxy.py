"""The API behind a proxy that the environment names, as HTTPS_PROXY and NO_PROXY do in production."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.support.nights.memory import world_of_rows

from nightbatch.airflow import ports
from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import Settings
from nightbatch.flow import World, run
from nightbatch.spec.enrichment import Enrichment

GATEWAY = "gateway.invalid"
"""A name that leads nowhere: only a proxy can know it."""
CONN = "anthropic_default"
ROWS = 5
ASKED = Enrichment(
    source="s3://lake/in/", target="s3://lake/out/", key=["id"], prompt="Say: {{ text }}", canary="never",
    model="claude-haiku-4-5", max_tokens=20, poll_seconds=1, partition="dt=1",
)  # fmt: skip


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Run an emulator that also answers what is sent to it as to a proxy, and connect to a host behind it."""
    connection = {"conn_type": "anthropic", "host": f"http://{GATEWAY}", "password": "sk-ant-proxy"}  # fmt: skip
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(connection))
    monkeypatch.setenv("NIGHTBATCH_ALLOW_HTTP", "1")
    with running(Settings(allowed_hosts=frozenset({GATEWAY}))) as emulator:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, emulator.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        yield emulator


def test_a_night_buys_and_lands_through_a_proxy(proxy: Emulator) -> None:
    lake = world_of_rows(ROWS)
    report = run(ASKED, World(lake.store, ports.batches(CONN)), "dag/run")
    assert report["answered"] == ROWS
    assert proxy.books()["bought"]["requests"] == ROWS


def test_a_host_that_needs_no_proxy_is_reached_without_one(
    proxy: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as direct:
        connection = {"conn_type": "anthropic", "host": direct.url, "password": "sk-ant-proxy"}  # fmt: skip
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN.upper()}", json.dumps(connection))
        assert ports.batches(CONN).page().batches == []
        assert direct.books()["calls"]["list"]
    assert "list" not in proxy.books()["calls"]
