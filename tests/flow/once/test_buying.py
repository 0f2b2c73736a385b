"""What `submit` and `land` do in one task each, however many batches and attempts a run takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

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

from nightbatch.errors import (
    AccountStopped,
    CapExceeded,
    NotSent,
    ShardsFailed,
    StoreUnavailable,
)
from nightbatch.ids import BatchId
from nightbatch.io.memory_api import MemoryBatches
from nightbatch.ledger import lease
from nightbatch.ports import Batch, Body
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.purchase import AllLanded, Purchase, Sent, Waiting

ROWS, EACH = 6, 2
BATCHES = ROWS // EACH
HOUR = 3_600


class Account(MemoryBatches):
    """An account that may refuse creates, or break the results of a batch."""

    refuses: Exception | None = None
    takes = 0
    """Creates that are taken before one is refused."""
    broken: frozenset[BatchId] = frozenset()

    def create(self, body: Body) -> Batch:
        if self.refuses is not None and len(self.made) >= self.takes:
            raise self.refuses
        return super().create(body)

    @contextmanager
    def results(self, batch: BatchId) -> Iterator[Iterator[bytes]]:
        if batch in self.broken:
            raise StoreUnavailable("the store does not answer.")
        with super().results(batch) as lines:
            yield lines


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory with one partition, which takes three batches."""
    world = MemoryWorld()
    world.batches = Account(world.clock)
    put(
        world.store(SOURCE),
        "dt=1/part-0.parquet",
        rows([f"text {number}" for number in range(ROWS)]),
    )
    return world


def account(world: MemoryWorld) -> Account:
    assert isinstance(world.batches, Account)
    return world.batches


def flow(world: MemoryWorld, buyer: str = "dag/run", **more: Any) -> Flow:
    return Flow(world, settings(**{"max_batch_requests": EACH, **more}), buyer)


def sent(outcome: Sent | Waiting) -> Sent:
    assert isinstance(outcome, Sent)
    return outcome


def waiting(outcome: Sent | AllLanded | Waiting) -> Waiting:
    assert isinstance(outcome, Waiting)
    return outcome


def claims(night: Flow) -> list[tuple[int, int]]:
    """List the attempt and the number of requests of each claim."""
    facts = [night.ledger.claim(shard) for shard in night.ledger.view().claimed]
    return [(fact.attempt, fact.total) for fact in facts]


def statuses(world: MemoryWorld) -> Counter[str]:
    return Counter(row["_status"] for row in published(world.store(TARGET)))


# Submitting.


def test_all_shards_are_sent_by_one_call(world: MemoryWorld) -> None:
    night = flow(world)
    outcome = sent(night.purchase(night.prepare()).submit())
    assert outcome.batches == len(world.batches.made) == BATCHES
    assert outcome.failed == ""


def test_what_is_handed_on_does_not_grow_with_the_shards(world: MemoryWorld) -> None:
    few, many = (
        flow(world),
        flow(world, "dag/many", max_batch_requests=1, prompt="Again: {{ text }}"),
    )
    names = [
        sent(night.purchase(night.prepare()).submit()).awaited for night in (few, many)
    ]
    assert [len(name) for name in names] == [16, 16]
    assert [len(few.ledger.awaited(name).own) for name in names] == [BATCHES, ROWS]


def test_submitting_again_names_the_same_attempt_and_sends_nothing(
    world: MemoryWorld,
) -> None:
    night = flow(world)
    ref = night.prepare()
    first = sent(night.purchase(ref).submit())
    assert sent(night.purchase(ref).submit()) == first
    assert len(world.batches.made) == BATCHES


def test_a_canary_is_sent_waited_for_and_landed_before_the_others(
    world: MemoryWorld,
) -> None:
    night = flow(world, canary="new", max_batch_requests=3)
    ref = night.prepare()
    ahead = waiting(night.purchase(ref).submit())
    assert claims(night) == [(0, 3)]
    assert ahead.later is None
    assert waiting(night.purchase(ref).submit(ahead.awaited)) == ahead
    night.wait_for(ahead)
    assert sent(night.purchase(ref).submit(ahead.awaited)).batches == 1
    assert claims(night) == [(0, 3), (1, 3)]


def test_nothing_is_sent_where_all_has_been_answered(world: MemoryWorld) -> None:
    flow(world).run()
    night = flow(world, "dag/next")
    assert sent(night.purchase(night.prepare()).submit()).batches == 0
    assert len(world.batches.made) == BATCHES


def test_what_another_run_has_in_flight_is_joined_and_not_bought(
    world: MemoryWorld,
) -> None:
    first, second = flow(world), flow(world, "dag/second")
    first.purchase(first.prepare()).submit()
    outcome = sent(second.purchase(second.prepare()).submit())
    awaited = second.ledger.awaited(outcome.awaited)
    assert (len(awaited.own), len(awaited.joined)) == (0, BATCHES)
    assert len(world.batches.made) == BATCHES


