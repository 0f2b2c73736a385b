"""Runs that really run at the same time: of one partition, of several that ask the same, and while one is killed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crashes import processes
from tests.support.crashes.case_table import Judged
from tests.support.crashes.overlaps import (
    HERE,
    ORDINARY,
    SHARING,
    SLOW,
    both_are_whole,
    overlapping,
    two_of_which_some_are_killed,
)
from tests.support.crashes.turned import Turned
from tests.support.nights.flow import (
    SOURCE,
    TARGET,
    Flow,
    published,
    put,
    rows,
    settings,
)
from tests.support.nights.real import QUICK, TEXTS, RealWorld

from nightbatch.emulator.embedded import Emulator


@pytest.fixture
def busy(world: RealWorld, emulator: Emulator) -> RealWorld:
    """Return a world in which planners wait for each other, and batches last a while."""
    emulator.faults(SLOW)
    made = replace(world, timing=replace(QUICK, send=30, lease=60))
    made.make_bucket(rows(TEXTS))
    return made


def test_runs_of_one_partition_at_once_buy_once(
    busy: RealWorld, judged: Judged, undisturbed: list[object]
) -> None:
    asked = settings(max_batch_requests=2, attempts=1)
    running = [processes.start(busy, asked, f"dag/{number}") for number in range(3)]
    assert [processes.end(process) for process in running] == [0] * 3
    assert published(busy.store(TARGET)) == undisturbed
    assert Emulator(busy.emulator).books()["batches"]["created"] == 2
    judged(
        HERE,
        "three runs of one partition at the same time",
        "One run buys; the others join its claims.",
        Flow(busy, asked),
    )


def test_partitions_with_the_same_prompts_at_once_buy_once(
    busy: RealWorld, judged: Judged, undisturbed: list[object]
) -> None:
    put(busy.store(SOURCE), "dt=2/part-0.parquet", rows(TEXTS))
    flows = [
        Flow(busy, settings(f"dt={day}", attempts=1), f"dag/{day}") for day in (1, 2)
    ]
    running = [processes.start(busy, flow.enrichment, flow.buyer) for flow in flows]
    assert [processes.end(process) for process in running] == [0, 0]
    assert [published(busy.store(TARGET), f"dt={day}") for day in (1, 2)] == [
        undisturbed
    ] * 2
    assert Emulator(busy.emulator).books()["batches"]["created"] == 1
    judged(
        HERE,
        "two partitions with the same prompts at the same time",
        "The second run joins the claim of the first.",
        *flows,
    )


def test_a_backfill_of_ten_at_once_buys_each_request_once(
    busy: RealWorld, judged: Judged, undisturbed: list[object]
) -> None:
    for day in range(2, 11):
        put(
            busy.store(SOURCE),
            f"dt={day}/part-0.parquet",
            rows([*TEXTS, f"only {day}"]),
        )
    flows = [
        Flow(busy, settings(f"dt={day}", attempts=1), f"dag/{day}")
        for day in range(1, 11)
    ]
    running = [processes.start(busy, flow.enrichment, flow.buyer) for flow in flows]
    assert [processes.end(process) for process in running] == [0] * 10
    for day in range(1, 11):
        found = published(busy.store(TARGET), f"dt={day}")
        assert found[: len(TEXTS)] == undisturbed
        assert {row["_status"] for row in found} == {"answered"}
        assert len(found) == len(TEXTS) + (day > 1)
    assert Emulator(busy.emulator).books()["bought"]["requests"] == 4 + 9
    judged(
        HERE,
        "a backfill of ten partitions at the same time",
        "Each shared request is bought by one of them.",
        *flows,
    )


def test_runs_that_are_killed_at_every_point_while_they_overlap_buy_once(
    turned: Turned,
    emulator: Emulator,
    judged: Judged,
    undisturbed: list[object],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "armed"
    folder.mkdir()
    turned = overlapping(turned)
    for point in ORDINARY:
        (folder / point).touch()
    rounds = 0
    while any(folder.iterdir()):
        assert rounds < len(ORDINARY), "points are left that no run reaches"
        assert processes.KILLED in two_of_which_some_are_killed(turned, folder)
        rounds += 1
    assert two_of_which_some_are_killed(turned, folder) == [0, 0]
    assert both_are_whole(turned, undisturbed)
    flows = [Flow(turned.world, one) for one in SHARING]
    told = (
        "The surviving run continues; the others continue when they are started again."
    )
    judged(
        HERE, f"killed at {len(ORDINARY)} points while two runs overlap", told, *flows
    )
