"""One stack for all tests on real Airflow: S3, the emulator, and every component of Airflow as its own process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nightbatch.local.settings import TICKETS, Settings
from nightbatch.local.stack import Stack

LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
BUNDLES = [
    {"name": "dags-folder", "classpath": LOCAL, "kwargs": {}},
    {"name": "others", "classpath": LOCAL, "kwargs": {"path": str(Path(__file__).parent / "dags")}},
]
ENVIRONMENT = {
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(BUNDLES),
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",  # after which a silent triggerer's waits are moved
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start everything once; the home keeps the logs of a failure."""
    home = tmp_path_factory.mktemp("airflow") / "stack"
    emulator = ("--responder", TICKETS, "--seconds", "0.3", "--retry-after", "1")
    with Stack(Settings(home=home, emulator_args=emulator, schedules=True, env=ENVIRONMENT)) as running:
        yield running
