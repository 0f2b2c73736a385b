"""A night of runs that are all started at once, each disturbed in its own way, and then judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.airflow.once.job import DAG_ID, PATIENCE, Job, over
from tests.support.airflow.stack import failpoints
from tests.support.crashes.case_table import Table
from tests.support.crashes.judge import Verdict

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration, Settings
from nightbatch.local.stack.settings import TICKETS
from nightbatch.local.stack.stack import Stack

HERE = "On real Airflow"
HOUR, DAY = 3_600.0, 86_400.0


@dataclass(frozen=True)
class Case:
    """A run, what is done to it, and what the table says of that. `lasts`: hours, of its first `turns` batches."""

    name: str
    size: int
    act: Callable[[Job], None]
    case: str
    happens: str
    lasts: float = 0
    turns: int = 1
    faults: tuple[dict[str, Any], ...] = ()
    points: tuple[str, ...] = ()
    conf: dict[str, Any] = field(default_factory=dict)


def create(what: str, turn: int = 1, **more: Any) -> dict[str, Any]:
    """Describe what goes wrong with a create."""
    return {"where": "create", "what": what, "nth": turn, **more}


def killed(points: Sequence[str]) -> str:
    """Tell at which points a run's tasks were killed."""
    return f"the task is killed with -9 at “{'”, “'.join(points)}”"


@dataclass
class Night:
    """The jobs under way, and what comes of what is done to them."""

    stack: Stack
    jobs: dict[str, Job]
    done: dict[str, Future[None]]
    calm: str

    @property
    def emulator(self) -> Emulator:
        return Emulator(self.stack.emulator_url)

    def acted(self, *names: str) -> None:
        """Wait until all that is done to these jobs, or to all, has been done."""
        for name in names or self.jobs:
            self.done[name].result(PATIENCE)

    def judge(
        self, table: Table, name: str, case: str, happens: str, twice: int = 0
    ) -> None:
        """See that a job has published what an undisturbed run does, and has bought once; note it in the table."""
        job = self.jobs[name]
        assert job.ends() == "success"
        assert job.published() == job.undisturbed(self.calm)
        seen = job.verdict()
        table.add(HERE, case, happens, Verdict(seen.twice + twice, seen.lost))
        assert seen == Verdict(0, 0)


@contextmanager
def disturbed(stack: Stack, cases: Sequence[Case]) -> Iterator[Night]:
    """Start all runs at once, and do to each what its case says."""
    emulator = Emulator(stack.emulator_url)
    emulator.reset()
    stack.airflow.wait_parsed(DAG_ID)
    jobs = {
        case.name: Job(stack, case.name, case.size, conf=dict(case.conf)).put()
        for case in cases
    }
    for case in cases:
        prepare(jobs[case.name], case, emulator)
    with (
        running(Settings(responder=TICKETS, pace=BatchDuration(seconds=0.05))) as calm,
        ThreadPoolExecutor(len(cases)) as pool,
    ):
        over.clear()
        done = {case.name: pool.submit(begin, jobs[case.name], case) for case in cases}
        try:
            yield Night(stack, jobs, done, calm.url)
        finally:
            over.set()
    emulator.reset()


def prepare(job: Job, case: Case, emulator: Emulator) -> None:
    """Tell the emulator what is to happen to the job's batches, which it knows by their size."""
    size = {"min_requests": job.each, "max_requests": job.each}
    slow = {
        "where": "batch",
        "what": "slow",
        "seconds": case.lasts * HOUR,
        "nth": list(range(1, case.turns + 1)),
    }
    for fault in (*case.faults, *([slow] if case.lasts else [])):
        emulator.faults(fault | {"match": size})


def begin(job: Job, case: Case) -> None:
    """Start a job, arm the points that it is killed at, and do what is done to it."""
    job.start()
    folder = failpoints(job.stack.home) / job.run_id
    for point in case.points:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / point).touch()
    case.act(job)
    assert not any(folder.glob("*")), "it was killed at every point"
