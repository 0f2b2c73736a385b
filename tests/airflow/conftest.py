"""One stack for all tests on real Airflow: S3, the emulator, and every component of Airflow as its own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nightbatch.local.settings import TICKETS, Settings
from nightbatch.local.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start everything once; the home keeps the logs of a failure."""
    home = tmp_path_factory.mktemp("airflow") / "stack"
    emulator = ("--responder", TICKETS, "--seconds", "0.3", "--retry-after", "1")
    with Stack(Settings(home=home, emulator_args=emulator, schedules=True)) as running:
        yield running
