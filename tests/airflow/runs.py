"""Runs of a DAG on a stack of real components, and what a person does to them in the UI."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa

from nightbatch.local.stack.rest import FINISHED, Json
from nightbatch.local.stack.stack import Stack

T = TypeVar("T")
ENRICH = "enrich_parquet"
PATIENCE_SECONDS = 150.0
PAUSE_SECONDS = 1.0
"""Between two looks: the API server works for each."""


@dataclass
class Run:
    """One run of a DAG."""

    stack: Stack
    dag_id: str
    run_id: str

    def tasks(self, ending: str) -> list[Json]:
        """Return the instances of the tasks whose id ends so, those that were never scheduled left out."""
        found = self.stack.airflow.tasks(self.dag_id, self.run_id)
        return [
            one
            for one in found
            if one["task_id"].endswith(ending) and one["state"] not in (None, "skipped")
        ]

    def states(self) -> dict[str, str | None]:
        """Return the state of each task."""
        return {
            one["task_id"]: one["state"]
            for one in self.stack.airflow.tasks(self.dag_id, self.run_id)
        }

    def mark_failed(self, task_id: str) -> None:
        """Mark a task failed."""
        path = f"/dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{task_id}"
        self.stack.airflow.patch(path, {"new_state": "failed"})

    def clear(self, task: str) -> None:
        """Clear a task."""
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": [task],
            "only_failed": False,
        }
        self.stack.airflow.post(f"/dags/{self.dag_id}/clearTaskInstances", body)

    def end(self, patience: float = PATIENCE_SECONDS) -> str:
        """Block until the run has ended, and return its state."""
        return self.stack.airflow.wait(
            self.dag_id,
            self.run_id,
            patience=patience,
            watch=self.stack.check,
        )

    def ended(self) -> bool:
        """Tell whether the run has ended."""
        return self.stack.airflow.run(self.dag_id, self.run_id)["state"] in FINISHED

    def report(self) -> Json:
        """Return what `publish` reported."""
        report: Json = self.stack.airflow.xcom(self.dag_id, self.run_id, "publish")
        return report


def enrich(
    stack: Stack, name: str, rows: int, *, dag_id: str = ENRICH, **params: Any
) -> Run:
    """Put a dataset and enrich it; every row is a request of its own."""
    table = pa.table(
        {
            "id": list(range(rows)),
            "text": [f"{name} {number}" for number in range(rows)],
        }
    )
    stack.lake.put_table(f"{name}/in/part-0.parquet", table)
    conf = {
        "source": f"s3://lake/{name}/in/", "target": f"s3://lake/{name}/out/", "key": ["id"],
        "prompt": "Say: {{ text }}", "max_tokens": 20, "canary": "never", "attempts": 1, **params,
    }  # fmt: skip
    stack.airflow.wait_parsed(dag_id)
    return Run(stack, dag_id, stack.airflow.trigger(dag_id, conf=conf))


def until(find: Callable[[], T], patience: float = PATIENCE_SECONDS) -> T:
    """Look again and again until something is found, or true, and return it."""
    deadline = time.monotonic() + patience
    while not (found := find()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(PAUSE_SECONDS)
    return found


def on_worker(task: Json) -> bool:
    """Tell whether a task instance ever had anything to do with a worker."""
    return (
        task["pid"] is not None
        or task["queued_when"] is not None
        or bool(task["hostname"])
    )


def seconds(task: Json) -> float:
    """Return the seconds from start to end of a task instance."""
    if not task["start_date"] or not task["end_date"]:
        return 0.0
    return (
        datetime.fromisoformat(task["end_date"])
        - datetime.fromisoformat(task["start_date"])
    ).total_seconds()
