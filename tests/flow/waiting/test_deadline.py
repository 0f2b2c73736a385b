"""A run's deadline, from the plan to what is published: what is done is landed, the rest is given up, nothing more is
asked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.nights.flow import (
    SOURCE,
    TARGET,
    Flow,
    published,
    put,
    rows,
    settings,
)
from tests.support.nights.memory import MemoryWorld

from nightbatch.errors import RunFailed
from nightbatch.ids import BatchId
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.outcome import Late, Submitted
from nightbatch.submit.submit import Submitter


def late_night(world: MemoryWorld, min_answered: float) -> tuple[Flow, RunRef]:
    """Land one shard of two requests in time, one cut in half by the deadline, and give up one that was never sent."""
    put(
        world.store(SOURCE),
        "dt=1/part-0.parquet",
        rows([f"text {number}" for number in range(6)]),
    )
    flow = Flow(world, settings(max_batch_requests=2, min_answered=min_answered))
    ref = replace(
        flow.prepare(), deadline=(world.now() + timedelta(hours=2)).isoformat()
    )
    first, second, third = (planned.shard for planned in flow.plan(ref))
    flow.wait(flow.submit(first))
    flow.land(first)
    world.batches.faults.rows = {1: "canceled"}
    flow.wait(flow.submit(second))
    while not ref.late(world.now()):
        world.sleep(600)
    flow.land(second)
    buyer = Submitter(
        flow.ledger, world.api(), world.now, world.timing, late=Late(owned=True)
    )
    assert buyer.submit(third) == Submitted(BatchId(""))
    assert flow.plan(ref, 2) == []
    return flow, ref


def test_what_is_done_by_the_deadline_is_published_if_it_is_enough() -> None:
    world = MemoryWorld()
    flow, ref = late_night(world, min_answered=0.5)
    report = flow.publish(ref)
    statuses = Counter(row["_status"] for row in published(world.store(TARGET)))
    assert statuses == {"answered": 3, "canceled": 1, "missing": 2}
    assert report["answered"] == 3
    assert len(world.batches.made) == 2


def test_what_is_done_by_the_deadline_is_not_published_if_it_is_too_little() -> None:
    flow, ref = late_night(MemoryWorld(), min_answered=0.9)
    with pytest.raises(RunFailed):
        flow.publish(ref)


def test_the_next_run_asks_what_the_deadline_cut_off_and_no_more() -> None:
    world = MemoryWorld()
    late_night(world, min_answered=0.5)
    again = Flow(world, settings(max_batch_requests=2), buyer="dag/again")
    assert sum(planned.requests for planned in again.plan(again.prepare())) == 3
