"""A partition to be enriched through Airflow, whatever is done to its run meanwhile; and how it is judged."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from tests.support.crashes.judge import Verdict, landed
from tests.support.nights.flow import SOURCE, Flow, published, put, rows, settings
from tests.support.nights.real import RealWorld
from tests.support.servers import account

from nightbatch.emulator.embedded import Emulator
from nightbatch.ledger.ledger import Ledger
from nightbatch.local.stack.rest import FINISHED, Json
from nightbatch.local.stack.settings import BUCKET
from nightbatch.local.stack.stack import Stack
from nightbatch.spec.locations import state_url

DAG_ID = "enrich_parquet"
SUBMIT, WAIT, LAND = "submit", "wait", "land"
SECRET = "a-row-that-nobody-else-may-read"
PATIENCE = 600.0
PAUSE = 1.5
"""Seconds between two looks: the API server works for each, and many jobs are looked at beside each other."""
_alone = threading.Lock()
over = threading.Event()
"""Set when nobody looks at the jobs any more: whatever still waits for something gives up."""
T = TypeVar("T")


def until(seen: Callable[[], T], told: str, patience: float = PATIENCE) -> T:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + patience
    while not (found := seen()):
        assert time.monotonic() < deadline, f"not within {patience:.0f} s: {told}"
        assert not over.wait(PAUSE), f"given up: {told}"
    return found


def ask(change: Callable[[], T]) -> T:
    """Change something in Airflow, one at a time: its SQLite has one writer."""
    with _alone:
        return change()


@dataclass
class Job:
    """One partition, and the run that enriches it just now. `size`: requests, by which its batches are known."""

    stack: Stack
    name: str
    size: int
    partition: str = ""
    conf: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""
    _seen: set[str] = field(default_factory=set)

    @property
    def world(self) -> RealWorld:
        return RealWorld(self.stack.lake.url, self.stack.emulator_url)

    @property
    def target(self) -> str:
        return f"s3://{BUCKET}/once/{self.name}/"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.world.store(state_url(self.target)))

    def put(self) -> Job:
        """Put the rows: one more than there are requests."""
        texts = [f"{SECRET}: {self.name} {number}" for number in [*range(self.size), 0]]
        put(self.world.store(SOURCE), f"{self.folder}/part-0.parquet", rows(texts))
        return self

    def start(self) -> Job:
        """Trigger a run."""
        given = {
            "source": SOURCE, "target": self.target, "partition": self.folder, "key": ["id"], "poll_seconds": 1,
            "prompt": "Say: {{ text }}", "model": "claude-haiku-4-5", "max_tokens": 50, "canary": "never",
            "min_answered": 0,
        }  # fmt: skip
        self.run_id = ask(
            lambda: self.stack.airflow.trigger(DAG_ID, conf=given | self.conf)
        )
        return self

    @property
    def folder(self) -> str:
        """The partition."""
        return self.partition or f"dt={self.name}"

    @property
    def each(self) -> int:
        """Requests of one batch: by that it is known to the emulator's faults."""
        return int(self.conf.get("max_batch_requests", self.size))

    def task(self, task_id: str) -> Json:
        """Return a task instance of the run; empty if there is none yet."""
        tasks = self.stack.airflow.get(f"{self._path}/taskInstances", task_id=task_id)[
            "task_instances"
        ]
        instance: Json = tasks[0] if tasks else {"state": None, "id": ""}
        return instance

    def tasks(self) -> list[Json]:
        """Return all task instances of the run."""
        return self.stack.airflow.tasks(DAG_ID, self.run_id)

    def waiting(self) -> bool:
        """Tell whether the run waits in the triggerer now."""
        return any(task["state"] == "deferred" for task in self.tasks())

    def holders(self) -> set[int]:
        """Name the triggerers that hold a wait of the run."""
        return {
            task["trigger"]["triggerer_id"] for task in self.tasks() if task["trigger"]
        } - {None}

    def reaches(self, task_id: str, *states: str) -> Json:
        """Wait until a task that was not seen here before is in one of these states."""

        def there() -> Json | None:
            self.stack.check()
            task = self.task(task_id)
            return (
                task
                if task["state"] in states and task["id"] not in self._seen
                else None
            )

        task = until(there, f"{self.name}: {task_id} {' or '.join(states)}")
        assert task is not None
        self._seen.add(task["id"])
        return task

    def waits(self, attempt: int = 1) -> str:
        """Wait until the run waits for a batch, and return the batch."""
        if (
            attempt > 1
        ):  # what is asked again is waited for by the task that has landed the first attempt
            self.reaches(LAND, "deferred")
            return self.batches()[-1]
        task = self.reaches(WAIT, "deferred")
        assert task["pid"] is None, "the wait holds no worker"
        return self.batches()[-1]

    def batches(self) -> list[str]:
        """Name the batches that the ledger knows, in the order of the claims."""
        facts = [
            self.ledger.batch(shard) for shard in sorted(self.ledger.view().claimed)
        ]
        return [fact.batch for fact in facts if fact is not None]

    def clear(self, *task_ids: str, downstream: bool = False) -> None:
        """Clear some tasks of the run; without a name, all."""
        body: dict[str, object] = {
            "dry_run": False,
            "only_failed": False,
            "dag_run_id": self.run_id,
        }
        if task_ids:
            body |= {"task_ids": list(task_ids), "include_downstream": downstream}
        ask(lambda: self.stack.airflow.post(f"/dags/{DAG_ID}/clearTaskInstances", body))

    def mark_failed(self, task_id: str = "") -> None:
        """Mark a task failed, or the run; and see the run fail."""
        path, what = self._path, {"state": "failed"}
        if task_id:
            path, what = f"{path}/taskInstances/{task_id}", {"new_state": "failed"}
        ask(lambda: self.stack.airflow.patch(path, what))
        assert self.ends() == "failed"

    def delete(self) -> None:
        """Delete the run, which Airflow does only once it has ended.

        The scheduler of Airflow 3.3.2 dies of a run that is deleted while it looks at it: let it go round once before.
        """
        self.mark_failed()
        since, airflow = time.time(), self.stack.airflow
        until(
            lambda: airflow.heartbeat("scheduler") > since,
            "the scheduler has gone round",
        )
        ask(lambda: airflow.delete(self._path))

    @property
    def _path(self) -> str:
        return f"/dags/{DAG_ID}/dagRuns/{quote(self.run_id)}"

    def ends(self) -> str:
        """Wait for the run's end."""

        def state() -> str:
            self.stack.check()
            now = str(self.stack.airflow.run(DAG_ID, self.run_id)["state"])
            return now if now in FINISHED else ""

        return until(state, f"{self.name}: the run's end")

    def logs(self) -> Iterator[str]:
        """Read the log of the last try of each task that has one."""
        for task in self.tasks():
            if (
                task["state"] in {"success", "failed", "deferred"}
                and task["try_number"]
            ):
                yield self.stack.airflow.log(task)

    def verdict(self) -> Verdict:
        """Judge what the API has sold to this ledger, and what the ledger has of it."""
        return judged(self.world, self.ledger)

    def published(self) -> list[dict[str, Any]]:
        """Read what is published."""
        return published(self.world.store(self.target), self.folder)

    def undisturbed(self, emulator_url: str) -> list[dict[str, Any]]:
        """Return what a run publishes that nothing happens to, asked elsewhere."""
        target = f"s3://{BUCKET}/calm/{self.name}/"
        world = RealWorld(self.stack.lake.url, emulator_url)
        Flow(world, settings(self.folder, target=target)).run()
        return published(world.store(target), self.folder)


def judged(world: RealWorld, ledger: Ledger) -> Verdict:
    """Judge what the API has sold of what a ledger has claimed, and what the ledger has of it."""
    asked: set[str] = set()
    for shard in ledger.view().claimed:
        asked |= {name.hex() for name in ledger.claimed(shard).column("id").to_pylist()}
    told = (json.loads(line) for line in account.results(Emulator(world.emulator)))
    bought = Counter(
        row["custom_id"] for row in told if row["result"]["type"] == "succeeded"
    )
    ours = {name: count for name, count in bought.items() if name in asked}
    return Verdict(
        sum(ours.values()) - len(ours),
        len({bytes.fromhex(name) for name in ours} - landed(ledger.store)),
    )
