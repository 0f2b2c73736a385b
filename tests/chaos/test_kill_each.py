"""kill -9 at every point by itself, some rounds with another seed: which run comes after, and what else goes wrong."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from tests.support.crashes.case_table import Judged
from tests.support.crashes.chaos import SEED
from tests.support.crashes.kills import ASKED, BY_HAND, HERE, killed_once
from tests.support.crashes.points import points
from tests.support.nights.flow import TARGET, Flow, published
from tests.support.nights.real import RealWorld

from nightbatch.emulator.embedded import Emulator

ROUNDS = 2


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("point", [point for point in points() if point not in BY_HAND])
def test_a_run_killed_at_a_point_goes_on_where_it_was(
    world: RealWorld,
    judged: Judged,
    undisturbed: list[object],
    tmp_path: Path,
    point: str,
    round_: int,
) -> None:
    chance = random.Random(f"{os.environ[SEED]}:{point}:{round_}")
    again = chance.choice(["dag/run", "dag/another"])
    assert killed_once(world, point, tmp_path, again) == 0
    assert published(world.store(TARGET)) == undisturbed
    assert Emulator(world.emulator).books()["bought"]["twice"] == 0
    judged(
        HERE,
        f"killed at “{point}”",
        "Started again, the run continues from the facts.",
        Flow(world, ASKED),
    )
