"""Publishing starts the load on the real scheduler, whether the run was given its partition or its partition key."""

from __future__ import annotations

import time
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from nightbatch.local.demo import DAG_ID, SOURCE, TARGET
from nightbatch.local.sample_tickets import sample
from nightbatch.local.stack.rest import FINISHED, Json
from nightbatch.local.stack.stack import Stack

LOAD = "load_warehouse"
DAY = "2026-12-24"
ROWS = 60


def finished(stack: Stack, count: int) -> list[Json]:
    """Wait until this many loads of the day have ended, oldest first."""
    until = time.monotonic() + 90
    while True:
        runs = stack.airflow.get(f"/dags/{LOAD}/dagRuns")["dag_runs"]
        mine = sorted(
            (run for run in runs if run["partition_key"] == DAY),
            key=lambda run: str(run["run_after"]),
        )
        if len([run for run in mine if run["state"] in FINISHED]) >= count:
            return mine
        assert time.monotonic() < until, [
            (run["dag_run_id"], run["state"], run["partition_key"]) for run in runs
        ]
        time.sleep(0.5)


def publish(stack: Stack, tickets: pa.Table, **how: Any) -> Json:
    """Put a day's tickets and run the nightly DAG for it."""
    stack.lake.put_table(f"{SOURCE}/dt={DAY}/part-00000.parquet", tickets)
    run_id = stack.airflow.trigger(DAG_ID, **how)
    assert stack.airflow.wait(DAG_ID, run_id, patience=150) == "success"
    report: Json = stack.airflow.xcom(DAG_ID, run_id, "publish")
    return {**report, "run_id": run_id}


def of_the_day(tickets: pa.Table) -> pa.Table:
    """Let the tickets say what day it is, so that no other night has asked the same."""
    bodies = [body and f"{body} It is {DAY}." for body in tickets["body"].to_pylist()]
    return tickets.set_column(
        tickets.column_names.index("body"), "body", pa.array(bodies, pa.string())
    )


@pytest.fixture(scope="module")
def loads(stack: Stack) -> list[tuple[Json, Json]]:
    """Publish a day from the form, then a larger one under its key; each with the load that it started."""
    for dag in (DAG_ID, LOAD):
        stack.airflow.wait_parsed(dag)
        stack.airflow.patch(f"/dags/{dag}", {"is_paused": False})
    tickets = of_the_day(sample(stack.settings.project, rows=ROWS)["dt=2026-11-20"])
    first = publish(stack, tickets.slice(0, ROWS // 2), conf={"partition": f"dt={DAY}"})
    finished(stack, 1)
    second = publish(stack, tickets, partition_key=DAY)
    return list(zip((first, second), finished(stack, 2), strict=True))


def test_each_publication_starts_one_load_of_its_partition(
    stack: Stack, loads: list[tuple[Json, Json]]
) -> None:
    assert [(run["state"], run["partition_key"]) for _, run in loads] == [
        ("success", DAY)
    ] * 2
    for report, run in loads:
        (done,) = stack.airflow.xcom(LOAD, run["dag_run_id"], "load")
        assert (done["rows"], done["partition"], done["snapshot"]) == (
            report["rows"], report["partition"], report["snapshot"],
        )  # fmt: skip


def test_a_day_that_has_grown_buys_the_difference(
    loads: list[tuple[Json, Json]],
) -> None:
    first, second = (report for report, _ in loads)
    assert first["bought"] > 0
    assert second["reused"] >= first["requests"]
    assert 0 < second["bought"] <= second["requests"] - first["requests"]


def test_the_event_carries_the_report(
    stack: Stack, loads: list[tuple[Json, Json]]
) -> None:
    for report, run in loads:
        path = f"/dags/{LOAD}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents"
        (event,) = stack.airflow.get(path)["asset_events"]
        assert event["extra"] == {
            name: value for name, value in report.items() if name != "run_id"
        }
        assert event["source_run_id"] == report["run_id"]


def test_the_warehouse_holds_what_was_published_last(
    stack: Stack, loads: list[tuple[Json, Json]]
) -> None:
    published = stack.lake.table(f"{TARGET}/dt={DAY}/")
    with duckdb.connect(
        str(stack.home / "airflow" / "warehouse.duckdb"), read_only=True
    ) as warehouse:
        names = ", ".join(f'"{name}"' for name in published.column_names)
        rows = warehouse.execute(
            f"SELECT {names} FROM ticket_triage WHERE dt = DATE '{DAY}' ORDER BY ticket_id"
        ).fetchall()
    expected = published.sort_by("ticket_id").to_pylist()
    assert rows == [tuple(row.values()) for row in expected]


def test_the_wait_for_the_input_took_no_worker(
    stack: Stack, loads: list[tuple[Json, Json]]
) -> None:
    for report, _ in loads:
        (wait,) = [
            task
            for task in stack.airflow.tasks(DAG_ID, report["run_id"])
            if task["task_id"] == "input"
        ]
        assert wait["state"] == "success"
        assert wait["pid"] is None
        assert wait["queued_when"] is None
