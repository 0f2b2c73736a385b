"""A folder that is named for a run arms points at which that run is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightbatch.environment import FAILPOINTS
from nightbatch.local.stack.settings import PROJECT


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
