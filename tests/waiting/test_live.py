"""Waiting on the real scheduler and two real triggerers: no worker, few requests, and nothing cancelled by accident."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.waiting.live import Run, calls, emulator, reset, until

from nightbatch.local.processes import Service, marked
from nightbatch.local.rest import Json
from nightbatch.local.settings import Settings
from nightbatch.local.stack import Stack

HEARTBEAT, THRESHOLD = 1, 5
"""Seconds after which a silent triggerer's waits are moved to another."""
SHARDS, CAP = 10, 4


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a stack whose triggerers are soon missed."""
    env = {
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": str(HEARTBEAT),
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(THRESHOLD),
        "NIGHTBATCH_POLL_CONNECTION_SECONDS": "5",
    }
    args = ("--seconds", "1", "--retry-after", "1")
    home = tmp_path_factory.mktemp("waiting") / "stack"
    with Stack(Settings(home=home, emulator_args=args, env=env)) as running:
        yield running


@dataclass(frozen=True)
class Capped:
    """A run whose shards wait for room, and then for their end."""

    state: str
    waits: list[Json]
    submits: list[Json]
    books: Json
    seconds: float


@pytest.fixture(scope="module")
def capped(stack: Stack) -> Capped:
    """Run ten shards of one request through a queue of four."""
    reset(stack)
    start = time.monotonic()
    run = Run(stack, "capped").start(SHARDS, max_batch_requests=1, max_in_flight_requests=CAP, poll_seconds=5)
    state = run.state()
    return Capped(state, run.tasks(".wait"), run.tasks(".submit"), stack.books(), time.monotonic() - start)


def test_a_run_that_must_wait_for_room_ends_well(capped: Capped) -> None:
    assert capped.state == "success"
    assert capped.books["accepted"]["requests"] == SHARDS
    assert capped.books["accepted"]["twice"] == 0


def test_the_queue_never_holds_more_than_the_cap(capped: Capped) -> None:
    assert 0 < capped.books["queue"]["peak"] <= CAP


def test_no_submit_fails_or_is_retried_for_want_of_room(capped: Capped) -> None:
    assert {task["try_number"] for task in capped.submits} == {1}


def test_no_wait_touches_a_worker(capped: Capped) -> None:
    assert len(capped.waits) == SHARDS
    assert all(task["pid"] is None and task["queued_when"] is None and not task["hostname"] for task in capped.waits)


def test_the_waits_cost_less_than_a_request_a_second_in_all(capped: Capped) -> None:
    submitted = len(capped.submits)
    assert calls(capped.books, "list", "retrieve") <= capped.seconds + 3 * submitted


@dataclass(frozen=True)
class Night:
    """What was cancelled after each thing that happened to waits that may be cancelled on failure."""

    cleared: int
    frozen: int
    moved: int
    failed: int
    waiting: list[Json]
    deadline: Json


@pytest.fixture(scope="module")
def night(stack: Stack, capped: Capped) -> Night:
    """Clear, freeze and mark waits of batches that never end, with a second triggerer beside the first."""
    reset(stack, {"where": "batch", "what": "never_ends", "at": 0.5})
    run = Run(stack, "night").start(3, max_batch_requests=1, cancel_on_fail=True, poll_seconds=2)
    late = Run(stack, "late").start(10, deadline_hours=40 / 3600, min_answered=0.1, poll_seconds=2)
    second = stack.twin(stack.triggerer, "triggerer-2")
    until(lambda: len(run.waits("deferred")) == 3)
    seen = []

    run.clear(0)
    until(lambda: len(run.waits("deferred")) == 3)
    time.sleep(2)
    seen.append(cancelled(stack, run))

    second.start()
    second.wait_ready()
    freeze(stack, stack.triggerer)
    time.sleep(THRESHOLD + 3 * HEARTBEAT + 4)
    seen.append(cancelled(stack, run))
    thaw(stack, stack.triggerer)
    time.sleep(4)
    seen.append(cancelled(stack, run))

    waiting = run.waits("deferred")
    run.mark(1, "failed")
    until(lambda: cancelled(stack, run) > 0)
    time.sleep(1)
    seen.append(cancelled(stack, run))
    assert late.state() == "success"
    report = late.report()
    emulator(stack, "clock", {"advance": 25 * 3600})
    return Night(*seen, waiting=waiting, deadline=report)


def test_clearing_a_wait_cancels_nothing(night: Night) -> None:
    assert night.cleared == 0


def test_a_triggerer_that_is_frozen_until_its_waits_are_moved_cancels_nothing(night: Night) -> None:
    assert (night.frozen, night.moved) == (0, 0)
    assert len(night.waiting) == 3


def test_marking_a_wait_failed_cancels_its_batch_and_no_other_if_the_run_says_so(night: Night) -> None:
    assert night.failed == 1


def test_at_the_deadline_what_is_left_is_cancelled_and_what_is_done_is_published(night: Night) -> None:
    statuses = night.deadline["by_status"]
    assert set(statuses) == {"answered", "canceled"}
    assert sum(statuses.values()) == 10


def cancelled(stack: Stack, run: Run) -> int:
    """Count the single-request batches that somebody has cancelled: those of the run."""
    by_batch: list[dict[str, Any]] = stack.books()["by_batch"]
    mine = [batch for batch in by_batch if batch["requests"] == 1]
    return sum(batch["status"] != "in_progress" for batch in mine)


def freeze(stack: Stack, service: Service) -> None:
    """Stop a service's processes as a machine does that stalls."""
    for process in marked(stack.home, service.name):
        process.send_signal(signal.SIGSTOP)


def thaw(stack: Stack, service: Service) -> None:
    """Let them go on."""
    for process in marked(stack.home, service.name):
        process.send_signal(signal.SIGCONT)
