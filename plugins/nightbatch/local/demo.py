"""The demo: the nightly DAG over two nights of sample tickets, on real Airflow, and what it published and cost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from nightbatch.local.print_bill import print_bill, print_rows, print_statuses
from nightbatch.local.progress import Progress
from nightbatch.local.sample_tickets import parts, sample
from nightbatch.local.stack.errors import NightFailed
from nightbatch.local.stack.rest import Json
from nightbatch.local.stack.settings import BUCKET
from nightbatch.local.stack.stack import Stack

DAG_ID = "ticket_triage"
SOURCE, TARGET = "tickets", "ticket_triage"
REPORTER = "publish"
PATIENCE_SECONDS = 300.0
LOG_LINES = 25


def put_sample(stack: Stack) -> dict[str, int]:
    """Put both nights of tickets into the lake; return their rows by partition."""
    nights = sample(stack.settings.project)
    for partition, night in nights.items():
        for name, part in parts(night).items():
            stack.lake.put_table(f"{SOURCE}/{partition}/{name}", part)
    return {partition: night.num_rows for partition, night in nights.items()}


def run_night(stack: Stack, partition: str, console: Console) -> Json:
    """Run the DAG for one partition and return its report; raise NightFailed with the failed tasks' logs."""
    stack.airflow.wait_parsed(DAG_ID)
    run_id = stack.airflow.trigger(DAG_ID, conf={"partition": partition})
    progress = Progress(console, f"{DAG_ID} {partition}")

    def watch(tasks: list[Json]) -> None:
        stack.check()
        progress(tasks)

    with progress.showing():
        state = stack.airflow.wait(
            DAG_ID, run_id, patience=PATIENCE_SECONDS, watch=watch
        )
    if state != "success":
        raise NightFailed(
            f"{DAG_ID} for {partition} ended as {state}.\n"
            + "\n".join(_failures(stack, run_id))
        )
    report: Json = stack.airflow.xcom(DAG_ID, run_id, REPORTER)
    return report


def _failures(stack: Stack, run_id: str) -> Iterable[str]:
    for task in stack.airflow.tasks(DAG_ID, run_id):
        if task["state"] == "failed":
            yield f"── {task['task_id']}"
            yield from stack.airflow.log(task).splitlines()[-LOG_LINES:]


def run_nights(stack: Stack, console: Console) -> dict[str, Json]:
    """Run both nights, one after the other, and return their reports."""
    reports = {}
    for partition, rows in put_sample(stack).items():
        console.rule(f"night {partition}: {rows:,} tickets", align="left")
        reports[partition] = run_night(stack, partition, console)
    return reports


def print_outcome(stack: Stack, reports: dict[str, Json], console: Console) -> None:
    """Print rows, statuses, bill and places; leave a copy of the lake in the stack's home."""
    copy = stack.home / BUCKET
    stack.lake.save(copy)
    first = next(iter(reports))
    print_rows(
        console,
        stack.lake.table(f"{TARGET}/{first}/"),
        title=f"s3://{BUCKET}/{TARGET}/{first}/",
    )
    print_statuses(console, reports)
    print_bill(console, reports)
    print_places(stack, copy, console)


def print_places(stack: Stack, copy: Path, console: Console) -> None:
    """Print where everything is."""
    places = {
        "source": f"s3://{BUCKET}/{SOURCE}/",
        "published": f"s3://{BUCKET}/{TARGET}/",
        "ledger": f"s3://{BUCKET}/_nightbatch/{TARGET}/",
        "copy of all": copy,
        "logs": f"{stack.home / 'logs'} (processes), {stack.home / 'airflow' / 'logs'} (tasks)",
    }
    for name, place in places.items():
        console.print(f"{name:<12} {place}", highlight=False, soft_wrap=True)
