"""What a run says about its purchases: every line has the number of requests that it is about."""

from __future__ import annotations

import pytest
from tests.support.nights.flow import settings
from tests.support.nights.memory import MemoryWorld, world_of_rows

from nightbatch.flow import World, run

ROWS = 200


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory with rows that a canary goes before."""
    return world_of_rows(ROWS)


def lines_of_run(world: MemoryWorld, run_id: str) -> list[str]:
    """Run the flow, and return what it says of each attempt."""
    lines: list[str] = []
    in_one_process = World(
        world.store, world.batches, world.now, world.sleep, info=lines.append
    )
    run(settings(canary="new"), in_one_process, run_id)
    return [line for line in lines if line.startswith(("Canary", "Attempt"))]


def test_a_new_target_says_what_the_canary_and_the_first_attempt_send(
    world: MemoryWorld,
) -> None:
    canary, first = lines_of_run(world, "dag/1")
    assert canary.startswith(
        f"Canary: 3 of {ROWS} requests, sent before the others; 1 batch of this run; "
    )
    assert first.startswith(
        f"Attempt 1: {ROWS} requests asked, {ROWS - 3} to buy; 1 batch of this run; "
    )


def test_a_run_that_buys_nothing_says_why(world: MemoryWorld) -> None:
    lines_of_run(world, "dag/1")
    assert lines_of_run(world, "dag/2") == [
        f"Attempt 1: {ROWS} requests asked, 0 to buy: all have a result."
    ]


def test_what_the_canary_has_lost_is_among_what_the_first_attempt_sends(
    world: MemoryWorld,
) -> None:
    world.batches.faults.rows = {0: "errored"}
    lines = lines_of_run(world, "dag/1")
    assert any(
        line.startswith(f"Attempt 1: {ROWS} requests asked, {ROWS - 2} to buy; ")
        for line in lines
    )
    assert not any(line.startswith("Attempt 2") for line in lines)