def test_an_api_that_asks_to_wait_is_not_asked_for_the_other_shards(
    world: MemoryWorld,
) -> None:
    night = flow(world)
    ref = night.prepare()
    world.batches.faults.creates = ["refused"]
    later = waiting(night.purchase(ref).submit()).later
    assert later is not None
    assert len(world.batches.made) == 0
    assert (
        len(list(night.ledger.store.list("posts/"))) == 2
    )  # one POST, and the no to it
    night.pause(later)
    assert sent(night.purchase(ref).submit()).batches == BATCHES


@pytest.mark.parametrize(("asked_seconds", "pause_seconds"), [(None, 7), (90.0, 90)])
def test_what_is_refused_for_the_moment_is_sent_again_when_the_api_or_the_deployment_says(
    world: MemoryWorld, asked_seconds: float | None, pause_seconds: float
) -> None:
    world.timing = replace(world.timing, retry=7)
    night = flow(world)
    ref = night.prepare()
    account(world).refuses = NotSent("busy.", retry_after=asked_seconds)
    later = waiting(night.purchase(ref).submit()).later
    assert later is not None
    pause = later.until - world.now()
    assert pause.total_seconds() == pytest.approx(pause_seconds, abs=1)


def test_a_lost_answer_keeps_no_other_shard_from_being_sent(world: MemoryWorld) -> None:
    night = flow(world)
    world.batches.faults.creates = ["lost"]
    pending = waiting(night.purchase(night.prepare()).submit())
    assert pending.later is not None
    assert len(world.batches.made) == BATCHES


def test_a_planner_that_is_held_off_waits_without_a_worker(world: MemoryWorld) -> None:
    night = flow(world)
    ref = night.prepare()
    with lease.hold(night.ledger.store, world.now, holder="dag/other", seconds=HOUR):
        world.timing = replace(world.timing, lease=0.01)
        held = waiting(night.purchase(ref).submit())
        assert held.later is not None
        assert held.later.until <= world.now() + timedelta(seconds=30)
    assert sent(night.purchase(ref).submit(held.awaited)).batches == BATCHES


def test_a_cap_is_told_before_anything_is_claimed(world: MemoryWorld) -> None:
    night = flow(world, max_cost_usd=0.0)
    with pytest.raises(CapExceeded):
        night.purchase(night.prepare()).submit()
    assert claims(night) == []


def test_an_account_that_takes_nothing_stops_the_run_at_once(
    world: MemoryWorld,
) -> None:
    account(world).refuses = AccountStopped("no credit is left.")
    night = flow(world)
    with pytest.raises(AccountStopped):
        night.purchase(night.prepare()).submit()


def test_what_was_sent_before_the_account_stopped_lands_and_then_the_run_is_red(
    world: MemoryWorld,
) -> None:
    account(world).refuses, account(world).takes = (
        AccountStopped("no credit is left."),
        2,
    )
    night = flow(world)
    with pytest.raises(ShardsFailed, match="no credit"):
        night.run()
    assert len(night.ledger.view().landed) == 2
    account(world).refuses = None
    flow(world, "dag/again").run()
    assert statuses(world) == {"answered": ROWS}
    assert len(world.batches.made) == BATCHES


# Landing.


def test_what_is_lost_is_asked_again_until_the_attempts_are_spent(
    world: MemoryWorld,
) -> None:
    night = flow(world, attempts=3)
    ref = night.prepare()
    outcome: Sent | Waiting | AllLanded = night.purchase(ref).submit()
    awaited = sent(outcome).awaited
    for attempt in (1, 2, 3):
        assert max(number for number, _ in claims(night)) == attempt
        world.batches.made[-1].results[0]["result"] = {
            "type": "errored",
            "error": {"error": {"type": "api_error"}},
        }
        night.wait_for(Waiting(awaited))
        outcome = night.purchase(ref).land(awaited)
        awaited = outcome.awaited if isinstance(outcome, Waiting) else awaited
    assert outcome == AllLanded(3)
    assert claims(night) == [(1, 2), (1, 2), (1, 2), (2, 1), (3, 1)]


def test_landing_that_is_tried_again_goes_on_with_the_attempt_in_flight(
    world: MemoryWorld,
) -> None:
    night = flow(world, attempts=3)
    ref = night.prepare()
    world.batches.faults.rows = {0: "errored"}
    first = sent(night.purchase(ref).submit())
    night.wait_for(Waiting(first.awaited))
    second = waiting(night.purchase(ref).land(first.awaited))
    again = waiting(night.purchase(ref).land(first.awaited))
    assert (
        night.ledger.awaited(again.awaited).shards
        == night.ledger.awaited(second.awaited).shards
    )
    night.wait_for(second)
    assert night.purchase(ref).land(first.awaited) == AllLanded(2)
    assert claims(night) == [(1, 2), (1, 2), (1, 2), (2, 1)]


