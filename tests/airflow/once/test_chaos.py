"""Bought once, through Airflow, with another seed: killed at other points, beside each other; `make chaos` only."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from tests.airflow.once import acts
from tests.airflow.once.night import Case, Night, disturbed, killed
from tests.support.crashes.case_table import Table
from tests.support.crashes.kills import BY_HAND, ENDS_RED, NEEDS
from tests.support.crashes.points import points

from nightbatch.local.stack.stack import Stack

RUNS, NEEDY = 8, 3
CREATED = "batch created"
"""Not reached where the answer to the create is lost."""
pytestmark = pytest.mark.timeout(1_500)


def cases(seed: str) -> list[Case]:
    """Deal out two points to each run; some of those that are reached only in trouble, with the trouble."""
    chance = random.Random(seed)
    plain = chance.sample(
        [point for point in points() if point not in BY_HAND | set(NEEDS)],
        2 * RUNS - NEEDY,
    )
    dealt = chance.sample(sorted(set(NEEDS) - ENDS_RED), NEEDY) + sorted(
        plain, key=CREATED.__eq__
    )
    return [_case(number, dealt[number::RUNS]) for number in range(RUNS)]


def _case(number: int, hand: list[str]) -> Case:
    trouble = tuple(NEEDS[point] for point in hand if point in NEEDS)
    return Case(
        f"seed-{number}", number + 2, acts.see_it_end, killed(hand),
        "Airflow tries the task again, and it continues from the facts.", faults=trouble, points=tuple(hand),
    )  # fmt: skip


CASES = cases(os.environ.get("NIGHTBATCH_CHAOS_SEED", ""))


@pytest.fixture(scope="module")
def night(stack: Stack) -> Iterator[Night]:
    """Start all runs at once."""
    with disturbed(stack, CASES) as begun:
        yield begun


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_run_killed_wherever_it_is_goes_on(
    night: Night, table: Table, case: Case
) -> None:
    night.acted(case.name)
    night.judge(table, case.name, case.case, case.happens)


def test_nothing_was_bought_twice_on_the_account(night: Night) -> None:
    night.acted()
    assert night.emulator.books()["bought"]["twice"] == 0
