"""A canceled run: no POST is sent for it any more, whatever is retried, and what it has bought is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from tests.support.nights.flow import Flow, published, settings
from tests.support.nights.memory import MemoryWorld, world_of_rows

from nightbatch import flow as whole_flow
from nightbatch.errors import RunCanceled, SettingsError
from nightbatch.failpoints import watching
from nightbatch.ledger.facts import Canceled
from nightbatch.publish.publish import publish
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.cancel import Cancellation, cancel
from nightbatch.submit.purchase import Purchase, Waiting

ROWS = 6
BUYER = "dag/run"
WORDS = "canceled by ana at "
POINTS = (
    "lease taken",
    "claim written",
    "claims complete",
    "wait noted",
    "owner written",
    "batch written",
    "post written",
)


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory with one partition, which takes three batches and a canary."""
    return world_of_rows(ROWS)


def run(world: MemoryWorld, buyer: str = BUYER) -> Flow:
    return Flow(world, settings(max_batch_requests=2, canary="always"), buyer)


def canceled(world: MemoryWorld) -> Cancellation:
    """Cancel the run as the command does."""
    wanted = Canceled(BUYER, world.now(), "ana")
    return cancel(wanted, run(world).ledger, world.batches, world.now)


def steps(world: MemoryWorld) -> Iterator[object]:
    """Do the whole flow of the run, step by step."""
    job = run(world)
    return whole_flow.steps(job.enrichment, job.surroundings, job.buyer)


def purchase(world: MemoryWorld, ref: RunRef) -> Purchase:
    return Purchase(
        ref,
        run(world).ledger,
        world.batches,
        world.now,
        world.timing,
        pause=world.sleep,
    )


def retried(world: MemoryWorld, retry: Callable[[], object]) -> str:
    """Do a step again until it fails as a canceled run does; return the message."""
    for _ in range(20):
        try:
            outcome = retry()
        except RunCanceled as error:
            return str(error)
        assert isinstance(outcome, Waiting)
        world.sleep(3_600)
    raise AssertionError("it waits for ever")


def claimed(world: MemoryWorld) -> bool:
    return bool(run(world).ledger.view().claimed)


@pytest.mark.parametrize("done", range(2, 9))
def test_after_a_cancellation_no_retry_sends_anything(
    world: MemoryWorld, done: int
) -> None:
    ref = run(world).prepare()
    progress = steps(world)
    for _ in range(done):
        next(progress, None)
        if len(world.batches.made) >= 4:
            break
    cancellation = canceled(world)
    sent = len(world.batches.made)
    assert sent
    awaited = next(iter(_awaited(world)))
    messages = {
        retried(world, lambda: purchase(world, ref).submit()),
        retried(world, lambda: purchase(world, ref).submit(awaited)),
        retried(world, lambda: purchase(world, ref).land(awaited)),
        retried(world, lambda: _publish(world, ref)),
        retried(world, lambda: list(steps(world))),
    }
    assert len(world.batches.made) == sent
    (message,) = messages
    assert message.startswith(WORDS)
    assert cancellation.fact.words in message
    assert not list(run(world).ledger.view().in_flight)


def _awaited(world: MemoryWorld) -> list[str]:
    """Name the attempts that the run has noted."""
    entries = run(world).ledger.store.list("waits/")
    return [entry.key.removeprefix("waits/").removesuffix(".json") for entry in entries]


def _publish(world: MemoryWorld, ref: RunRef) -> object:
    target = world.store(ref.target)
    return publish(ref, run(world).ledger, target, world.now, world.now())


@pytest.mark.parametrize("point", POINTS)
def test_a_sender_at_work_sends_no_further_post(world: MemoryWorld, point: str) -> None:
    """The run is canceled while its submit task is at work, at each point where something is known of it."""
    counts: list[int] = []

    def stop(reached: str) -> None:
        if reached == point and not counts and claimed(world):
            counts.append(-1)
            canceled(world)
            counts.append(len(world.batches.made))

    with watching(stop):
        retried(world, lambda: list(steps(world)))
    assert counts == [-1, len(world.batches.made)]


def test_the_answers_of_a_canceled_run_are_kept_and_counted(
    world: MemoryWorld,
) -> None:
    ref = run(world).prepare()
    outcome = purchase(world, ref).submit()
    assert isinstance(outcome, Waiting)
    world.sleep(3_600)
    canceled(world)
    message = retried(world, lambda: purchase(world, ref).submit(outcome.awaited))
    kept = re.search(r"(\d+) answers? (is|are) kept", message)
    assert kept is not None
    answered = int(kept[1])
    assert answered > 0
    new_run = run(world, "dag/new")
    report = whole_flow.run(new_run.enrichment, new_run.surroundings, "dag/new")
    assert report["reused"] == answered
    assert report["bought"] == ROWS - answered


def test_a_new_run_is_not_affected(world: MemoryWorld) -> None:
    progress = steps(world)
    next(progress)
    next(progress)
    canceled(world)
    new_run = run(world, "dag/new")
    report = whole_flow.run(new_run.enrichment, new_run.surroundings, "dag/new")
    assert report["answered"] == ROWS
    assert len(published(world.store("s3://lake/out/"))) == ROWS


def test_the_first_to_cancel_is_the_one_that_is_named(world: MemoryWorld) -> None:
    progress = steps(world)
    next(progress)
    next(progress)
    first = canceled(world)
    wanted = Canceled(BUYER, world.now(), "ben")
    second = cancel(wanted, run(world).ledger, world.batches, world.now)
    assert second.fact == first.fact


def test_a_run_that_has_claimed_nothing_cannot_be_canceled(
    world: MemoryWorld,
) -> None:
    run(world).prepare()
    with pytest.raises(SettingsError, match="no run 'dag/run' has claimed"):
        canceled(world)
