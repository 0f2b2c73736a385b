"""Bought once by a backfill: the runs of several days at once, whose days have most of their rows in common."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.airflow.once.job import PATIENCE, judged
from tests.airflow.once.night import HERE
from tests.support.crashes.case_table import Table
from tests.support.crashes.judge import Verdict
from tests.support.nights.real import RealWorld

from nightbatch.emulator.embedded import Emulator
from nightbatch.ledger.ledger import Ledger
from nightbatch.local.demo import DAG_ID, SOURCE, TARGET
from nightbatch.local.sample_tickets import parts, sample
from nightbatch.local.stack.settings import BUCKET
from nightbatch.local.stack.stack import Stack

DAYS = int(os.environ.get("NIGHTBATCH_BACKFILL_DAYS", "3"))
STATE = f"_nightbatch/{TARGET}"
ROWS = 30
pytestmark = pytest.mark.timeout(2 * PATIENCE)


@pytest.fixture(scope="module")
def lake(stack: Stack) -> Iterator[RealWorld]:
    """Put a day's tickets for each day of a month, every other day a fifth of them changed; forget all at the end."""
    Emulator(stack.emulator_url).reset()
    nights = list(sample(stack.settings.project, rows=ROWS).values())
    for day in range(1, DAYS + 3):
        for name, part in parts(nights[day % 2]).items():
            stack.lake.put_table(f"{SOURCE}/dt=2026-10-{day:02d}/{name}", part)
    yield RealWorld(stack.lake.url, stack.emulator_url)
    for folder in (SOURCE, TARGET, STATE):
        stack.lake.client.delete_objects(
            Bucket=BUCKET,
            Delete={"Objects": [{"Key": key} for key in stack.lake.keys(f"{folder}/")]},
        )
    Emulator(stack.emulator_url).reset()


def test_a_backfill_of_several_days_at_once_buys_once(
    stack: Stack, lake: RealWorld, table: Table
) -> None:
    airflow = stack.airflow
    airflow.wait_parsed(DAG_ID)
    airflow.patch(f"/dags/{DAG_ID}", {"is_paused": False})
    span = {
        "from_date": "2026-10-02T00:00:00Z",
        "to_date": f"2026-10-{DAYS + 1:02d}T00:00:00Z",
    }
    airflow.post("/backfills", {"dag_id": DAG_ID, "max_active_runs": DAYS, **span})
    runs = airflow.get(f"/dags/{DAG_ID}/dagRuns", run_type="backfill")["dag_runs"]
    assert len(runs) == DAYS
    assert [
        airflow.wait(DAG_ID, run["dag_run_id"], patience=PATIENCE) for run in runs
    ] == ["success"] * DAYS
    for run in runs:
        rows = stack.lake.table(f"{TARGET}/dt={run['partition_key']}/")
        asked = stack.lake.table(f"{SOURCE}/dt={run['partition_key']}/")
        assert rows["ticket_id"].to_pylist() == asked["ticket_id"].to_pylist()
        assert set(rows["_status"].to_pylist()) == {"answered"}
    seen = judged(lake, Ledger(lake.store(f"s3://{BUCKET}/{STATE}/")))
    table.add(
        HERE,
        "a backfill of several days at the same time",
        "Each shared request is bought by one of them.",
        seen,
    )
    assert seen == Verdict(0, 0)
    assert stack.books()["bought"]["twice"] == 0
