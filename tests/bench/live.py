"""A run of 200 shards on real Airflow with one triggerer: what its waits took, by Airflow's records and the books.

BENCH_SHARDS (200) sizes it. Tasks on workers take most of the time: two for each shard.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from rows import machine, renew, show
from tests.airflow.runs import Run, enrich, on_worker, seconds

from nightbatch.local.settings import Settings
from nightbatch.local.stack import Stack

SHARDS, REQUESTS, BATCH_SECONDS = int(os.environ.get("BENCH_SHARDS", "200")), 10, 90.0
READS = ("list", "retrieve")
PATIENCE = 3_000.0
TITLE = f"One run of {SHARDS} shards on real Airflow, batches of {BATCH_SECONDS:.0f} s"


class Reads(threading.Thread):
    """Watches the books: how many reads of batches there were in each full minute."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self._stack, self._ended = stack, threading.Event()
        self.seen: list[int] = []

    def run(self) -> None:
        while not self._ended.wait(60):
            self.seen.append(sum(calls(self._stack.books(), kind) for kind in READS))

    def end(self) -> int:
        """Return the most reads in a minute."""
        self._ended.set()
        self.join()
        return max((late - early for early, late in zip([0, *self.seen], self.seen, strict=False)), default=0)


def run() -> list[dict[str, Any]]:
    """Run the shards; return what each kind of task, and each kind of request, came to."""
    batches = ("--seconds", str(BATCH_SECONDS / 2), "--retry-after", "10")  # of ten requests: twice as long
    with tempfile.TemporaryDirectory() as home, Stack(Settings(home=Path(home) / "s", emulator_args=batches)) as stack:
        reads = Reads(stack)
        reads.start()
        begin = time.monotonic()
        one = enrich(stack, "many", SHARDS * REQUESTS, max_batch_requests=REQUESTS)
        state = one.end(PATIENCE)
        took = time.monotonic() - begin
        most, books = reads.end(), stack.books()
        assert state == "success", state
        return [
            row("run", "seconds", round(took)),
            *(tasks(one, name) for name in ("submit", "wait", "land")),
            row("wait", "seconds waited, summed", round(sum(seconds(task) for task in one.tasks(".wait")))),
            *(row("requests to the API", kind, calls(books, kind)) for kind in books["calls"]),
            row("reads (list, retrieve)", "a minute", round(sum(calls(books, kind) for kind in READS) / took * 60, 1)),
            row("reads (list, retrieve)", "in the busiest minute", most),
            row("requests", "accepted twice", books["accepted"]["twice"]),
        ]


def tasks(one: Run, name: str) -> dict[str, Any]:
    """Return the worker seconds of a kind of task: of those instances that ever had to do with a worker."""
    found = one.tasks(f".{name}")
    assert len(found) == SHARDS, (name, len(found))
    return row(name, "worker seconds", round(sum(seconds(task) for task in found if on_worker(task)), 1))


def row(what: str, of: str, value: Any) -> dict[str, Any]:
    """Make one row."""
    return {"": what, "what": of, "value": value}


def calls(books: dict[str, Any], endpoint: str) -> int:
    """Count the calls to an endpoint."""
    return int(sum(books["calls"].get(endpoint, {}).values()))


if __name__ == "__main__":
    found = run()
    show("live", TITLE, found)
    renew("live", f"{TITLE}. Measured on {machine()}; load average at the end {os.getloadavg()[1]:.1f}.", found)
