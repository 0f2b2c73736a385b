"""A run that has bought nothing gives up after minutes; one that has bought something goes on for a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.nights.flow import Flow, settings
from tests.support.nights.memory import MemoryWorld, world_of_rows

from nightbatch.errors import NotSent
from nightbatch.flow import World, run
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.purchase import Purchase, Sent, Waiting

ROWS = 6
DEAD = 10_000
"""More failures than any test here waits for."""


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


def limited_job(world: MemoryWorld, **more: Any) -> Flow:
    """Return a run that looks at the account's queue before it sends, with the listing out of order."""
    world.batches.faults.reads = DEAD
    return job(world, max_in_flight_requests=100, **more)


def test_a_run_that_cannot_read_the_queue_gives_up_in_minutes_too(
    world: MemoryWorld,
) -> None:
    ref = limited_job(world, give_up_minutes=20).prepare()
    started = world.now()
    with pytest.raises(NotSent, match="give_up_minutes=20 allows") as caught:
        submitted(world, ref, started + timedelta(days=1))
    assert "the queue could not be read: the API answered 500." in str(caught.value)
    tried = world.now() - started
    assert timedelta(minutes=20) <= tried < timedelta(minutes=25)
    assert world.batches.made == []


def test_a_queue_that_can_be_read_again_is_sent_to(world: MemoryWorld) -> None:
    ref = limited_job(world, give_up_minutes=20).prepare()
    assert submitted(world, ref, world.now() + timedelta(minutes=10)) is None
    world.batches.faults.reads = 0
    assert submitted(world, ref, world.now() + timedelta(minutes=10)) is not None
    assert len(world.batches.made) == 3


def test_a_run_that_has_bought_a_batch_looks_at_the_queue_until_its_deadline(
    world: MemoryWorld,
) -> None:
    ref = job(
        world, give_up_minutes=20, max_in_flight_requests=100, deadline_hours=3
    ).prepare()
    first_shard = job(world).plan(ref)[0].shard
    job(world).submit(first_shard)
    world.batches.faults.reads = DEAD
    outcome = purchase(world, ref).submit()
    assert isinstance(outcome, Waiting)
    assert outcome.later is not None
    deadline = world.now() + timedelta(hours=3)
    assert f"sent again until {deadline:%Y-%m-%d %H:%M} UTC" in outcome.later.why
    assert submitted(world, ref, world.now() + timedelta(hours=2)) is None
    assert len(world.batches.made) == 1
    sent = submitted(world, ref, world.now() + timedelta(hours=2))
    assert sent is not None
    assert len(world.batches.made) == 1


def test_a_flow_in_one_process_says_once_what_it_waits_for(world: MemoryWorld) -> None:
    flow = limited_job(world, give_up_minutes=20)
    lines: list[str] = []
    in_one_process = World(
        world.store,
        world.batches,
        world.now,
        world.clock.turn,
        submit_timing=world.timing,
        info=lines.append,
    )
    with pytest.raises(NotSent, match="Nothing was bought"):
        run(flow.enrichment, in_one_process, "dag/run")
    waits = [line for line in lines if line.startswith("Waiting: ")]
    assert len(waits) == 1
    assert "the queue could not be read" in waits[0]
    assert "It is sent again until 2026-11-21 00:20 UTC." in waits[0]
