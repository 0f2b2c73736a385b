"""The demo's last step: the warehouse that publishing has loaded, and a question put to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from nightbatch.local.stack.errors import NightFailed, NotReady
from nightbatch.local.stack.rest import FINISHED, TICK_SECONDS, Json
from nightbatch.local.stack.stack import Stack

DAG_ID = "load_warehouse"
PATIENCE_SECONDS = 120.0
QUESTION = Path("include") / "sql" / "triage_by_day.sql"


def open_doors(stack: Stack) -> None:
    """Let asset events start loads."""
    stack.airflow.wait_parsed(DAG_ID)
    stack.airflow.patch(f"/dags/{DAG_ID}", {"is_paused": False})


def await_loads(stack: Stack, partitions: Iterable[str]) -> None:
    """Block until each partition's load has ended; raise NightFailed if one has failed."""
    keys = {partition.partition("=")[2] for partition in partitions}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        runs = stack.airflow.get(f"/dags/{DAG_ID}/dagRuns", limit=100)["dag_runs"]
        ended = {
            run["partition_key"]: run["state"]
            for run in runs
            if run["state"] in FINISHED
        }
        if failed := sorted(key for key, state in ended.items() if state == "failed"):
            raise NightFailed(
                f"{DAG_ID} for {', '.join(failed)} failed: its log is in {stack.home / 'airflow' / 'logs'}."
            )
        if keys <= ended.keys():
            return
        if time.monotonic() > deadline:
            raise NotReady(
                f"{DAG_ID} has not loaded {', '.join(sorted(keys - ended.keys()))} yet."
            )
        time.sleep(TICK_SECONDS)


def print_warehouse(
    stack: Stack, reports: Mapping[str, Json], console: Console
) -> None:
    """Wait for the loads, and print what the warehouse answers."""
    await_loads(stack, reports)
    file = stack.home / "airflow" / "warehouse.duckdb"
    with duckdb.connect(str(file), read_only=True) as warehouse:
        answer = warehouse.execute(
            (stack.settings.project / QUESTION).read_text(encoding="utf-8")
        )
        names = [column[0] for column in answer.description or []]
        table = Table(*names, title=f"{file}: {QUESTION}", title_justify="left")
        for row in answer.fetchall():
            table.add_row(*map(str, row))
    console.print(table)
