"""How tests are marked by their folder, chosen by the part of the package they are about, and shared out."""

from __future__ import annotations

import ast
import gc
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from nightbatch.columnar.threads import collector_paused

TESTS = Path(__file__).parent
# How long an example of a property test takes says nothing: the machine may be busy.
settings.register_profile("nightbatch", deadline=None)
settings.load_profile("nightbatch")
MARKS = {
    "airflow": ("airflow", "real"),
    "chaos": ("chaos", "real"),
    "cluster": ("airflow", "real"),
    "emulator": ("real",),
    "real": ("real",),
}
"""The marks of all tests in a folder; `unit` and `flow` need no server but an emulator in a thread."""


STACKS = (
    "tests/airflow/once/",
    "tests/airflow/",
    "tests/airflow/dag_files/test_dags.py",
)
"""What shares a stack of its own; the longest name that fits counts."""
LONGEST = (
    *STACKS,
    "tests/real/once/test_kill.py",
    "tests/real/local/test_first_dag.py",
    "tests/real/security/templates/test_rendering_limits.py",
    "tests/real/once/test_overlap.py",
    "tests/real/commands/test_run.py",
    "tests/real/once/test_account.py",
    "tests/flow/once/test_any_order.py",
    "tests/real/connections/test_secrets_backends.py",
    "tests/real/once/test_ledger_command.py",
    "tests/real/waiting/test_poller.py",
    "tests/emulator/batches/test_size.py",
    "tests/real/once/test_zombies.py",
    "tests/real/commands/test_estimate.py",
)
"""What takes longest, the longest first: begun last, it would keep the other processes waiting for one."""


def scope_of(file: str) -> str:
    """Name what is run in one process: the tests of one stack, or of one file."""
    stacks = [stack for stack in STACKS if file.startswith(stack)]
    return max(stacks, key=len, default=file)


class ByStack(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps together what shares one stack, or the fixtures of one file."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: Any, log: Any) -> ByStack:
    """Share tests out by stack."""
    return ByStack(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the cycle collector what is imported now and stays: a million objects, which it would look at each time."""
    with collector_paused():
        collected = yield
    gc.freeze()
    return collected


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
    """Mark tests by what they need, keep those of the area, and begin with what takes longest."""
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
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    scope = scope_of(item.nodeid.partition("::")[0])
    return LONGEST.index(scope) if scope in LONGEST else len(LONGEST)


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
