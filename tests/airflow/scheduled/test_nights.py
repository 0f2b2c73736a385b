"""Nights on the real scheduler that nobody triggers: by the clock, by the upstream's asset, by a backfill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from tests.airflow.runs import until

from nightbatch.local.stack.rest import FINISHED, Json, call
from nightbatch.local.stack.stack import Stack

CLOCK, ASSET, READER = "by_clock", "by_asset", "reader"
FIRST, SECOND, TOLD = "2026-03-01", "2026-03-02", "2026-03-03"
PATIENCE = 300.0
pytestmark = pytest.mark.timeout(900)
RANGE = {"from_date": f"{FIRST}T00:00:00Z", "to_date": f"{SECOND}T00:00:00Z"}


def put(stack: Stack, key: str, texts: list[str]) -> None:
    """Put a night's input."""
    rows = {"id": [f"P-{number}" for number in range(len(texts))], "text": texts}
    stack.lake.put_table(f"parcels/dt={key}/part-0.parquet", pa.table(rows))


def runs(stack: Stack, dag_id: str) -> list[Json]:
    """List a DAG's runs, in the order in which they were started."""
    found: list[Json] = stack.airflow.get(f"/dags/{dag_id}/dagRuns", order_by="id")[
        "dag_runs"
    ]
    return found


def ended(stack: Stack, dag_id: str, kind: str, count: int = 1) -> list[Json]:
    """Wait until so many runs of a kind have ended."""

    def find() -> list[Json]:
        mine = [run for run in runs(stack, dag_id) if run["run_type"] == kind]
        finished = [run for run in mine if run["state"] in FINISHED]
        return mine if len(finished) >= count else []

    return until(find, PATIENCE)


def wait_of(stack: Stack, run: Json) -> Json:
    """Return the task of a run that waits for its input."""
    (task,) = [
        task
        for task in stack.airflow.tasks(CLOCK, run["dag_run_id"])
        if task["task_id"] == "input"
    ]
    return task


@dataclass
class Nights:
    """What was seen of the nights, in the order in which it was seen."""

    waiting: Json = field(default_factory=dict)
    scheduled: Json = field(default_factory=dict)
    backfilled: list[Json] = field(default_factory=list)
    told: list[Json] = field(default_factory=list)
    read: list[Json] = field(default_factory=list)
    bought_before: int = 0
    before: str = ""
    after: str = ""


@pytest.fixture(scope="module")
def nights(stack: Stack) -> Iterator[Nights]:
    """Let the clock, the command line and an asset event start nights, all at once."""
    seen = Nights(before=yesterday(), bought_before=stack.books()["bought"]["distinct"])
    for key, texts in ((FIRST, ["a", "b"]), (SECOND, ["b", "c"]), (TOLD, ["d"])):
        put(stack, key, texts)
    for dag_id in (CLOCK, ASSET, READER):
        stack.airflow.wait_parsed(dag_id)
        stack.airflow.patch(f"/dags/{dag_id}", {"is_paused": False})
    tell(stack, TOLD)
    backfill_by_command(stack)
    run = until(
        lambda: [run for run in runs(stack, CLOCK) if run["run_type"] == "scheduled"],
        PATIENCE,
    )[0]
    seen.waiting = until(
        lambda: task if (task := wait_of(stack, run))["state"] == "deferred" else {},
        PATIENCE,
    )
    put(stack, run["partition_key"], ["e"])
    seen.scheduled = ended(stack, CLOCK, "scheduled")[
        0
    ]  # another one comes where midnight passes meanwhile
    seen.backfilled = ended(stack, CLOCK, "backfill", 2)
    seen.told, seen.read = (
        ended(stack, ASSET, "asset_triggered"),
        ended(stack, READER, "asset_triggered"),
    )
    seen.after = yesterday()
    yield seen
    for dag_id in (CLOCK, ASSET, READER):
        stack.airflow.patch(f"/dags/{dag_id}", {"is_paused": True})
    call(stack.emulator_port, "POST", "/_emulator/reset")


def yesterday() -> str:
    return (datetime.now(UTC) - timedelta(days=1)).date().isoformat()


def tell(stack: Stack, key: str) -> None:
    """Tell Airflow that the upstream has published a partition."""
    (asset,) = stack.airflow.get("/assets", uri_pattern="s3://lake/parcels")["assets"]
    stack.airflow.post(
        "/assets/events", {"asset_id": asset["id"], "partition_key": key}
    )


