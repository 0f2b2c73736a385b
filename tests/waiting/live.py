"""Runs of `enrich_parquet` on a stack of real components, and what Airflow and the emulator's books say of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nightbatch.local.rest import Json, call
from nightbatch.local.stack import Stack

DAG_ID = "enrich_parquet"
WAIT = "attempt_1.shard.wait"
TICK = 0.3


@dataclass
class Run:
    """One run of `enrich_parquet` over a dataset of its own."""

    stack: Stack
    name: str
    run_id: str = ""

    def start(self, rows: int, **params: Any) -> Run:
        """Put a dataset and start the run; every row is a request of its own."""
        table = pa.table({"id": list(range(rows)), "text": [f"{self.name} {number}" for number in range(rows)]})
        self.stack.lake.put_table(f"{self.name}/in/part-0.parquet", table)
        conf = {
            "source": f"s3://lake/{self.name}/in/", "target": f"s3://lake/{self.name}/out/", "key": ["id"],
            "prompt": "Say: {{ text }}", "max_tokens": 20, "canary": "never", "attempts": 1, **params,
        }  # fmt: skip
        airflow = self.stack.airflow
        airflow.wait_parsed(DAG_ID)
        self.run_id = airflow.trigger(DAG_ID, conf=conf)
        return self

    def state(self, patience: float = 200) -> str:
        """Block until the run has ended, and return its state."""
        return self.stack.airflow.wait(DAG_ID, self.run_id, patience=patience)

    def tasks(self, ending: str) -> list[Json]:
        """Return the tasks whose id ends so, those that were never mapped left out."""
        found = self.stack.airflow.tasks(DAG_ID, self.run_id)
        return [one for one in found if one["task_id"].endswith(ending) and one["map_index"] >= 0]

    def waits(self, state: str) -> list[Json]:
        """Return the waits that are in a state."""
        return [one for one in self.tasks(".wait") if one["state"] == state]

    def mark(self, index: int, state: str) -> None:
        """Mark a wait, as a person does in the UI."""
        path = f"/dags/{DAG_ID}/dagRuns/{self.run_id}/taskInstances/{WAIT}/{index}"
        self.stack.airflow.patch(path, {"new_state": state})

    def clear(self, index: int) -> None:
        """Clear a wait, as a person does in the UI."""
        body: Mapping[str, object] = {
            "dry_run": False, "dag_run_id": self.run_id, "task_ids": [[WAIT, index]], "only_failed": False,
        }  # fmt: skip
        self.stack.airflow.post(f"/dags/{DAG_ID}/clearTaskInstances", body)

    def report(self) -> Json:
        """Return what `publish` reported."""
        report: Json = self.stack.airflow.xcom(DAG_ID, self.run_id, "publish")
        return report


def until(true: Callable[[], object], patience: float = 90.0) -> None:
    """Block until something is true."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(TICK)


def emulator(stack: Stack, path: str, body: Mapping[str, object]) -> Json:
    """Set the emulator's faults or turn its clock."""
    return call(stack.emulator_port, "POST", f"/_emulator/{path}", body)


def reset(stack: Stack, *faults: Mapping[str, object]) -> None:
    """Let the emulator forget everything, and set faults."""
    emulator(stack, "reset", {})
    emulator(stack, "faults", {"faults": list(faults), "replace": True})


def calls(books: Json, *endpoints: str) -> int:
    """Count the calls to some endpoints."""
    return sum(sum(books["calls"].get(one, {}).values()) for one in endpoints)
