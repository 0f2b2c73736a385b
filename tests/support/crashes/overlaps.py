"""Runs that overlap, some of which are killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.crashes import processes
from tests.support.crashes.kills import BY_HAND, NEEDS
from tests.support.crashes.points import points
from tests.support.crashes.turned import Turned
from tests.support.nights.flow import (
    SOURCE,
    TARGET,
    published,
    put,
    rows,
    settings,
)
from tests.support.nights.real import TEXTS

from nightbatch.submit.decide import SubmitTiming

SLOW = {"where": "batch", "what": "slow", "seconds": 1.0}
"""Every batch lasts long enough for every run to meet it under way."""


ORDINARY = [point for point in points() if point not in BY_HAND | set(NEEDS)]
"""Points that a run reaches when nothing goes wrong."""


def two_of_which_some_are_killed(turned: Turned, folder: Path) -> list[int | None]:
    """Run two partitions that share requests at once, with points at which whoever comes first is killed."""
    runs = []
    for job in SHARING:
        run = processes.start(turned.world, job, f"dag/{job.partition}", folder)
        runs.append(run)
    turned.pass_until_ended(runs)
    return [run.exitcode for run in runs]


SHARING = [settings(f"dt={day}", max_batch_requests=3, attempts=1) for day in (1, 2)]


MORE = ["beta", "gamma", "epsilon", "zeta"]


def overlapping(turned: Turned) -> Turned:
    """Prepare two partitions that share requests, in a world whose times are the real ones."""
    world = replace(turned.world, timing=SubmitTiming())
    world.make_bucket(rows(TEXTS))
    put(world.store(SOURCE), "dt=2/part-0.parquet", rows(MORE))
    return Turned(world)


def both_are_whole(turned: Turned, undisturbed: list[object]) -> bool:
    """Tell whether both partitions are as if nothing had happened."""
    target = turned.world.store(TARGET)
    other = published(target, "dt=2")
    other_statuses = [row["_status"] for row in other]
    if other_statuses != ["answered"] * len(MORE):
        return False
    return published(target) == undisturbed


HERE = "Runs at the same time, on real servers"
