"""Bought once, through Airflow: each run is disturbed in its own way; all are judged by the emulator's books.

All runs are started together, and what is done to each is done beside the others. Batches of some sizes last for an
hour of the emulator's clock, which is turned when all that is done to a running batch has been done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.airflow.once import acts
from tests.airflow.once.job import PATIENCE, SECRET, until
from tests.airflow.once.night import HERE, HOUR, Case, Night, create, disturbed, killed
from tests.support.airflow.stack import DEAD_SECONDS
from tests.support.crashes.case_table import Table
from tests.support.crashes.judge import Verdict

from nightbatch.local.stack.stack import Stack

JOINED = "The new run joins the batch, which is not canceled."
ON = "Airflow tries the task again, and it continues from the facts."
EARLY = ("claim written", "post written", "batch written", "results staged")
LATE = ("batch created", "owner written", "results landed", "file published")
CREATES = (
    create("api_error", 1, after=True), create("bad_gateway", 2, after=True), create("timeout", 3, after=True),
    create("drop_after", 4),
)  # fmt: skip
CASES = (
    Case("meddled", 10, acts.meddle, "during the batch, `submit` and `wait` are cleared, `wait` is marked failed and "
         "cleared, and the DAG run is deleted and the partition run again", JOINED, lasts=1),
    Case("orphan", 13, acts.lose_the_answer, "the response to the create is lost; other programs' batches have the "
         "same size", "The run waits for its batch without a worker and takes it over.", lasts=1,
         faults=(create("drop_after"),)),
    Case("console", 14, acts.meddle_in_the_console, "a batch is canceled in the Console, and the next one is deleted "
         "there", "Its requests count as lost and are sent again.", lasts=24, turns=2),
    Case("shot", 2, acts.see_it_end, killed(EARLY), ON, points=EARLY),
    Case("shot-again", 3, acts.see_it_end, killed(LATE), ON, points=LATE),
    Case("creates", 4, acts.see_it_end, "500, 502, 504 and a lost response after four creates of the same size",
         "Each claim takes over its own batch.", conf={"max_batch_requests": 1}, faults=CREATES),
    Case("twins", 5, acts.run_thrice_at_once, "two runs of one partition and one of another with the same prompts, at "
         "the same time", "One run buys; the others join its claims."),
)  # fmt: skip
pytestmark = pytest.mark.timeout(2 * PATIENCE)


@pytest.fixture(scope="module")
def night(stack: Stack) -> Iterator[Night]:
    """Start all runs at once, and do to each what its case says."""
    with disturbed(stack, CASES) as begun:
        yield begun


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_a_run_goes_on_after_what_is_done_to_it(night: Night, name: str) -> None:
    night.acted(name)


def test_runs_go_on_when_triggerer_and_scheduler_are_killed_with_all_their_workers(
    night: Night,
) -> None:
    night.acted("meddled", "orphan")
    airflow, meddled = night.stack.airflow, night.jobs["meddled"]
    batch = meddled.batches()
    meddled.clear()
    jobs = [job for job in night.jobs.values() if job.waiting()]
    before = {holder for job in jobs for holder in job.holders()}
    until(
        lambda: any(task["state"] for task in meddled.tasks()), "the run has begun anew"
    )
    night.stack.scheduler.kill()
    night.stack.triggerer.kill()
    until(
        lambda: time.time() - airflow.heartbeat("scheduler") > DEAD_SECONDS,
        "the scheduler is taken to be dead",
    )
    night.stack.triggerer.restart()
    night.stack.scheduler.restart()
    assert [meddled.waits()] == batch == meddled.batches()
    for job in jobs:
        until(
            lambda job=job: not job.holders() & before,
            f"{job.name}: another triggerer has it",
        )


@pytest.fixture(scope="module")
def ended(night: Night) -> Night:
    """Let the batches that last for an hour end, once all that is done to them has been done."""
    night.acted()
    night.emulator.advance(2 * HOUR)
    return night


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_disturbed_is_published_as_if_nothing_had_happened(
    ended: Night, table: Table, case: Case
) -> None:
    ended.judge(table, case.name, case.case, case.happens)


def test_clearing_a_run_that_has_succeeded_buys_nothing(
    ended: Night, table: Table
) -> None:
    job = ended.jobs["meddled"]
    assert job.ends() == "success"
    batches = job.batches()
    job.clear()
    ended.judge(
        table,
        "meddled",
        "a successful run is cleared",
        "All its answers are reused.",
    )
    assert job.batches() == batches
    assert {task["state"] for task in job.tasks()} == {"success", "skipped"}


def test_nothing_was_bought_twice_on_the_account(ended: Night, table: Table) -> None:
    for job in ended.jobs.values():
        job.ends()
    twice = ended.emulator.books()["bought"]["twice"]
    lost = sum(job.verdict().lost for job in ended.jobs.values())
    case = "the triggerer, the scheduler and its workers are killed with -9 during all these cases"
    table.add(
        HERE, case, "Waits and tasks continue in the new ones.", Verdict(twice, lost)
    )
    assert (twice, lost) == (0, 0)


def test_no_row_is_in_what_airflow_keeps(ended: Night) -> None:
    places = [
        path
        for folder in ("airflow", "logs")
        for path in (ended.stack.home / folder).rglob("*")
    ]
    assert [
        str(path)
        for path in places
        if path.is_file() and SECRET.encode() in path.read_bytes()
    ] == []
