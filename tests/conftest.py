"""How tests are marked by what they need, chosen by the part of the package they are about, and shared out."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

AIRFLOW = "tests/airflow/"
SERVERS = {
    "account", "emulator", "endpoint", "lake", "message_batches_api", "message_batches_server", "moto_url", "night",
    "open_moto", "open_seaweed", "open_store", "proxy", "real", "s3", "s3_url", "seaweed_url", "shop",
    "stack", "turned", "waiting_server", "desk", "session_desk", "postgres_server", "postgres_house", "house", "host",
}  # fmt: skip
"""Fixtures that start a server or a process, or ask one."""
REAL_FOLDERS = ("airflow", "bench", "chaos", "emulator", "local", "stores", "warehouse")
SLOW_FILES = {
    "test_any_order.py",
    "test_expanding_files.py",
    "test_iam.py",
    "test_imports.py",
    "test_rendering_limits.py",
    "test_template_values.py",
}
"""Files that start processes of their own without a fixture, or go through many sequences of events."""


class ByStack(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps together what shares one stack, or the fixtures of one file."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        return AIRFLOW if file.startswith(AIRFLOW) else file


def pytest_xdist_make_scheduler(config: Any, log: Any) -> ByStack:
    """Share tests out by stack."""
    return ByStack(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make test AREA=land` chooses by."""
    parser.addoption(
        "--area",
        default="",
        metavar="FOLDER",
        help="only test files that import this folder of the package",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Mark tests by what they need, and keep those of the area."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in ("airflow", "chaos"):
            item.add_marker(folder)
        fixtures = set(getattr(item, "fixturenames", ()))
        is_slow = item.path.name in SLOW_FILES
        if folder in REAL_FOLDERS or fixtures & SERVERS or is_slow:
            item.add_marker("real")
    area = config.getoption("--area")
    if area:
        chosen = [item for item in items if _imports(item.path, area)]
        config.hook.pytest_deselected(
            items=[item for item in items if item not in chosen]
        )
        items[:] = chosen


@cache
def _imports(file: Path, area: str) -> bool:
    """Tell whether a test file imports a folder of the package."""
    prefix = f"nightbatch.{area}"
    tree = ast.parse(file.read_text())
    modules = [
        node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    ]
    return any(name == prefix or name.startswith(f"{prefix}.") for name in modules)
