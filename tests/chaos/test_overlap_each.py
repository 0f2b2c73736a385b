"""Two runs at once, and zombies, at every point by itself: who else dies, and what goes wrong, is left to the seed."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.crashes.case_table import Judged
from tests.support.crashes.chaos import SEED
from tests.support.crashes.kills import LOST, NEVER, NO
from tests.support.crashes.overlaps import (
    HERE,
    ORDINARY,
    SHARING,
    both_are_whole,
    overlapping,
    two_of_which_some_are_killed,
)
from tests.support.crashes.turned import Turned
from tests.support.crashes.zombies import HERE as ZOMBIES
from tests.support.crashes.zombies import sleep_and_wake, whole
from tests.support.nights.flow import Flow, rows
from tests.support.nights.real import TEXTS

from nightbatch.submit.decide import SubmitTiming

FAULTS: list[list[dict[str, object]]] = [[], [LOST], [NEVER], [NO], [LOST, NEVER]]
AT_ONCE = 6
"""So many zombies at a time."""


@pytest.mark.parametrize("point", ORDINARY)
def test_two_runs_of_which_one_is_killed_at_a_point_buy_once(
    turned: Turned,
    judged: Judged,
    undisturbed: list[object],
    tmp_path: Path,
    point: str,
) -> None:
    chance = random.Random(f"{os.environ[SEED]}:overlap:{point}")
    folder = tmp_path / "armed"
    folder.mkdir()
    turned = overlapping(turned)
    turned.emulator.faults(*chance.choice(FAULTS))
    for armed in (point, chance.choice(ORDINARY)):
        (folder / armed).touch()
    two_of_which_some_are_killed(turned, folder)
    for file in folder.iterdir():
        file.unlink()
    assert two_of_which_some_are_killed(turned, folder) == [0, 0]
    assert both_are_whole(turned, undisturbed)
    flows = [Flow(turned.world, one) for one in SHARING]
    told = "With lost and refused creates: started again, both continue."
    judged(
        HERE,
        f"killed at “{point}” and another point while two runs overlap",
        told,
        *flows,
    )


@pytest.mark.parametrize("first", range(0, len(ORDINARY), AT_ONCE))
def test_zombies_of_every_point_change_nothing(
    turned: Turned, judged: Judged, tmp_path: Path, first: int
) -> None:
    points = random.Random(f"{os.environ[SEED]}:zombies").sample(
        ORDINARY, len(ORDINARY)
    )[first : first + AT_ONCE]
    turned = Turned(replace(turned.world, timing=SubmitTiming()))
    turned.world.make_bucket(rows(TEXTS))
    flows = sleep_and_wake(turned, points, tmp_path)
    assert all(whole(turned.world, flow) for flow in flows)
    told = "An hour later another run continues their work; then they continue."
    judged(ZOMBIES, f"stopped at each of {len(ORDINARY)} points", told, *flows)
