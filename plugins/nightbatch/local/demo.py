"""The demo: the nightly DAG over two nights of sample tickets, on real Airflow, and what it published and cost."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from nightbatch.local.print_bill import Reports, print_bill, print_rows, print_statuses
from nightbatch.local.progress import TaskProgress
from nightbatch.local.sample_tickets import parts, sample
from nightbatch.local.stack.errors import NightFailed
from nightbatch.local.stack.lake import Lake
from nightbatch.local.stack.rest import Airflow, Json
from nightbatch.local.stack.settings import BUCKET
from nightbatch.local.stack.stack import Stack

DAG_ID = "ticket_triage"
LAKE_URL = f"s3://{BUCKET}"
SOURCE = "tickets"
TARGET = "ticket_triage"
REPORT_TASK = "publish"
PATIENCE_SECONDS = 300.0
SIMULATED = (
    "Answers and costs are simulated: the local Message Batches API makes them up."
)
LOG_LINES = 25


def put_sample(stack: Stack) -> dict[str, int]:
    """Put both nights of tickets into the lake; return their row counts by partition."""
    nights = sample(stack.settings.project)
    for partition, night_table in nights.items():
        _put_partition(stack.lake, partition, night_table)
    return {partition: table.num_rows for partition, table in nights.items()}


def _put_partition(lake: Lake, partition: str, night_table: pa.Table) -> None:
    """Put one night into the lake, as several files."""
    for file_name, file_table in parts(night_table).items():
        file_key = f"{SOURCE}/{partition}/{file_name}"
        lake.put_table(file_key, file_table)


def run_night(stack: Stack, partition: str, console: Console) -> Json:
    """Run the DAG for one partition and return its report; raise NightFailed with the failed tasks' logs."""
    airflow = stack.airflow
    airflow.wait_parsed(DAG_ID)
    run_id = airflow.trigger(DAG_ID, conf={"partition": partition})
    progress = TaskProgress(console, f"{DAG_ID} {partition}")

    def watch() -> None:
        stack.check()
        tasks = airflow.tasks(DAG_ID, run_id)
        progress(tasks)

    with progress.showing():
        state = airflow.wait(DAG_ID, run_id, patience=PATIENCE_SECONDS, watch=watch)
    if state != "success":
        failure_text = "\n".join(_failure_lines(airflow, run_id))
        raise NightFailed(f"{DAG_ID} for {partition} ended as {state}.\n{failure_text}")
    report: Json = airflow.xcom(DAG_ID, run_id, REPORT_TASK)
    return report


def _failure_lines(airflow: Airflow, run_id: str) -> Iterable[str]:
    """Yield the failed tasks, each with the end of its log."""
    for task in airflow.tasks(DAG_ID, run_id):
        if task["state"] == "failed":
            task_id = task["task_id"]
            yield f"── {task_id}"
            log_lines = airflow.log(task).splitlines()
            yield from log_lines[-LOG_LINES:]


def run_nights(stack: Stack, console: Console) -> Reports:
    """Run both nights, one after the other, and return their reports."""
    ticket_counts = put_sample(stack)
    reports = {}
    for partition, ticket_count in ticket_counts.items():
        night_title = f"night {partition}: {ticket_count:,} tickets"
        console.rule(night_title, align="left")
        reports[partition] = run_night(stack, partition, console)
    return reports


def print_outcome(stack: Stack, reports: Reports, console: Console) -> None:
    """Print rows, statuses, bill and places; leave a copy of the lake in the stack's home."""
    copy_folder = stack.home / BUCKET
    stack.lake.save(copy_folder)
    first_partition = next(iter(reports))
    _print_partition(stack, first_partition, console)
    print_statuses(console, reports)
    print_bill(console, reports)
    print_places(stack, copy_folder, console)


def _print_partition(stack: Stack, partition: str, console: Console) -> None:
    """Print the first rows that were published of a partition."""
    prefix = f"{TARGET}/{partition}/"
    published_rows = stack.lake.table(prefix)
    print_rows(console, published_rows, title=f"{LAKE_URL}/{prefix}")


def read_command(copy_folder: Path) -> str:
    """Return a shell command that shows what was published, by DuckDB, from the copy of the lake."""
    files = copy_folder / TARGET / "*" / "*.parquet"
    program = (
        "import duckdb; "
        f"duckdb.read_parquet({str(files)!r}, hive_partitioning=True).show()"
    )
    return shlex.join([sys.executable, "-c", program])


def print_places(stack: Stack, copy_folder: Path, console: Console) -> None:
    """Print where everything is."""
    process_logs = stack.home / "logs"
    task_logs = stack.task_logs
    places = {
        "source": f"{LAKE_URL}/{SOURCE}/",
        "published": f"{LAKE_URL}/{TARGET}/",
        "ledger": f"{LAKE_URL}/_nightbatch/{TARGET}/",
        "copy of all": copy_folder,
        "logs": f"{process_logs} (processes), {task_logs} (tasks)",
    }
    for place_name, place in places.items():
        _print_plain(console, f"{place_name:<12} {place}")
    _print_plain(console, "To read what was published:")
    _print_plain(console, read_command(copy_folder))


def print_simulated(console: Console) -> None:
    """Say that nothing here is real."""
    _print_plain(console, SIMULATED)


def _print_plain(console: Console, line: str) -> None:
    """Print a line as it is, so that it can be copied."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)
