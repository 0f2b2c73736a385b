"""How tests are shared out where two processes run them: all on real Airflow to one, every other file by itself."""

from __future__ import annotations

import pytest

AIRFLOW = "airflow"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares one stack, or the fixtures of one file."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(AIRFLOW if folder == AIRFLOW else f"{folder}/{item.path.stem}"))
