"""A backfill ends green, and has bought each request once, although its workers, triggerer and scheduler are killed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from tests.support.airflow.cluster import (
    DAG_ID,
    backfill,
    books,
    ended,
    published,
    put_days,
    states,
    texts_of,
    until,
)

from nightbatch.local.cluster.cluster import Cluster
from nightbatch.local.stack.rest import Json

DAYS = [2, 3, 4, 5, 6, 7]
ROWS = 60
DOWN_SECONDS = 5.0
pytestmark = pytest.mark.timeout(1_800)


@dataclass
class Backfill:
    """What a backfill has come to: its runs as they ended, their tasks, and what the account has bought."""

    runs: list[Json] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    books: Json = field(default_factory=dict)


@pytest.fixture(scope="module")
def killed(cluster: Cluster) -> Backfill:
    """Backfill six days; kill a worker while tasks run, a triggerer and the scheduler while batches are awaited."""
    put_days(cluster, DAYS, ROWS)
    runs = backfill(cluster, DAYS[0], DAYS[-1], at_once=len(DAYS))
    until(
        lambda: ("submit", "running") in states(cluster, runs), "a submit that is running"
    )  # fmt: skip
    kill_and_start_again(cluster, "worker-1")
    until(
        lambda: ("wait", "deferred") in states(cluster, runs), "a wait in a triggerer"
    )
    kill_and_start_again(cluster, "triggerer")
    kill_and_start_again(cluster, "scheduler")
    until(
        lambda: ("land", "running") in states(cluster, runs), "a land that is running"
    )
    kill_and_start_again(cluster, "worker-2")
    return Backfill(runs, ended(cluster, runs), books(cluster))


def kill_and_start_again(cluster: Cluster, name: str) -> None:
    """Kill -9 a part with all its children; some seconds later it is there again."""
    (part,) = [part for part in cluster.parts if part.name == name]
    part.kill()
    time.sleep(DOWN_SECONDS)
    part.restart()


def test_every_run_of_the_backfill_is_green(killed: Backfill) -> None:
    assert len(killed.runs) == len(DAYS)
    assert killed.ended == ["success"] * len(DAYS)


def test_no_request_was_bought_twice(killed: Backfill) -> None:
    distinct = {text for day in DAYS for text in texts_of(day, ROWS)}
    bought = killed.books["bought"]
    assert bought["twice"] == 0
    assert bought["distinct"] == len(distinct)
    assert killed.books["batches"]["created"] >= len(distinct) / 5


def test_every_row_has_its_answer_in_its_place(
    cluster: Cluster, killed: Backfill
) -> None:
    for day in DAYS:
        rows = published(cluster, day)
        assert rows["id"].to_pylist() == list(range(ROWS))
        assert set(rows["_status"].to_pylist()) == {"answered"}


def test_the_api_and_the_database_tell_the_same_of_every_task(
    cluster: Cluster, killed: Backfill
) -> None:
    told = {
        (run["dag_run_id"], task["task_id"]): task["state"]
        for run in killed.runs
        for task in cluster.airflow.tasks(DAG_ID, run["dag_run_id"])
    }
    query = "select run_id, task_id, state from task_instance where dag_id = %s and run_id = any(%s)"
    run_ids = [run["dag_run_id"] for run in killed.runs]
    stored = {
        (run_id, task_id): state
        for run_id, task_id, state in cluster.rows(query, DAG_ID, run_ids)
    }
    assert told == stored
    assert set(told.values()) <= {"success", "skipped"}
    assert len(told) == len(DAYS) * 5


def test_the_log_of_a_task_can_be_read_whichever_worker_ran_it(
    cluster: Cluster, killed: Backfill
) -> None:
    for run in killed.runs:
        tasks = cluster.airflow.tasks(DAG_ID, run["dag_run_id"])
        (publish,) = [task for task in tasks if task["task_id"] == "publish"]
        # A worker sends a task's log to S3 after the task has ended.
        until(
            lambda task=publish: f"{ROWS} rows" in cluster.airflow.log(task),
            "the log of publish",
            patience=60,
        )
