"""Ten thousand waits: how much one step of the loop has to think, in lines of Python, which nothing else disturbs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest

from nightbatch.ids import BatchId
from nightbatch.ports import Batch, BatchStatus, Page
from nightbatch.wait.awaited import AwaitedBatches
from nightbatch.wait.pace import PollTiming
from nightbatch.wait.poll_once import PollResult, poll_once, poll_targets

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MANY = 10_000
MOST_LINES = 10 * MANY
"""A step may go over all waits a few times; to learn of each of them takes some thirty lines, so that is parted."""


class Listing:
    """Ten thousand batches of an account, newest first."""

    def __init__(self, *, ended: bool) -> None:
        born = [NOW - timedelta(hours=1, seconds=number) for number in range(MANY)]
        self._all = [
            Batch(BatchId(f"b{number}"), at, ended, {"processing": 1})
            for number, at in enumerate(born)
        ]
        self._at = {batch.id: number for number, batch in enumerate(self._all)}

    async def page(self, after: BatchId | None, limit: int) -> Page:
        begin = self._at[after] + 1 if after else 0
        await asyncio.sleep(0)
        shown = self._all[begin : begin + limit]
        return Page(shown, shown[-1].id if begin + limit < MANY else None)

    async def batch(self, batch: BatchId) -> BatchStatus:
        return BatchStatus(self._all[self._at[batch]])

    async def cancel(self, batch: BatchId) -> None:
        """Leave it as it is."""

    async def close(self) -> None:
        """Nothing is open."""


def lines(work: Callable[[], object]) -> int:
    """Run `work`, and return how many lines of Python it went through."""
    count, before = 0, sys.gettrace()

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def steps(work: Coroutine[Any, Any, None]) -> list[int]:
    """Run a coroutine that waits for nothing, and return the lines of its steps."""
    taken, ended = [], False

    def step() -> None:
        nonlocal ended
        try:
            work.send(None)
        except StopIteration:
            ended = True

    while not ended:
        taken.append(lines(step))
    return taken


@pytest.mark.parametrize("ended", [False, True])
def test_no_step_of_a_look_at_ten_thousand_batches_is_long(ended: bool) -> None:
    async def scenario() -> tuple[PollResult, list[int], int]:
        waits, found = AwaitedBatches(PollTiming()), PollResult()
        for number in range(MANY):
            waits.join(BatchId(f"b{number}"), 60.0, NOW)
        taken = [lines(lambda: poll_targets(waits.watched, NOW, everything=False))]
        target = poll_targets(waits.watched, NOW, everything=False)
        taken += steps(poll_once(Listing(ended=ended), target, found))
        taken += steps(waits.absorb(found, lambda: NOW))
        return found, taken, len(waits)

    found, taken, left = asyncio.run(scenario())
    assert (found.calls, len(found.listed), left) == (10, MANY, 0 if ended else MANY)
    assert max(taken) < MOST_LINES


def test_two_who_wait_for_one_batch_are_looked_for_as_often_as_the_hastier_wants() -> (
    None
):
    async def scenario() -> list[float]:
        waits, name = AwaitedBatches(PollTiming()), BatchId("b")
        futures = [waits.join(name, ceiling, NOW) for ceiling in (60.0, 5.0)]
        ceilings = [one.ceiling for one in waits.watched]
        waits.leave(name, futures[1])
        return ceilings + [one.ceiling for one in waits.watched]

    assert asyncio.run(scenario()) == [5.0, 60.0]
