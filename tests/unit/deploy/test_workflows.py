"""The hosted checks run what is there, with few rights, and with actions that cannot change under their name."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_PINNED = re.compile(r"- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
_TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    """Read the jobs of a workflow."""
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    all_jobs: dict[str, dict[str, Any]] = content["jobs"]
    return all_jobs


def commands(file: Path) -> list[str]:
    """Return what the steps of a workflow run."""
    return [
        step["run"]
        for job in jobs(file).values()
        for step in job["steps"]
        if "run" in step
    ]


def test_there_are_workflows() -> None:
    assert [file.name for file in WORKFLOWS] == ["ci.yml", "release.yml"]


@each_workflow
def test_every_action_is_pinned_by_its_commit(file: Path) -> None:
    lines = [line.strip() for line in file.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not _PINNED.fullmatch(line)] == []


@each_workflow
def test_a_workflow_may_only_read_and_its_jobs_end(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    assert content["permissions"] == {"contents": "read"}
    rights = [job["permissions"] for job in jobs(file).values() if "permissions" in job]
    assert all(right == {"id-token": "write"} for right in rights)
    assert all(job["timeout-minutes"] <= 90 for job in jobs(file).values())


@each_workflow
def test_every_target_and_file_that_is_run_exists(file: Path) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    text = "\n".join(commands(file))
    assert set(re.findall(r"\bmake ([a-z-]+)", text)) - targets == set()
    names = re.findall(r"(?:^|\s)((?:\.ci|tests)/[\w./-]+)", text)
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_environment_of_the_matrix_is_checked_once() -> None:
    rows = jobs(WORKFLOWS[0])["matrix"]["strategy"]["matrix"]["include"]
    cells = runpy.run_path(str(ROOT / "tests" / "install" / "matrix.py"))["CELLS"]
    checked = {(name, row["python"]) for row in rows for name in row["cells"].split(";")}  # fmt: skip
    assert checked == {(cell.name, cell.python) for cell in cells}
    assert sum(len(row["cells"].split(";")) for row in rows) == len(cells)
