"""kill -9 between any two steps: a process dies at each failpoint in turn, on real servers, and is run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crashes import processes
from tests.support.crashes.case_table import Judged
from tests.support.crashes.kills import (
    ASKED,
    BY_HAND,
    HERE,
    LOST,
    NEEDS,
    NEVER,
    NO,
    killed_once,
)
from tests.support.crashes.points import points
from tests.support.nights.flow import TARGET, Flow, published, rows
from tests.support.nights.real import TEXTS, RealWorld
from tests.support.servers.proxy import proxying

from nightbatch.emulator.embedded import Emulator
from nightbatch.errors import StoreUnfit


def test_every_point_is_visited() -> None:
    assert len(points()) > 25
    assert set(NEEDS) | BY_HAND <= set(points())


def test_a_run_that_is_killed_at_every_point_in_turn_buys_once(
    world: RealWorld, judged: Judged, undisturbed: list[object], tmp_path: Path
) -> None:
    world.make_bucket(rows(TEXTS))
    armed = [point for point in points() if point not in BY_HAND | set(NEEDS)]
    for point in armed:
        (tmp_path / point).touch()
    for _ in armed:
        assert processes.run(world, ASKED, "dag/run", tmp_path) == processes.KILLED
    assert list(tmp_path.iterdir()) == []
    assert processes.run(world, ASKED, "dag/run") == 0
    assert published(world.store(TARGET)) == undisturbed
    assert Emulator(world.emulator).books()["bought"]["twice"] == 0
    told = "Each time the run is started again and continues from the facts."
    judged(
        HERE,
        f"killed at {len(armed)} points, one after the other",
        told,
        Flow(world, ASKED),
    )


@pytest.mark.parametrize("point", NEEDS)
def test_a_run_that_is_killed_in_the_midst_of_trouble_buys_once(
    world: RealWorld,
    judged: Judged,
    undisturbed: list[object],
    tmp_path: Path,
    point: str,
) -> None:
    assert killed_once(world, point, tmp_path, "dag/another") == 0
    assert published(world.store(TARGET)) == undisturbed
    assert Emulator(world.emulator).books()["bought"]["twice"] == 0
    judged(
        HERE,
        f"killed at “{point}”",
        "Started again, the run continues from the facts.",
        Flow(world, ASKED),
    )


@pytest.mark.parametrize(
    ("fault", "case"),
    [
        (LOST, "the response to a create is lost"),
        (
            LOST | {"what": "api_error", "after": True},
            "500 after the batch was created",
        ),
        (
            LOST | {"what": "bad_gateway", "after": True},
            "502 after the batch was created",
        ),
        (LOST | {"what": "timeout", "after": True}, "504 after the batch was created"),
        (
            LOST | {"what": "delay", "seconds": 2.5},
            "a create takes longer than the client waits",
        ),
        (NEVER, "the connection is cut before the batch is created"),
        (LOST | {"what": "api_error"}, "500, and no batch is created"),
        (NO, "529, and no batch is created"),
    ],
)
def test_a_create_that_goes_wrong_buys_once(
    world: RealWorld, emulator: Emulator, judged: Judged, undisturbed: list[object], fault: dict[str, object],
    case: str,
) -> None:  # fmt: skip
    world = RealWorld(world.s3, world.emulator, answer_seconds=1.0)
    world.make_bucket(rows(TEXTS))
    emulator.faults(fault)
    flow = Flow(world)
    flow.run()
    assert emulator.books()["batches"]["created"] == 1
    assert published(world.store(TARGET)) == undisturbed
    judged(HERE, case, "One batch: it is found, or its POST is sent again.", flow)


@pytest.fixture
def unsigned(moto_url: str, world: RealWorld) -> RealWorld:
    """Return a world whose S3 server checks no signatures, so that a proxy can change what it is asked."""
    unsigned_world = replace(world, s3=moto_url)
    unsigned_world.make_bucket(rows(TEXTS))
    return unsigned_world


def test_a_store_without_conditional_writes_is_refused_before_anything_is_bought(
    unsigned: RealWorld, emulator: Emulator, judged: Judged
) -> None:
    with proxying(unsigned.s3) as proxy:
        proxy.always = "strip"
        flow = Flow(RealWorld(proxy.url, unsigned.emulator))
        with pytest.raises(StoreUnfit, match="conditional writes"):
            flow.run()
        assert emulator.books()["batches"]["created"] == 0
        judged(
            HERE,
            "a store that ignores the condition of a PUT",
            "The run fails at the first step.",
            flow,
        )


@pytest.mark.parametrize("answer", ["lose", "fail"])
def test_conditional_puts_that_answer_with_a_timeout_buy_once(
    unsigned: RealWorld,
    judged: Judged,
    undisturbed: list[object],
    answer: str,
) -> None:
    with proxying(unsigned.s3) as proxy:
        proxy.plan = ["pass", "pass"]
        proxy.always = answer
        flow = Flow(RealWorld(proxy.url, unsigned.emulator))
        flow.run()
        proxy.always = "pass"
        assert published(unsigned.store(TARGET)) == undisturbed
        judged(
            HERE,
            "the response to every conditional PUT is lost",
            "The run reads back what was written.",
            flow,
        )
