"""Several runs at once through a queue that is too small for them, on real Airflow: the cap holds, nobody starves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.airflow.runs import Run, enrich, on_worker

from nightbatch.emulator.embedded import Emulator
from nightbatch.local.stack.settings import Settings
from nightbatch.local.stack.stack import Stack

QUEUE, CAP = 60, 40
SIZES = {"small": (20, 5), "middle": (40, 10), "large": (60, 30)}
"""Requests of a run, and of a shard of it."""
HOUR = 3_600.0
PATIENCE_SECONDS = 900.0
pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start a stack whose API holds sixty requests in its queue, for an hour each."""
    batches = (
        "--seconds",
        str(HOUR),
        "--queue-limit",
        str(QUEUE),
        "--retry-after",
        "1",
    )
    home = tmp_path_factory.mktemp("room") / "stack"
    with Stack(
        Settings(
            home=home, emulator_args=batches, env={"NIGHTBATCH_POLL_HELD_SECONDS": "60"}
        )
    ) as running:
        yield running


def crowd(stack: Stack, name: str, **params: Any) -> tuple[list[Run], Any]:
    """Run three datasets at once, each with a target of its own; return the runs, ended, and the books.

    Whenever every submit has ended or waits for room, three hours pass, and what is in the queue ends.
    """
    emulator = Emulator(stack.emulator_url)
    emulator.reset()
    runs = [
        enrich(
            stack,
            f"{name}-{size}",
            rows,
            max_batch_requests=shard,
            poll_seconds=2,
            **params,
        )
        for size, (rows, shard) in SIZES.items()
    ]
    deadline, most = time.monotonic() + PATIENCE_SECONDS, 0
    while not all(run.ended() for run in runs):
        assert time.monotonic() < deadline, [run.states() for run in runs]
        time.sleep(2)
        states = [task["state"] for run in runs for task in run.tasks("submit")]
        if (
            len(states) == len(runs)
            and set(states) <= {"success", "deferred"}
            and stack.books()["queue"]["now"]
        ):
            most = max(most, states.count("deferred"))
            emulator.advance(3 * HOUR)
    assert most > 0, "nobody had to wait"
    return runs, stack.books()


def check(runs: list[Run], books: Any) -> None:
    """Check that all was asked once, that no submit was tried again, and that no wait had to do with a worker."""
    assert [run.end() for run in runs] == ["success"] * len(runs)
    asked = sum(rows for rows, _ in SIZES.values())
    assert (books["accepted"]["requests"], books["accepted"]["twice"]) == (asked, 0)
    assert all(
        run.report()["by_status"] == {"answered": rows}
        for run, (rows, _) in zip(runs, SIZES.values(), strict=True)
    )
    assert {task["try_number"] for run in runs for task in run.tasks("submit")} == {1}
    assert not any(on_worker(task) for run in runs for task in run.tasks("wait"))


def test_runs_of_three_targets_share_a_cap_that_is_never_passed(stack: Stack) -> None:
    runs, books = crowd(stack, "capped", max_in_flight_requests=CAP)
    check(runs, books)
    assert 0 < books["queue"]["peak"] <= CAP
    assert books["calls"]["create"].keys() == {"200"}


def test_a_queue_that_is_full_is_waited_for_in_line(stack: Stack) -> None:
    runs, books = crowd(stack, "full")
    check(runs, books)
    assert books["calls"]["create"]["429"] > 0
    assert books["queue"]["peak"] <= QUEUE
