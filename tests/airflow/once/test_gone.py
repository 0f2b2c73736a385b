"""Results that cannot be had for a while, and such that are gone for good: a run was given up a month ago."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.airflow.once import acts
from tests.airflow.once.job import LAND, PATIENCE
from tests.airflow.once.night import DAY, HOUR, Case, Night, disturbed
from tests.support.crashes.case_table import Table

from nightbatch.local.stack.stack import Stack

HIDDEN = Case(
    "hidden",
    4,
    acts.hide,
    "`land` fails",
    "Airflow tries the task again, and it lands the same batch.",
    lasts=1,
)
LATE = Case(
    "late",
    3,
    acts.give_up,
    "results are deleted after 29 days",
    "Each row says so; only these requests are sent again.",
    lasts=1,
)
pytestmark = pytest.mark.timeout(2 * PATIENCE)


@pytest.fixture(scope="module")
def night(stack: Stack) -> Iterator[Night]:
    """Start both runs, and give one up."""
    with disturbed(stack, [HIDDEN, LATE]) as begun:
        yield begun


def test_a_landing_that_has_failed_is_tried_again(night: Night, table: Table) -> None:
    night.acted()
    night.emulator.advance(2 * HOUR)
    night.judge(table, HIDDEN.name, HIDDEN.case, HIDDEN.happens)
    assert night.jobs[HIDDEN.name].task(LAND)["try_number"] > 1


def test_results_that_are_gone_are_asked_again(night: Night, table: Table) -> None:
    night.acted()
    night.emulator.advance(30 * DAY)
    job = night.jobs["late"].start()
    assert job.ends() == "success"
    again = night.emulator.books()["bought"]["twice"]
    assert again == job.size
    night.judge(table, "late", LATE.case, LATE.happens, twice=again)
