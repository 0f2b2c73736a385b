"""A run of 200 shards on real Airflow with one triggerer: what the waits cost, by Airflow's records and the books."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.waiting.live import Run, calls, reset

from nightbatch.local.rest import Json
from nightbatch.local.settings import Settings
from nightbatch.local.stack import Stack

TITLE = "Waiting: one run of 200 shards on real Airflow, batches of a minute"
SHARDS, BATCH_SECONDS = 200, 60.0


def run(shards: int = SHARDS, seconds: float = BATCH_SECONDS) -> list[dict[str, Any]]:
    """Run the shards, and read what each step took."""
    with tempfile.TemporaryDirectory() as home, Stack(Settings(home=Path(home) / "stack")) as stack:
        reset(stack, {"where": "batch", "what": "slow", "seconds": seconds})
        start = time.monotonic()
        one = Run(stack, "many").start(shards, max_batch_requests=1)
        state = one.state(patience=900)
        took = time.monotonic() - start
        books = stack.books()
        waits = one.tasks(".wait")
        ends = {batch["id"]: batch for batch in books["by_batch"]}
        return [
            {
                "shards": shards,
                "state": state,
                "run s": round(took),
                "submit, worker s": worker_seconds(one.tasks(".submit")),
                "wait, worker s": worker_seconds(waits),
                "waited s": round(sum(duration(task) for task in waits)),
                "land, worker s": worker_seconds(one.tasks(".land")),
                "create calls": calls(books, "create"),
                "list calls": calls(books, "list"),
                "retrieve calls": calls(books, "retrieve"),
                "batches": len(ends),
            }
        ]


def worker_seconds(tasks: list[Json]) -> float:
    """Sum what tasks took on a worker; one that never had a process took nothing."""
    return round(sum(duration(task) for task in tasks if task["pid"] is not None), 1)


def duration(task: Json) -> float:
    """Return the seconds from start to end of a task instance."""
    if not task["start_date"] or not task["end_date"]:
        return 0.0
    span = datetime.fromisoformat(task["end_date"]) - datetime.fromisoformat(task["start_date"])
    return span.total_seconds()


if __name__ == "__main__":
    print(TITLE, *run(), sep="\n")
