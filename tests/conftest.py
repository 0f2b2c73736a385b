"""How tests are shared out where two processes run them: all on real Airflow to one, every other file by itself."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

AIRFLOW = "tests/airflow/"


class ByStack(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps together what shares one stack, or the fixtures of one file."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        return AIRFLOW if file.startswith(AIRFLOW) else file


def pytest_xdist_make_scheduler(config: Any, log: Any) -> ByStack:
    """Share tests out by stack."""
    return ByStack(config, log)
