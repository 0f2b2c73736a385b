"""A run that has bought nothing gives up after minutes; one that has bought something goes on for a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.flow import Flow, settings
from tests.support.memory import MemoryWorld, world_of_rows

from nightbatch.errors import NotSent
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.purchase import Purchase, Sent, Waiting

ROWS = 6


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory with one partition, which takes three batches."""
    return world_of_rows(ROWS)


def job(world: MemoryWorld, **more: Any) -> Flow:
    return Flow(world, settings(max_batch_requests=2, **more))


def purchase(world: MemoryWorld, ref: RunRef) -> Purchase:
    return Purchase(ref, job(world).ledger, world.batches, world.now, world.timing)


def submitted(world: MemoryWorld, ref: RunRef, until: datetime) -> Sent | None:
    """Do the work of `submit`, waiting as long as it asks; None: it still waits at that time."""
    awaited = ""
    while world.now() < until:
        outcome = purchase(world, ref).submit(awaited)
        if isinstance(outcome, Sent):
            return outcome
        assert isinstance(outcome, Waiting)
        assert outcome.later is not None
        assert "It is sent again until" in outcome.later.why
        awaited = outcome.awaited
        world.clock.turn((outcome.later.until - world.now()).total_seconds())
    return None


def test_a_run_that_has_bought_nothing_gives_up_in_minutes(world: MemoryWorld) -> None:
    ref = job(world, give_up_minutes=20).prepare()
    world.batches.faults.creates = ["refused"] * 10_000
    started = world.now()
    with pytest.raises(NotSent, match="give_up_minutes=20 allows") as caught:
        submitted(world, ref, started + timedelta(days=1))
    assert not caught.value.retryable
    tried = world.now() - started
    assert timedelta(minutes=20) <= tried < timedelta(minutes=25)


def test_a_run_that_is_cleared_later_has_all_its_minutes_again(
    world: MemoryWorld,
) -> None:
    ref = job(world, give_up_minutes=20).prepare()
    world.batches.faults.creates = ["refused"] * 10_000
    with pytest.raises(NotSent):
        submitted(world, ref, world.now() + timedelta(days=1))
    world.clock.turn(3_600)
    assert submitted(world, ref, world.now() + timedelta(minutes=15)) is None
    world.batches.faults.creates = []
    sent = submitted(world, ref, world.now() + timedelta(minutes=15))
    assert sent is not None
    assert (sent.batches, len(world.batches.made)) == (3, 3)


def test_a_run_that_has_bought_a_batch_goes_on(world: MemoryWorld) -> None:
    ref = job(world, give_up_minutes=20).prepare()
    world.batches.faults.creates = ["", *["refused"] * 10_000]
    hours_later = world.now() + timedelta(hours=5)
    assert submitted(world, ref, hours_later) is None
    assert len(world.batches.made) == 1
    world.batches.faults.creates = []
    assert submitted(world, ref, hours_later + timedelta(hours=1)) is not None
    assert len(world.batches.made) == 3
