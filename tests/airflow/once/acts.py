"""What is done to a run while its batch is in progress: by a person in Airflow, in the Console, or by chance.

An act is called with a job that was just started, and returns once the run waits again, or is over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.airflow.once.job import SUBMIT, WAIT, Job, until
from tests.support.servers import account

from nightbatch.emulator.embedded import Emulator
from nightbatch.land.read_results import READINGS
from nightbatch.local.stack.rest import call


def leave(job: Job) -> None:
    """Do nothing to it."""
    job.waits()


def meddle(job: Job) -> None:
    """Clear submit, wait, and all from submit on; mark the wait failed and clear it; delete the run, start another."""
    batch = job.waits()
    job.reaches(SUBMIT, "success")
    job.clear(SUBMIT)
    job.reaches(SUBMIT, "success")
    job.clear(WAIT, downstream=True)
    assert job.waits() == batch
    job.clear(SUBMIT, downstream=True)
    assert job.waits() == batch
    job.mark_failed(WAIT)
    job.clear(WAIT, downstream=True)
    assert job.waits() == batch
    job.delete()
    job.start()
    assert job.waits() == batch
    assert job.batches() == [batch]
    assert status(job, batch) == "in_progress"


def hide(job: Job) -> None:
    """Have the batch not shown for as long as one try of its landing looks for it."""
    fault = {
        "where": "retrieve",
        "what": "api_error",
        "count": READINGS,
        "match": {"batch": job.waits()},
    }
    Emulator(job.stack.emulator_url).faults(fault)


def give_up(job: Job) -> None:
    """Mark the wait failed, and leave it so."""
    job.waits()
    job.mark_failed(WAIT)


def meddle_in_the_console(job: Job) -> None:
    """Cancel the batch as a person would in the Console; delete the one that comes after it."""
    stranger(job).cancel(job.waits())
    delete_in_the_console(job, job.waits(attempt=2))
    assert job.ends() == "success"


def delete_in_the_console(job: Job, batch: str) -> None:
    """Cancel the batch and delete it, before anybody has looked at it again."""
    emulator = Emulator(job.stack.emulator_url)
    blind: list[Any] = [{"where": "list", "what": "unavailable"}]
    blind.append(
        {"where": "retrieve", "what": "unavailable", "match": {"batch": batch}}
    )
    ids = [
        fault["id"]
        for fault in emulator.faults(*blind)
        if fault["what"] == "unavailable"
    ]
    stranger(job).cancel(batch)
    until(lambda: status(job, batch) == "ended", f"batch {batch} has ended")
    stranger(job).delete(batch)
    for fault in ids:
        call(job.stack.emulator_port, "DELETE", f"/_emulator/faults/{fault}")


def lose_the_answer(job: Job) -> None:
    """Have the answer to the create dropped by a fault set before; strangers then send batches of the same size."""
    job.reaches(SUBMIT, "deferred")
    stranger(job).buy(2, job.size)
    assert job.batches() == []


def run_thrice_at_once(job: Job) -> None:
    """Start a second run of the partition, and one of another partition with the same rows; see all end.

    Of tasks that are the first to tell of an asset at the same moment Airflow 3.3.2 fails all but one, after they have
    published (UNIQUE constraint of its table of assets): such a task is cleared, as a person would.
    """
    beside = [
        replace(job).start(),
        replace(job, partition=f"{job.folder}-too").put().start(),
    ]
    for one in (job, *beside):
        if one.ends() == "failed":
            assert [
                task["task_id"] for task in one.tasks() if task["state"] == "failed"
            ] == ["publish"]
            one.clear("publish")
            until(
                lambda one=one: one.ends() == "success",
                f"{one.name}: what was cleared has ended well",
            )  # type: ignore[misc]
    assert beside[-1].published() == job.published()


def see_it_end(job: Job) -> None:
    """Wait for its end."""
    assert job.ends() == "success"


def stranger(job: Job) -> account.Stranger:
    """Return somebody else who uses the account."""
    return account.Stranger(job.stack.emulator_url, f"beside-{job.name}")


def status(job: Job, batch: str) -> str:
    """Tell how a batch stands, by the books."""
    return next(
        str(one["status"])
        for one in account.batches(Emulator(job.stack.emulator_url))
        if one["id"] == batch
    )
