"""How tests are marked by their folder, chosen by the part of the package they are about, and shared out."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
AIRFLOW = "tests/airflow/"
MARKS = {
    "airflow": ("airflow", "real"),
    "chaos": ("chaos", "real"),
    "emulator": ("real",),
    "real": ("real",),
}
"""The marks of all tests in a folder; `unit` and `flow` need no server but an emulator in a thread."""


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
        help="only tests of this folder of the package: those in a folder of its name, and those that import it",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Mark tests by what they need, and keep those of the area."""
    for item in items:
        for mark in MARKS.get(item.path.relative_to(TESTS).parts[0], ()):
            item.add_marker(mark)
    area = config.getoption("--area")
    if area:
        chosen = [item for item in items if _is_about(item.path, area)]
        config.hook.pytest_deselected(
            items=[item for item in items if item not in chosen]
        )
        items[:] = chosen


@cache
def _is_about(file: Path, area: str) -> bool:
    """Tell whether a test file lies in a folder of that name, or imports that folder of the package."""
    if area in file.relative_to(TESTS).parent.parts:
        return True
    prefix = f"nightbatch.{area}"
    tree = ast.parse(file.read_text())
    modules = [
        node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    ]
    return any(name == prefix or name.startswith(f"{prefix}.") for name in modules)
