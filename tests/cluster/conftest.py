"""One cluster for all tests of this folder, which `make test-cluster` alone runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.airflow.cluster import CLUSTER, cluster_settings

from nightbatch.local.cluster.cluster import Cluster

collect_ignore_glob = [] if CLUSTER in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start everything once; the home keeps the logs of a failure."""
    home = tmp_path_factory.mktemp("cluster") / "home"
    dags = Path(__file__).parent / "dags"
    settings = cluster_settings(home, dags, batch_seconds=15)
    with Cluster(settings) as running:
        yield running