def test_landing_that_is_tried_again_after_its_attempts_are_spent_asks_nothing(
    world: MemoryWorld,
) -> None:
    night = flow(world, attempts=2)
    ref = night.prepare()
    world.batches.faults.rows = {0: "errored"}
    first = sent(night.purchase(ref).submit())
    night.wait_for(Waiting(first.awaited))
    world.batches.faults.rows = {0: "errored"}
    second = waiting(night.purchase(ref).land(first.awaited))
    night.wait_for(second)
    assert night.purchase(ref).land(second.awaited) == AllLanded(2)
    assert night.purchase(ref).land(first.awaited) == AllLanded(2)
    assert [attempt for attempt, _ in claims(night)] == [1, 1, 1, 2]


def test_submitting_anew_asks_what_was_lost_for_as_many_attempts_again(
    world: MemoryWorld,
) -> None:
    night = flow(world, attempts=1)
    ref = night.prepare()
    world.batches.faults.rows = {0: "errored"}
    first = sent(night.purchase(ref).submit())
    night.wait_for(Waiting(first.awaited))
    assert night.purchase(ref).land(first.awaited) == AllLanded(1)
    second = sent(night.purchase(ref).submit())
    assert claims(night)[BATCHES:] == [(1, 1)]
    night.wait_for(Waiting(second.awaited))
    assert night.purchase(ref).land(second.awaited) == AllLanded(1)
    night.publish(ref)
    assert statuses(world) == {"answered": ROWS}


def test_one_bad_batch_keeps_no_other_from_landing_and_is_landed_by_the_next_try(
    world: MemoryWorld,
) -> None:
    night = flow(world)
    ref = night.prepare()
    first = sent(night.purchase(ref).submit())
    night.wait_for(Waiting(first.awaited))
    account(world).broken = frozenset({world.batches.made[0].id})
    with pytest.raises(StoreUnavailable):
        night.purchase(ref).land(first.awaited)
    assert night.ledger.view().landed == night.ledger.view().claimed[1:]
    account(world).broken = frozenset()
    assert night.purchase(ref).land(first.awaited) == AllLanded(1)
    assert len(world.batches.made) == BATCHES


def test_a_batch_that_still_runs_is_waited_for_again(world: MemoryWorld) -> None:
    night = flow(world)
    ref = night.prepare()
    first = sent(night.purchase(ref).submit())
    still = waiting(night.purchase(ref).land(first.awaited))
    assert still == Waiting(first.awaited)


def test_a_shard_that_is_refused_in_a_later_attempt_keeps_no_other_from_landing(
    world: MemoryWorld,
) -> None:
    night = flow(world, attempts=2, max_batch_requests=1)
    ref = night.prepare()
    first = sent(night.purchase(ref).submit())
    for batch in world.batches.made[:2]:
        batch.results[0]["result"] = {"type": "expired"}
    night.wait_for(Waiting(first.awaited))
    account(world).refuses, account(world).takes = (
        NotSent("the API answered 413.", retryable=False),
        ROWS + 1,
    )
    second = waiting(night.purchase(ref).land(first.awaited))
    assert "413" in second.failed
    night.wait_for(second)
    with pytest.raises(ShardsFailed, match="413"):
        night.purchase(ref).land(second.awaited, second.failed)
    assert night.ledger.view().in_flight == []


# The deadline.


def late(night: Flow, world: MemoryWorld, ref: RunRef) -> tuple[RunRef, Purchase]:
    """Let the run's deadline pass."""
    late_ref = replace(ref, deadline=world.now().isoformat())
    return late_ref, night.purchase(late_ref)


def test_after_the_deadline_nothing_is_sent_and_what_was_claimed_is_given_up(
    world: MemoryWorld,
) -> None:
    night = flow(world)
    ref = night.prepare()
    night.plan(ref)
    _, purchase = late(night, world, ref)
    purchase.submit()
    assert world.batches.made == []
    assert night.ledger.view().in_flight == []


def test_after_the_deadline_the_batches_of_other_runs_are_not_waited_for(
    world: MemoryWorld,
) -> None:
    other, night = flow(world, "dag/other"), flow(world)
    other.purchase(other.prepare()).submit()
    ref = night.prepare()
    first = sent(night.purchase(ref).submit())
    _, purchase = late(night, world, ref)
    assert purchase.land(first.awaited) == AllLanded(1)


def test_after_the_deadline_what_is_lost_is_not_asked_again(world: MemoryWorld) -> None:
    night = flow(world, min_answered=0.5)
    ref = night.prepare()
    world.batches.faults.rows = {1: "errored"}
    first = sent(night.purchase(ref).submit())
    night.wait_for(Waiting(first.awaited))
    late_ref, purchase = late(night, world, ref)
    assert purchase.land(first.awaited) == AllLanded(1)
    night.publish(late_ref)
    assert statuses(world) == {"answered": ROWS - 1, "errored": 1}