def backfill_by_command(stack: Stack) -> None:
    """Backfill the range as one would in a shell."""
    airflow = str(Path(sys.executable).with_name("airflow"))
    words = [
        "backfill",
        "create",
        "--dag-id",
        CLOCK,
        "--from-date",
        FIRST,
        "--to-date",
        SECOND,
    ]
    subprocess.run(
        [airflow, *words, "--max-active-runs", "2"],
        env=stack.airflow_env,
        check=True,
        capture_output=True,
        timeout=120,
    )


def reports(stack: Stack, dag_id: str, done: list[Json]) -> dict[str, Json]:
    """Return the reports of runs that have published, by partition."""
    found = [stack.airflow.xcom(dag_id, run["dag_run_id"], "publish") for run in done]
    return {report["partition"]: report for report in found}


def test_the_clock_starts_a_run_of_yesterday_s_partition(
    stack: Stack, nights: Nights
) -> None:
    assert nights.scheduled["state"] == "success"
    assert nights.before <= nights.scheduled["partition_key"] <= nights.after
    assert nights.scheduled["logical_date"] is None
    assert (
        reports(stack, CLOCK, [nights.scheduled])[
            f"dt={nights.scheduled['partition_key']}"
        ]["rows"]
        == 1
    )


def test_it_waits_for_a_late_input_without_a_worker(
    stack: Stack, nights: Nights
) -> None:
    ended_wait = wait_of(stack, nights.scheduled)
    assert ended_wait["state"] == "success"
    for task in (nights.waiting, ended_wait):
        assert (task["pid"], task["queued_when"], task["hostname"]) == (None, None, "")


def test_a_backfill_runs_the_nights_of_its_range_side_by_side(
    stack: Stack, nights: Nights
) -> None:
    assert [(run["partition_key"], run["state"]) for run in nights.backfilled] == [
        (FIRST, "success"), (SECOND, "success"),
    ]  # fmt: skip
    spans = [
        (task["start_date"], task["end_date"])
        for run in nights.backfilled
        for task in stack.airflow.tasks(CLOCK, run["dag_run_id"])
        if task["task_id"] in ("prepare", "publish")
    ]
    begun, published = (
        sorted(start for start, _ in spans),
        sorted(end for _, end in spans),
    )
    assert begun[1] < published[2], (
        "the second night was prepared only after the first was published"
    )
    assert sorted(reports(stack, CLOCK, nights.backfilled)) == [
        f"dt={FIRST}",
        f"dt={SECOND}",
    ]


def test_a_backfill_by_rest_would_run_the_same_nights(
    stack: Stack, nights: Nights
) -> None:
    asked = {"dag_id": CLOCK, **RANGE, "reprocess_behavior": "completed"}
    found = stack.airflow.post("/backfills/dry_run", asked)["backfills"]
    assert [one["partition_key"] for one in found] == [FIRST, SECOND]


def test_nothing_was_bought_twice(stack: Stack, nights: Nights) -> None:
    bought = stack.books()["bought"]
    assert (bought["twice"], bought["distinct"] - nights.bought_before) == (0, 5)


def test_the_upstream_s_event_starts_the_partition_that_it_tells_of(
    stack: Stack, nights: Nights
) -> None:
    assert [(run["partition_key"], run["state"]) for run in nights.told] == [
        (TOLD, "success")
    ]
    assert list(reports(stack, ASSET, nights.told)) == [f"dt={TOLD}"]


def test_a_downstream_dag_is_told_partition_rows_and_cost(
    stack: Stack, nights: Nights
) -> None:
    (report,) = reports(stack, ASSET, nights.told).values()
    (run,) = nights.read
    assert run["partition_key"] == TOLD
    assert stack.airflow.xcom(READER, run["dag_run_id"], "read") == [
        [f"dt={TOLD}", 1, report["cost_usd"]]
    ]


def test_source_and_target_are_assets(stack: Stack, nights: Nights) -> None:
    uses = {
        asset["name"]: ({task["dag_id"] for task in asset["consuming_tasks"]},
                        {task["dag_id"] for task in asset["producing_tasks"]})
        for asset in stack.airflow.get("/assets", limit=100)["assets"]
    }  # fmt: skip
    assert uses["s3://lake/tickets/"][0] == {"ticket_triage"}
    assert uses["s3://lake/ticket_triage/"][1] == {"ticket_triage"}
