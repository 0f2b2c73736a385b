"""A run of 200 shards on real Airflow with one triggerer: what its waits took, by Airflow's records and the books.

BENCH_SHARDS (200) sizes it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import anthropic
from tests.airflow.runs import Run, enrich, on_worker, seconds
from tests.bench.tables.rows import busy, machine, renew, show

from nightbatch.local.stack.settings import API_KEY, Settings
from nightbatch.local.stack.stack import Stack

SHARDS, REQUESTS, BATCH_SECONDS = int(os.environ.get("BENCH_SHARDS", "200")), 10, 90.0
PATIENCE = 3_000.0
TITLE = f"One run of {SHARDS} shards on real Airflow, batches of {BATCH_SECONDS:.0f} s"


def run() -> list[dict[str, Any]]:
    """Run the shards; return what each kind of task, and each kind of request, came to."""
    batches = (
        "--seconds",
        str(BATCH_SECONDS / 2),
        "--retry-after",
        "10",
    )  # of ten requests: twice as long
    with (
        tempfile.TemporaryDirectory() as home,
        Stack(Settings(home=Path(home) / "s", emulator_args=batches)) as stack,
    ):
        begin = time.monotonic()
        one = enrich(stack, "many", SHARDS * REQUESTS, max_batch_requests=REQUESTS)
        state = one.end(PATIENCE)
        took = time.monotonic() - begin
        books = stack.books()
        assert state == "success", state
        return [
            row("run", "seconds", round(took)),
            *(tasks(one, name) for name in ("submit", "wait", "land")),
            row("wait", "seconds waited", round(seconds(one.tasks("wait")[0]))),
            row(
                "wait",
                "seconds from the last batch's end to the wait's",
                round(delay(one), 1),
            ),
            *(
                row("requests to the API", kind, calls(books, kind))
                for kind in books["calls"]
            ),
            row(
                "wait",
                "list requests a minute",
                round(calls(books, "list") / took * 60, 1),
            ),
            row("requests", "accepted twice", books["accepted"]["twice"]),
        ]


def tasks(one: Run, name: str) -> dict[str, Any]:
    """Return the worker seconds of a task; none where it never had to do with a worker."""
    (task,) = one.tasks(name)
    spent = seconds(task) if on_worker(task) else 0.0
    return row(name, "worker seconds", round(spent, 1))


def delay(one: Run) -> float:
    """Return the seconds between the end of the last batch and the end of the wait."""
    with anthropic.Anthropic(
        base_url=one.stack.emulator_url, api_key=API_KEY
    ) as client:
        ends = [batch.ended_at for batch in client.messages.batches.list(limit=1000)]
    last = max(end for end in ends if end is not None)
    (wait,) = one.tasks("wait")
    return (datetime.fromisoformat(wait["end_date"]) - last).total_seconds()


def row(what: str, of: str, value: Any) -> dict[str, Any]:
    """Make one row."""
    return {"what": what, "of": of, "value": value}


def calls(books: dict[str, Any], endpoint: str) -> int:
    """Count the calls to an endpoint."""
    return int(sum(books["calls"].get(endpoint, {}).values()))


if __name__ == "__main__":
    before = os.getloadavg()[0]
    found = run()
    show("live", TITLE, found)
    renew("live", f"{TITLE}.\nMeasured on {machine()}; {busy(before)}.", found)
