"""What tests and measurements on a cluster share: partitions, backfills, and how long things are waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from nightbatch.emulator.embedded import Emulator
from nightbatch.local.cluster.cluster import Cluster
from nightbatch.local.stack.rest import Json
from nightbatch.local.stack.settings import Settings

CLUSTER = "NIGHTBATCH_CLUSTER"
"""The variable that lets the tests on a cluster be collected."""
DAG_ID = "cluster_nights"
SOURCE = "parcels"
TARGET = "parcel_answers"
PATIENCE_SECONDS = 900.0


def cluster_settings(home: Path, dags: Path, *, batch_seconds: int) -> Settings:
    """Return the settings of a cluster whose scheduler runs DAGs, and whose batches take so long."""
    return Settings(
        home=home,
        dags=dags,
        emulator_args=("--seconds", str(batch_seconds), "--retry-after", "1"),
        schedules=True,
        env=_patient_environment(),
    )


def _patient_environment() -> dict[str, str]:
    """Return the options that let a cluster notice in seconds, not minutes, that a part is dead."""
    return {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "30",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "NIGHTBATCH_LEASE_SECONDS": "60",
        "NIGHTBATCH_SETTLE_SECONDS": "10",
        "NIGHTBATCH_ANSWER_SECONDS": "10",
        "NIGHTBATCH_CLOCK_SLACK_SECONDS": "5",
    }


def texts_of(day: int, rows: int) -> list[str]:
    """Return the texts of a day's rows: two thirds are those of every day."""
    return [
        f"parcel {number}" if number % 3 else f"parcel {number} of day {day}"
        for number in range(rows)
    ]


def partition(day: int) -> str:
    """Return the folder of a day's rows, in the source and in the target."""
    return f"dt={date(day)}"


def date(day: int) -> str:
    """Return a day of the month that is backfilled."""
    return f"2026-05-{day:02d}"


def published(cluster: Cluster, day: int) -> pa.Table:
    """Read what was published of a day."""
    return cluster.lake.table(f"{TARGET}/{partition(day)}/")


def put_days(cluster: Cluster, days: list[int], rows: int) -> None:
    """Put a partition for each day of a month."""
    for day in days:
        columns = {"id": list(range(rows)), "text": texts_of(day, rows)}
        key = f"{SOURCE}/{partition(day)}/part-0.parquet"
        cluster.lake.put_table(key, pa.table(columns))


def backfill(cluster: Cluster, first: int, last: int, *, at_once: int) -> list[Json]:
    """Start a backfill of days of that month; return its runs."""
    airflow = cluster.airflow
    airflow.wait_parsed(DAG_ID)
    airflow.patch(f"/dags/{DAG_ID}", {"is_paused": False})
    body = {
        "dag_id": DAG_ID,
        "max_active_runs": at_once,
        "from_date": f"{date(first)}T00:00:00Z",
        "to_date": f"{date(last)}T00:00:00Z",
    }
    airflow.post("/backfills", body)
    response = airflow.get(f"/dags/{DAG_ID}/dagRuns", run_type="backfill", limit=100)
    days = {date(day) for day in range(first, last + 1)}
    return [run for run in response["dag_runs"] if run["partition_key"] in days]


def until(
    is_true: Callable[[], object], what: str, *, patience: float = PATIENCE_SECONDS
) -> None:
    """Block until something is true."""
    deadline = time.monotonic() + patience
    while not is_true():
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        time.sleep(0.5)


def states(cluster: Cluster, runs: list[Json]) -> list[tuple[str, str | None]]:
    """Return the task and the state of every task instance of the runs."""
    all_states = []
    for run in runs:
        tasks = cluster.airflow.tasks(DAG_ID, run["dag_run_id"])
        all_states += [(task["task_id"], task["state"]) for task in tasks]
    return all_states


def ended(cluster: Cluster, runs: list[Json]) -> list[str]:
    """Block until all runs have ended; return their states."""
    return [
        cluster.airflow.wait(DAG_ID, run["dag_run_id"], patience=PATIENCE_SECONDS)
        for run in runs
    ]


def books(cluster: Cluster) -> Json:
    """Return what the account has bought."""
    emulator = Emulator(cluster.emulator_url)
    return emulator.books()
