"""The stack of the tests on real Airflow: S3, the emulator, and every component of Airflow as its own process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.airflow.stack import DEAD_SECONDS, failpoints
from tests.support.crashes.case_table import table  # noqa: F401

from nightbatch.local.stack.settings import TICKETS, Settings
from nightbatch.local.stack.stack import Stack

LONG = ["once/test_backfill.py", "once/test_chaos.py", "once/test_gone.py"]
"""Run by `make chaos` alone."""
collect_ignore = [] if "NIGHTBATCH_CHAOS_SEED" in os.environ else LONG
LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
BUNDLES = [
    {"name": "dags-folder", "classpath": LOCAL, "kwargs": {}},
    {
        "name": "others",
        "classpath": LOCAL,
        "kwargs": {"path": str(Path(__file__).parent / "dags")},
    },
]
ENVIRONMENT = {
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES),
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",  # no test changes a DAG file; parsing takes seconds
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",  # none adds one either
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",  # each round of the scheduler takes from what is tested
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(
        DEAD_SECONDS
    ),  # after which it is taken to be dead
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "86400",  # at its start alone: here it is slow, not dead
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",  # after which a silent triggerer's waits are moved
    "PYTHONPATH": str(Path(__file__).parent / "policy"),
}
PATIENT = {
    "NIGHTBATCH_SEND_SECONDS": "12",
    "NIGHTBATCH_ANSWER_SECONDS": "5",
    "NIGHTBATCH_SETTLE_SECONDS": "6",
    "NIGHTBATCH_CLOCK_SLACK_SECONDS": "3",
    "NIGHTBATCH_LOOK_SECONDS": "2",
    "NIGHTBATCH_RETRY_SECONDS": "3",
    "NIGHTBATCH_LEASE_SECONDS": "30",
    "NIGHTBATCH_POLL_GONE_SECONDS": "4",
}
"""How long nightbatch waits for what may still come: seconds, in the place of minutes."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start everything once; the home keeps the logs of a failure."""
    home = tmp_path_factory.mktemp("airflow") / "stack"
    emulator = ("--responder", TICKETS, "--seconds", "0.3", "--retry-after", "1")
    armed = {"NIGHTBATCH_FAILPOINTS": str(failpoints(home) / "$AIRFLOW_CTX_DAG_RUN_ID")}
    env = ENVIRONMENT | PATIENT | armed
    with Stack(
        Settings(home=home, emulator_args=emulator, schedules=True, env=env)
    ) as running:
        yield running
