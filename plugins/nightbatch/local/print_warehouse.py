"""The demo's last step: a query over the warehouse that was loaded after publishing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from nightbatch.local.stack.errors import NightFailed, NotReady
from nightbatch.local.stack.rest import FINISHED, TICK_SECONDS, Json
from nightbatch.local.stack.stack import Stack

StatesByKey = dict[str, str]
"""The states of loads, by partition key."""

DAG_ID = "load_warehouse"
PATIENCE_SECONDS = 120.0
QUERY_FILE = Path("include") / "sql" / "triage_by_day.sql"


@dataclass(frozen=True)
class QueryResult:
    """What a query has returned: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def unpause_loads(stack: Stack) -> None:
    """Let asset events start loads."""
    stack.airflow.wait_parsed(DAG_ID)
    stack.airflow.patch(f"/dags/{DAG_ID}", {"is_paused": False})


def await_loads(stack: Stack, partitions: Iterable[str]) -> None:
    """Block until each partition's load has ended; raise NightFailed if one has failed."""
    expected_keys = {_partition_key(partition) for partition in partitions}
    deadline = time.monotonic() + PATIENCE_SECONDS
    missing_keys = _missing_loads(stack, expected_keys)
    while missing_keys:
        if time.monotonic() > deadline:
            key_list = _listed(missing_keys)
            raise NotReady(f"{DAG_ID} has not loaded {key_list} yet.")
        time.sleep(TICK_SECONDS)
        missing_keys = _missing_loads(stack, expected_keys)


def _missing_loads(stack: Stack, expected_keys: set[str]) -> set[str]:
    """Return the keys whose loads have not ended; raise NightFailed if one has failed."""
    ended_states = _ended_loads(stack)
    _require_no_failure(stack, ended_states)
    return expected_keys - ended_states.keys()


def _partition_key(partition: str) -> str:
    """Return the key by which Airflow knows a partition such as `dt=2026-11-20`: its value."""
    _, _, key = partition.partition("=")
    return key


def _require_no_failure(stack: Stack, ended_states: StatesByKey) -> None:
    """Raise NightFailed, with the place of the logs, if a load has failed."""
    failed_keys = [key for key, state in ended_states.items() if state == "failed"]
    if failed_keys:
        key_list = _listed(failed_keys)
        raise NightFailed(
            f"{DAG_ID} for {key_list} failed: see its log in {stack.task_logs}."
        )


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))


def _ended_loads(stack: Stack) -> StatesByKey:
    """Return the states of the ended loads by partition key."""
    response = stack.airflow.get(f"/dags/{DAG_ID}/dagRuns", limit=100)
    ended_states = {}
    for dag_run in response["dag_runs"]:
        run_state = dag_run["state"]
        partition_key = dag_run["partition_key"]
        if run_state in FINISHED:
            ended_states[partition_key] = run_state
    return ended_states


def print_warehouse(
    stack: Stack, reports: Mapping[str, Json], console: Console
) -> None:
    """Wait for the loads, and print the result of the query."""
    await_loads(stack, reports)
    database_file = stack.home / "airflow" / "warehouse.duckdb"
    query_file = stack.settings.project / QUERY_FILE
    query_text = query_file.read_text(encoding="utf-8")
    result = _queried(database_file, query_text)
    table_title = f"{database_file}: {QUERY_FILE}"
    result_table = Table(*result.columns, title=table_title, title_justify="left")
    for row in result.rows:
        cells = map(str, row)
        result_table.add_row(*cells)
    console.print(result_table)


def _queried(database_file: Path, query: str) -> QueryResult:
    with duckdb.connect(str(database_file), read_only=True) as warehouse:
        cursor = warehouse.execute(query)
        descriptions = cursor.description or []
        columns = [description[0] for description in descriptions]
        return QueryResult(columns, cursor.fetchall())
