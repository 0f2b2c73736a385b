"""What a hurried person types into the form."""

from __future__ import annotations

import pytest

from nightbatch.airflow import runs


@pytest.mark.parametrize(
    "typed", ["dt=2026-11-21", "/dt=2026-11-21", "dt=2026-11-21/", "/dt=2026-11-21/"]
)
def test_a_partition_means_the_same_with_and_without_slashes(typed: str) -> None:
    assert runs.partition(typed, {}) == "dt=2026-11-21"
