"""The means of these tests: the table of cases in the docs, and points at which one run of several is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.judge import BEGIN, END, TABLE, Table, Verdict

from nightbatch.environment import FAILPOINTS
from nightbatch.local.stack.settings import PROJECT


def written(file: Path, *places: str) -> str:
    """Write a session's cases into the file, one for each place."""
    table = Table()
    for place in places:
        table.add(place, "a case", "nothing", Verdict(0, 0))
    table.write()
    return file.read_text()


def test_a_session_writes_its_own_tables_and_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cases.md"
    file.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    monkeypatch.setenv(TABLE, str(file))
    both = written(file, "Here", "There")
    assert both.startswith("before\n")
    assert both.endswith(f"{END}\nafter\n")
    assert [line for line in both.splitlines() if line.startswith("###")] == [
        "### Here",
        "### There",
    ]
    assert written(file, "There") == both == written(file, "Here")


@pytest.mark.parametrize(("run", "code"), [("mine", -9), ("another", 0)])
def test_a_folder_named_for_a_run_arms_points_for_that_run_alone(
    tmp_path: Path, run: str, code: int
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "batch created").touch()
    reach = "from nightbatch.failpoints import reach; reach('batch created')"
    env = os.environ | {
        FAILPOINTS: f"{tmp_path}/$RUN",
        "RUN": run,
        "PYTHONPATH": str(PROJECT / "plugins"),
    }
    assert (
        subprocess.run([sys.executable, "-c", reach], env=env, check=False).returncode
        == code
    )
