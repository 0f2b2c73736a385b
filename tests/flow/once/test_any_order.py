"""Any sequence of crash, retry, overlap, fault, stranger and clock: nothing bought twice, nothing paid for lost.

A run does one step at a time, as Airflow's tasks do. A step may die at any point, or stand still at one while the clock
turns and another run goes on: then it wakes as a zombie. In the end everything is repaired and every partition must be
as if nothing had happened.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.crashes.case_table import Table
from tests.support.crashes.judge import Verdict, verdict
from tests.support.crashes.points import points
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
from typing_extensions import TypeIs

from nightbatch.errors import NightbatchError, RunFailed, ShardsFailed
from nightbatch.failpoints import watching
from nightbatch.io.memory_api import Faults
from nightbatch.spec.run_ref import RunRef
from nightbatch.submit.purchase import AllLanded, Sent, Waiting

PARTITIONS = {
    "dt=1": ["a", "b", "c"],
    "dt=2": ["b", "c", "d", "d"],
    "dt=3": ["a", "d", "e"],
}
CHAOS = os.environ.get("NIGHTBATCH_CHAOS_SEED")
PARTITION = st.sampled_from(sorted(PARTITIONS))
MOST_STEPS = 400
DAY = 86_400
MOST_MEANWHILE = 8
SLEEPS = st.sampled_from([0, 60, 4_000])
CRITICAL = [
    "lease taken",
    "claim written",
    "post written",
    "body sent but for its end",
    "batch created",
    "owner written",
]
POINTS = st.one_of(st.sampled_from(CRITICAL), st.sampled_from(points()))


class CrashError(Exception):
    """The process died here."""


@dataclass
class Run:
    """A run of the DAG: what its tasks have handed on. `step` goes on with its task, or fails and changes nothing."""

    flow: Flow
    ref: RunRef | None = None
    sent: Sent | None = None
    awaited: str = ""
    """What the task at work had planned when it deferred."""
    failed: str = ""
    is_landed: bool = False
    ended: bool = False
    patience: float = 60
    """Seconds that pass while it waits for what cannot be done yet."""

    def step(self) -> None:
        if self.ref is None:
            self.ref = self.flow.prepare()
        elif self.sent is None:
            outcome = self.flow.purchase(self.ref).submit(self.awaited)
            if not self._defers(outcome):
                self.sent = outcome
        elif self.sent.batches and not self.is_landed:
            awaited, failed = (
                self.awaited or self.sent.awaited,
                self.failed or self.sent.failed,
            )
            outcome = self.flow.purchase(self.ref).land(awaited, failed)
            if not self._defers(outcome):
                self.is_landed = True
        else:
            self._publish(self.ref)

    def _defers(self, outcome: Sent | AllLanded | Waiting) -> TypeIs[Waiting]:
        """Tell whether a task waits, and let time pass; what it has planned is kept, as Airflow does."""
        if isinstance(outcome, Waiting):
            self.awaited, self.failed = outcome.awaited, outcome.failed
            self.flow.world.sleep(self.patience)
            return True
        self.awaited = self.failed = ""
        return False

    def dies(self) -> None:
        """Begin the task again from its beginning: a new try knows nothing of what the last one has planned."""
        self.awaited = self.failed = ""

    def _publish(self, ref: RunRef) -> None:
        with suppress(RunFailed):
            self.flow.publish(ref)
        self.ended = True

    def clear(self) -> None:
        self.sent, self.awaited, self.failed, self.is_landed, self.ended = (
            None,
            "",
            "",
            False,
            False,
        )


@dataclass
class Interruption:
    """What happens when a point is first reached."""

    point: str
    act: Callable[[], None]
    done: bool = field(default=False)

    def __call__(self, point: str) -> None:
        if point == self.point and not self.done:
            self.done = True
            self.act()


def die() -> None:
    raise CrashError


class Nights(RuleBasedStateMachine):
    """Runs over three partitions that share requests, in one ledger and one account."""

    def __init__(self) -> None:
        super().__init__()
        self.world = MemoryWorld()
        self.runs: list[Run] = []
        for partition, texts in PARTITIONS.items():
            put(self.world.store(SOURCE), f"{partition}/part-0.parquet", rows(texts))

    def new(self, partition: str, offset: float = 0.0) -> Run:
        world = MemoryWorld(
            self.world.timing, self.world.clock, self.world.bucket, offset
        )
        world.batches = self.world.batches
        asked = settings(partition, max_batch_requests=2)
        run = Run(Flow(world, asked, f"dag/{len(self.runs)}"))
        self.runs.append(run)
        return run

    @rule(partition=PARTITION, offset=st.sampled_from([-300.0, 0.0, 300.0]))
    def start(self, partition: str, offset: float) -> None:
        self.new(partition, offset)

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 9), times=st.integers(1, 4))
    def go_on(self, which: int, times: int) -> None:
        for _ in range(times):
            self.guarded(self.pick(which))

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 9), point=POINTS)
    def crash(self, which: int, point: str) -> None:
        self.go_on_until(self.pick(which), Interruption(point, die))

    @rule(
        which=st.integers(0, 9),
        partition=PARTITION,
        others=PARTITION,
        point=POINTS,
        sleep=SLEEPS,
    )
    def stand_still(
        self, which: int, partition: str, others: str, point: str, sleep: int
    ) -> None:
        run = self.pick(which) if self.runs and which % 2 else self.new(partition)
        self.stand_still_at(run, others, point, sleep)

    def stand_still_at(self, run: Run, others: str, point: str, sleep: int) -> None:
        """A run stands still at a point, while the clock turns and a new run goes on; then it wakes."""

        def meanwhile() -> None:
            self.world.clock.turn(sleep)
            other = self.new(others)
            for _ in range(MOST_MEANWHILE):
                self.guarded(other)

        self.go_on_until(run, Interruption(point, meanwhile))

    def go_on_until(self, run: Run, interruption: Interruption) -> None:
        """Go on with a run until it is interrupted, or has done as much as it does in a while."""
        with watching(interruption):
            for _ in range(MOST_MEANWHILE):
                if not interruption.done:
                    self.guarded(run)

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, 9))
    def clear(self, which: int) -> None:
        self.pick(which).clear()

    @rule(fault=st.sampled_from(["lost", "dropped", "refused", "odd"]))
    def next_create(self, fault: str) -> None:
        self.world.batches.faults.creates.append(fault)

    @rule(
        kind=st.sampled_from(["errored", "expired", "canceled"]),
        reads=st.integers(0, 2),
    )
    def next_batch(self, kind: str, reads: int) -> None:
        self.world.batches.faults.rows[0] = kind
        self.world.batches.faults.reads = reads

    @rule(
        fault=st.sampled_from(["gone", "empty", "strange"]),
        times=st.integers(1, 3),
        pages=st.integers(0, 1),
    )
    def next_reading(self, fault: str, times: int, pages: int) -> None:
        self.world.batches.faults.results, self.world.batches.faults.pages = (
            [fault] * times,
            pages,
        )

    @rule(size=st.integers(1, 3))
    def stranger(self, size: int) -> None:
        params: dict[str, Any] = {
            "model": "m",
            "messages": [{"role": "user", "content": "theirs"}],
        }
        self.world.batches.add(
            [{"custom_id": f"theirs-{row}", "params": params} for row in range(size)]
        )

    @rule(seconds=st.sampled_from([30, 900, 3 * 3600, DAY]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.turn(seconds)

    @precondition(lambda self: self.world.batches.made)
    @rule(which=st.integers(0, 9))
    def canceled_in_the_console(self, which: int) -> None:
        made = self.world.batches.made
        batch = made[which % len(made)]
        self.world.batches.faults.reads = 0
        self.world.batches.cancel(batch.id)

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        assert all(
            count == 1
            for name, count in self.world.batches.bought().items()
            if len(name) == 40
        )

    def teardown(self) -> None:
        self.world.batches.faults = Faults()
        last = [self.new(partition) for partition in PARTITIONS]
        for run in last:
            run.patience = 1_800
            for _ in range(MOST_STEPS):
                if run.ended:
                    break
                run.step()
            assert run.ended, "a run never ends"
        self.nothing_is_bought_twice()
        assert verdict(last[0].flow) == Verdict(0, 0)
        for partition, texts in PARTITIONS.items():
            found = published(self.world.store(TARGET), partition)
            assert [row["answer"] for row in found] == [
                f"about Say: {text}" for text in texts
            ]

    def pick(self, which: int) -> Run:
        return self.runs[which % len(self.runs)]

    @staticmethod
    def guarded(run: Run) -> None:
        """Do a step as a task would: whatever it dies of, it is tried again later."""
        try:
            run.step()
        except ShardsFailed:
            run.clear()
        except (CrashError, NightbatchError):
            run.dies()


def test_no_sequence_of_events_buys_twice_or_loses_an_answer(table: Table) -> None:
    examples, steps = (150, 30) if CHAOS else (30, 12)
    given = how(
        max_examples=examples, stateful_step_count=steps, derandomize=not CHAOS, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    machine: Any = seed(int(CHAOS))(Nights) if CHAOS else Nights
    run_state_machine_as_test(machine, settings=given)
    told = (
        "Runs, crashes, late processes, faults, other programs' batches and wrong clocks in any order: "
        "in the end every partition is complete."
    )
    table.add(
        "Random sequences, in memory",
        f"{examples} sequences of {steps} events",
        told,
        Verdict(0, 0),
    )


@pytest.mark.parametrize("sleep", [0, 4_000])
def test_a_run_that_stands_still_at_any_point_while_another_goes_on_wakes_harmless(
    sleep: int, table: Table
) -> None:
    for point in points():
        nights = Nights()
        nights.stand_still_at(nights.new("dt=1"), "dt=1", point, sleep)
        nights.teardown()
    told = "The later of the two finds the other's facts, or that its own time limit for sending has passed."
    table.add(
        "Random sequences, in memory",
        f"a run sleeps {sleep} s at each point while another continues",
        told,
        Verdict(0, 0),
    )
