"""One cluster for all tests of this folder, which `make test-cluster` alone runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.airflow.cluster import CLUSTER, patient_environment

from nightbatch.local.cluster.cluster import Cluster
from nightbatch.local.stack.settings import Settings

collect_ignore_glob = [] if CLUSTER in os.environ else ["test_*.py"]
EMULATOR = ("--seconds", "15", "--retry-after", "1")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start everything once; the home keeps the logs of a failure."""
    home = tmp_path_factory.mktemp("cluster") / "home"
    settings = Settings(
        home=home,
        dags=Path(__file__).parent / "dags",
        emulator_args=EMULATOR,
        schedules=True,
        env=patient_environment(),
    )
    with Cluster(settings) as running:
        yield running
