"""Waits on a real scheduler and two real triggerers, which are frozen and killed while batches run; nothing is lost,
nothing is canceled but what somebody gave up, nothing is bought twice.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import pytest
from tests.airflow.runs import Run, enrich, on_worker, until

from nightbatch.emulator.embedded import Emulator
from nightbatch.local.stack.processes import marked
from nightbatch.local.stack.rest import Json
from nightbatch.local.stack.settings import API_KEY
from nightbatch.local.stack.stack import Stack

BATCHES = ("cleared", "marked", "given_up", "late", "left")
SHARDS, HOURS = 2, 10
DEADLINE_SECONDS = 25
WAIT = "wait"
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Story:
    """What came of it all."""

    ids: dict[str, str]
    before: Json
    books: Json
    others: Run
    enriched: Run
    state: str

    def counts(self, name: str) -> dict[str, int]:
        """Return how the requests of a batch ended, those that are none left out."""
        batch = next(
            one for one in self.books["by_batch"] if one["id"] == self.ids[name]
        )
        return {kind: count for kind, count in batch["counts"].items() if count}


def send(stack: Stack, name: str) -> str:
    """Send a batch of three requests."""
    params: dict[str, Any] = {"model": "claude-haiku-4-5", "max_tokens": 10}
    texts = [f"{name}-{number}" for number in range(3)]
    items: Any = [
        {
            "custom_id": text,
            "params": {**params, "messages": [{"role": "user", "content": text}]},
        }
        for text in texts
    ]
    with anthropic.Anthropic(base_url=stack.emulator_url, api_key=API_KEY) as client:
        return client.messages.batches.create(requests=items).id


def status(stack: Stack, batch: str) -> str:
    """Read the status of a batch."""
    with anthropic.Anthropic(base_url=stack.emulator_url, api_key=API_KEY) as client:
        return client.messages.batches.retrieve(batch).processing_status


def start_others(stack: Stack, ids: dict[str, str]) -> Run:
    """Start a run of the DAG that waits for anybody's batches."""
    deadline = datetime.now(UTC) + timedelta(seconds=DEADLINE_SECONDS)
    stack.airflow.wait_parsed("waits")
    return Run(
        stack,
        "waits",
        stack.airflow.trigger("waits", conf={**ids, "deadline": deadline.isoformat()}),
    )


def freeze_first(stack: Stack, run: Run) -> None:
    """Stop the first triggerer as a machine does that stalls, until the second has its waits; then let it go on."""
    first, second = sorted(triggerer_jobs(stack))
    assert first in holders(run)
    ended, processes = kills(stack, first), marked(stack.home, stack.triggerer.name)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: holders(run) == {second})
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    until(lambda: kills(stack, first) > ended)


def kills(stack: Stack, triggerer: int) -> int:
    """Count the triggers that Airflow has ended in a triggerer as if somebody had killed them."""
    logs = (stack.home / "airflow" / "logs").rglob(f"*.trigger.{triggerer}.log")
    return sum(b"invoking on_kill" in log.read_bytes() for log in logs)


def holders(run: Run) -> set[int | None]:
    """Return the ids of the triggerers that hold a run's waits."""
    jobs = (one["triggerer_job"] for one in run.tasks(WAIT))
    return {job["id"] if job else None for job in jobs}


def triggerer_jobs(stack: Stack) -> list[int]:
    """Return the ids of the triggerers that run."""
    jobs = stack.airflow.get("/jobs", job_type="TriggererJob", is_alive="true")["jobs"]
    return [job["id"] for job in jobs]


@pytest.fixture(scope="module")
def story(stack: Stack) -> Iterator[Story]:
    """Begin waits for batches that last ten hours; clear, mark, freeze and kill; then let ten hours pass."""
    emulator = Emulator(stack.emulator_url)
    emulator.faults({"where": "batch", "what": "slow", "seconds": HOURS * 3_600})
    before = stack.books()
    ids = {name: send(stack, name) for name in BATCHES}
    second = stack.twin(stack.triggerer, "triggerer-2")
    options = {"max_batch_requests": 1, "cancel_on_fail": True, "poll_seconds": 2}
    enriched, others = (
        enrich(stack, "frozen", SHARDS, **options),
        start_others(stack, ids),
    )
    until(lambda: [one["state"] for one in enriched.tasks(WAIT)] == ["deferred"])
    second.start()
    until(lambda: others.states().get("ended") == "deferred")
    others.clear("cleared")
    enriched.clear(WAIT)
    others.mark_failed("marked")
    others.mark_failed("given_up")
    until(lambda: len(triggerer_jobs(stack)) == 2)
    until(lambda: None not in holders(enriched))
    freeze_first(stack, enriched)
    until(lambda: others.states()["left"] == "skipped")
    until(lambda: status(stack, ids["late"]) != "in_progress")
    for triggerer in (stack.triggerer, second):
        triggerer.kill()
    stack.triggerer.restart()
    emulator.clear_faults()
    emulator.advance((HOURS + 1) * 3_600)
    state = enriched.end()
    others.end()
    yield Story(ids, before, stack.books(), others, enriched, state)
    emulator.reset()


def test_a_run_whose_triggerer_was_frozen_and_killed_ends_well(story: Story) -> None:
    assert story.state == "success"
    assert story.enriched.report()["by_status"] == {"answered": SHARDS}


def test_nothing_of_it_was_bought_twice_or_canceled(story: Story) -> None:
    assert story.books["accepted"]["twice"] == story.before["accepted"]["twice"]
    mine = [
        one
        for one in story.books["by_batch"]
        if one["requests"] == 1 and one["status"] == "ended"
    ]
    assert sum(one["counts"].get("canceled", 0) for one in mine) == 0


def test_its_wait_took_no_worker_before_nor_after(story: Story) -> None:
    (wait,) = story.enriched.tasks(WAIT)
    assert not on_worker(wait)


def test_a_wait_that_is_cleared_cancels_nothing_and_waits_again(story: Story) -> None:
    assert story.others.states()["cleared"] == "success"
    assert story.counts("cleared") == {"succeeded": 3}


def test_a_wait_that_is_marked_failed_cancels_its_batch_only_if_it_is_told_to(
    story: Story,
) -> None:
    states = story.others.states()
    assert (states["marked"], states["given_up"]) == ("failed", "failed")
    assert story.counts("marked") == {"succeeded": 3}
    assert story.counts("given_up").get("canceled", 0) > 0


def test_at_its_deadline_a_batch_is_canceled_or_left_as_the_sensor_says(
    story: Story,
) -> None:
    states = story.others.states()
    assert (states["late"], states["left"]) == ("success", "skipped")
    assert story.counts("late").get("canceled", 0) > 0
    assert story.counts("left") == {"succeeded": 3}


def test_the_output_of_a_task_may_be_waited_for_and_what_the_sensor_returns_be_read(
    story: Story,
) -> None:
    states = story.others.states()
    assert (states["send"], states["ended"], states["read"]) == (
        "success",
        "success",
        "success",
    )
    assert story.others.stack.airflow.xcom("waits", story.others.run_id, "read") == 3
