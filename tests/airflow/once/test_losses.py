"""Bought once although Airflow's database is lost, and with it all that Airflow knows of what runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.airflow.once import acts
from tests.airflow.once.job import DAG_ID, PATIENCE, SUBMIT
from tests.airflow.once.night import HOUR, Case, Night, create, disturbed
from tests.support.crashes.case_table import Table

from nightbatch.local.stack import services
from nightbatch.local.stack.stack import Stack

FORGOTTEN = "the metadata database is lost while the batch is in progress"
EXPIRED = "the metadata database is lost during the search for an orphan, whose requests then expire after 24 hours"
CASES = (
    Case("forgotten", 20, acts.leave, FORGOTTEN, "Started again, the run joins the batch.", lasts=10),
    Case("expired", 16, acts.lose_the_answer, EXPIRED,
         "Started again, the run takes the batch over and sends only the expired requests again.",
         faults=(create("drop_after"), {"where": "batch", "what": "never_ends", "nth": 1})),
)  # fmt: skip
pytestmark = pytest.mark.timeout(2 * PATIENCE)


@pytest.fixture(scope="module")
def night(stack: Stack) -> Iterator[Night]:
    """Start all runs at once, and do to each what its case says."""
    with disturbed(stack, CASES) as begun:
        yield begun


@pytest.fixture(scope="module")
def forgotten(night: Night) -> Night:
    """Lose Airflow's database, start Airflow anew, and run two of the partitions again."""
    night.acted()
    lose_the_database(night.stack)
    for name in ("forgotten", "expired"):
        night.jobs[name].start()
    return night


def lose_the_database(stack: Stack) -> None:
    """Stop Airflow, take its database away, and start it with a new one."""
    parts = [stack.triggerer, stack.scheduler, stack.dag_processor, stack.api_server]
    for part in parts:
        part.stop(grace=1)
    Path(stack.airflow_env["AIRFLOW_HOME"], "airflow.db").unlink()
    migration = services.migration(stack.settings, stack.airflow_env)
    migration.start()
    migration.wait_done()
    for part in parts:
        part.start()
    for part in parts:
        part.wait_ready()
    stack.airflow.wait_parsed(DAG_ID)


@pytest.fixture(scope="module")
def a_day_later(forgotten: Night) -> Night:
    """See both runs wait for what was bought before; then let 25 hours pass: one batch ends, the other expires."""
    job = forgotten.jobs["forgotten"]
    before = job.batches()
    assert len(before) == 1
    assert [job.waits()] == before == job.batches()
    forgotten.jobs["expired"].reaches(SUBMIT, "deferred")
    assert forgotten.jobs["expired"].batches() == []
    forgotten.emulator.advance(25 * HOUR)
    return forgotten


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_forgotten_is_published_as_if_nothing_had_happened(
    a_day_later: Night, table: Table, case: Case
) -> None:
    a_day_later.judge(table, case.name, case.case, case.happens)
    assert a_day_later.emulator.books()["bought"]["twice"] == 0
