"""What tests on real Airflow know of their stack."""

from __future__ import annotations

from pathlib import Path

DEAD_SECONDS = 12


def failpoints(home: Path) -> Path:
    """Name the folder in which each run has a folder of the points that it is killed at."""
    return home.with_name("failpoints")
