"""The whole flow in one process, in the order of the story; Airflow runs the same steps as five tasks.

prepare: rows → requests      submit: pending → batches, each bought once      wait: until all have ended
land: results → landed rows, and what is lost is sent again                   publish: rows ⋈ answers → partition
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from nightbatch.ids import BatchId
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.quote import TokenCounter
from nightbatch.ports import Batch, CancelingBatches, MeasuredStore, Store, Table
from nightbatch.prepare.stage import stage
from nightbatch.publish.publish import publish
from nightbatch.publish.report import Report
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.decide import SubmitTiming
from nightbatch.submit.purchase import AllLanded, Purchase, Sent, Waiting
from nightbatch.wait.pace import PollTiming
from nightbatch.wait.progress import Progress
from nightbatch.wait.wait_here import Following, Show

Outcome = TypeVar("Outcome")
Say = Callable[[str], None]


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def _ignore(_: str) -> None:
    """Do nothing with a line of the log."""


@dataclass(frozen=True)
class World:
    """Where a flow runs: what opens the store below a URL, the API, a clock, and what logs each step.

    `uploads`: bodies that are sent at the same time. `count_tokens`: makes estimates better; None: lengths are used.
    `approve`: looks at a run before it buys, and raises where it may not. `open_target`: opens what is published into;
    None: the folder that the target names. `show`: shows how far batches are; None: a line of `info` does.
    """

    open_store: Callable[[str], MeasuredStore]
    api: CancelingBatches
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    submit_timing: SubmitTiming = field(default_factory=SubmitTiming)
    poll_timing: PollTiming = field(default_factory=PollTiming)
    count_tokens: TokenCounter | None = None
    uploads: int = 1
    info: Say = _ignore
    warning: Say = _ignore
    approve: Callable[[RunRef], None] | None = None
    open_target: Callable[[RunRef], Store | Table] | None = None
    show: Show | None = None

    def ledger(self, state: str) -> Ledger:
        """Open the ledger below a state's URL."""
        return Ledger(self.open_store(state), self.submit_timing.lease)


def run(settings: Enrichment, world: World, run_id: str) -> Report:
    """Enrich one partition and publish it; return the report.

    Called again, with the same `run_id` or another, it continues from what the state holds: nothing is bought twice.
    Raises an error of `nightbatch.errors` where it cannot continue; a second call does not fix those in FINAL.
    """
    *_, report = steps(settings, world, run_id)
    assert not isinstance(report, str)
    return report


def steps(settings: Enrichment, world: World, run_id: str) -> Iterator[str | Report]:
    """Do the same step by step: yield the name of each step once it is done, `waited` after a wait; last the report."""
    started = world.now()
    ref = stage(settings, world.open_store, run_id, started, world.info)
    yield "prepare"
    if world.approve is not None:
        world.approve(ref)

    def submit(waiting: Waiting) -> Sent | Waiting:
        return _purchase(ref, world, waiting).submit(waiting.awaited)

    def land(waiting: Waiting) -> AllLanded | Waiting:
        return _purchase(ref, world, waiting).land(waiting.awaited, waiting.failed)

    sent = yield from _finish(submit, Waiting(), ref, world)
    yield "submit"
    if sent.batches:
        landing = Waiting(sent.awaited, failed=sent.failed)
        _wait(landing, ref, world)
        yield "wait"
        yield from _finish(land, landing, ref, world)
        yield "land"
    target = (
        world.open_target(ref) if world.open_target else world.open_store(ref.target)
    )
    yield publish(ref, world.ledger(ref.state), target, world.now, started)


def _purchase(ref: RunRef, world: World, waiting: Waiting) -> Purchase:
    return Purchase(
        ref,
        world.ledger(ref.state),
        world.api,
        world.now,
        world.submit_timing,
        world.count_tokens,
        admitted=waiting.queued,
        uploads=world.uploads,
        info=world.info,
        warning=world.warning,
        pause=world.sleep,
    )


def _finish(
    step: Callable[[Waiting], Outcome | Waiting],
    waiting: Waiting,
    ref: RunRef,
    world: World,
) -> Generator[str, None, Outcome]:
    """Repeat a step until it has nothing left to wait for."""
    outcome = step(waiting)
    last_reason = ""
    while isinstance(outcome, Waiting):
        waiting = outcome
        if waiting.later is not None and waiting.later.why != last_reason:
            last_reason = waiting.later.why
            world.info(f"Waiting: {last_reason}")
        _wait(waiting, ref, world)
        yield "waited"
        outcome = step(waiting)
    return outcome


def _wait(waiting: Waiting, ref: RunRef, world: World) -> None:
    """Wait for a time, or for the batches of an attempt."""

    def show(
        progress: Progress, ended: Mapping[BatchId, Batch | None], now: datetime
    ) -> None:
        world.info(progress.words(ended, now))

    following = Following(
        ref,
        world.api,
        world.now,
        world.sleep,
        world.poll_timing,
        world.show or show,
        world.info,
    )
    if waiting.later is None:
        following.attempt(world.ledger(ref.state), waiting.awaited)
    else:
        following.pause(waiting.later.until, waiting.later.batches)
