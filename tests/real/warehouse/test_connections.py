"""From Airflow's connections to warehouses, through the hooks of their own providers; and which partition is loaded."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nightbatch.airflow import assets
from nightbatch.airflow.warehouses import LOCKED, warehouse
from nightbatch.errors import SettingsError
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.load.load import load
from nightbatch.load.loading import Loading
from nightbatch.local.cluster.servers import USER, Server, connect_postgres

NIGHT = "dt=2026-11-20"


@pytest.fixture
def target() -> MemoryStore:
    """Publish one partition."""
    store, out = MemoryStore("s3://lake/triage/", MemoryBucket()), io.BytesIO()
    pq.write_table(pa.table({"ticket_id": ["a", "b"], "urgency": [1, None]}), out)
    store.create(f"{NIGHT}/part-00000-0123456789ab.parquet", out.getvalue())
    marker = {"files": [f"{NIGHT}/part-00000-0123456789ab.parquet"], "rows": 2}
    store.create(f"{NIGHT}/_SUCCESS", json.dumps(marker).encode())
    return store


def test_a_duckdb_connection_names_its_file(
    target: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "own.duckdb"
    monkeypatch.setenv(
        "AIRFLOW_CONN_OWN", json.dumps({"conn_type": "duckdb", "host": str(file)})
    )
    with warehouse("own") as house:
        assert load(target, NIGHT, Loading("mart.triage"), house)["rows"] == 2
    with duckdb.connect(str(file), read_only=True) as found:
        assert found.execute("SELECT ticket_id, urgency FROM mart.triage ORDER BY 1").fetchall() == [
            ("a", 1), ("b", None),
        ]  # fmt: skip


@pytest.fixture
def server(postgres_server: Server) -> Iterator[Server]:
    yield postgres_server
    connection = connect_postgres(postgres_server)
    connection.cursor().execute("DROP SCHEMA IF EXISTS connected CASCADE")
    connection.commit()
    connection.close()


def test_a_postgres_connection_is_opened_by_its_provider(
    target: MemoryStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "conn_type": "postgres", "host": "127.0.0.1", "port": server.port, "login": USER,
        "password": server.password, "schema": "postgres",
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_MART", json.dumps(given))
    for _ in range(2):
        with warehouse("mart") as house:
            assert load(target, NIGHT, Loading("connected.triage"), house)["rows"] == 2
    connection = connect_postgres(server)
    cursor = connection.cursor()
    cursor.execute("SELECT ticket_id, urgency FROM connected.triage ORDER BY 1")
    assert cursor.fetchall() == [("a", 1), ("b", None)]
    connection.close()


def test_without_a_connection_the_default_is_a_file_in_airflow_s_home(
    target: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    with warehouse("warehouse_default") as house:
        load(target, NIGHT, Loading("triage"), house)
    assert (tmp_path / "warehouse.duckdb").is_file()


HOLDER = """
import sys, duckdb
with duckdb.connect(sys.argv[1]) as held:
    held.execute("CREATE TABLE first AS SELECT 1")
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_file_that_another_process_writes_to_is_waited_for(
    target: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shared.duckdb"
    monkeypatch.setenv(
        "AIRFLOW_CONN_SHARED", json.dumps({"conn_type": "duckdb", "host": str(file)})
    )
    command = [sys.executable, "-c", HOLDER, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(duckdb.IOException, match=LOCKED):
            duckdb.connect(str(file))
        threading.Timer(1, lambda: other.communicate("\n")).start()
        with warehouse("shared") as house:
            assert load(target, NIGHT, Loading("triage"), house)["rows"] == 2
            assert "1" in house.columns("first")


def test_a_connection_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        pytest.raises(SettingsError, match="conn_id: there is no connection 'nowhere'"),
        warehouse("nowhere"),
    ):
        pass


def test_another_kind_of_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws"}))
    with (
        pytest.raises(SettingsError, match="'aws'; a load goes to duckdb or postgres"),
        warehouse("lake"),
    ):
        pass


def context(
    *, asked: str | None = None, events: tuple[str, ...] = (), key: str | None = None
) -> dict[str, Any]:
    told = {
        "asset": [
            SimpleNamespace(extra={"partition": partition}) for partition in events
        ]
    }
    return {
        "params": {"partition": asked}, "triggering_asset_events": told if events else {},
        "dag_run": SimpleNamespace(partition_key=key),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "partitions"),
    [
        (context(asked="dt=1", events=("dt=2",), key="3"), ["dt=1"]),
        (context(events=("dt=2", "dt=4", "dt=2"), key="3"), ["dt=2", "dt=4"]),
        (context(key="3"), ["dt=3"]),
        (context(events=("",)), [""]),
    ],
)
def test_a_load_is_of_what_was_asked_for_else_of_the_events_else_of_the_key(
    given: dict[str, Any], partitions: list[str]
) -> None:
    assert assets.partitions_to_load(given, "dt={partition_key}") == partitions


def test_a_load_that_nothing_says_the_partition_of_is_refused() -> None:
    with pytest.raises(SettingsError, match="name one, such as"):
        assets.partitions_to_load(context(), "dt={partition_key}")
    assert assets.partitions_to_load(context(), "") == [""]


@pytest.mark.parametrize(
    ("partition", "run_key", "key"),
    [
        ("dt=2026-11-21", "2026-11-21", "2026-11-21"),
        ("dt=2026-11-21", None, "2026-11-21"),
        ("dt=2026-11-21", "2026-11-20", "2026-11-21"),
        ("dt=2026-11-21", "2026-11", "2026-11-21"),
        ("country=NZ/dt=2026-11-21", None, "NZ/2026-11-21"),
        ("year=2026/month=11", "2026/month=11", "2026/month=11"),
        ("country=NZ/dt=2026-11-21", "2026-11-21", "2026-11-21"),
        ("", "2026-11-21", ""),
    ],
)
def test_an_event_s_key_is_the_run_s_own_where_it_names_the_partition(
    partition: str, run_key: str | None, key: str
) -> None:
    assert assets.event_key(partition, run_key) == key
